"""Token requests as clients write them, and as they should not."""

import base64
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.token_request import (
    EndpointRequest,
    OAuthError,
    Received,
    read_token_question,
    read_token_request,
)

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
PERSON = {"grant_type": "password", "username": "u", "password": "w"}


def read(
    body: bytes | dict[str, object], content_type: str = FORM, authorization: str | None = None
) -> EndpointRequest:
    if isinstance(body, dict):
        body = (json.dumps(body) if content_type == JSON else urlencode(body)).encode()
    return read_token_request(Received(content_type, body, "", authorization))


def basic(pair: bytes) -> str:
    return "Basic " + base64.b64encode(pair).decode()


def error_of(*arguments: object) -> str:
    with pytest.raises(OAuthError) as caught:
        read(*arguments)  # type: ignore[arg-type]
    return caught.value.error


@pytest.mark.parametrize("content_type", [FORM, JSON, FORM.upper(), f"{FORM} ; charset=UTF-8"])
def test_form_and_json_are_read_alike(content_type: str) -> None:
    wire = JSON if content_type == JSON else FORM
    body = (json.dumps(PERSON) if wire == JSON else urlencode(PERSON)).encode()
    request = read(body, content_type)
    assert request.grant_type == "password"
    assert request.parameters == PERSON
    assert request.username == "u"
    assert request.client is None


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"grant_type=password&grant_type=password&username=u&password=w", FORM),
        (b"grant_type=password&username=u&password=w&scope=a&scope=", FORM),
        (b"grant_type=password&username=u&password=w&grant%5ftype=refresh_token", FORM),
        (b'{"grant_type":"password","username":"u","password":"w","username":"v"}', JSON),
        (b'{"grant_type":"password","username":"u","password":"w","user\\u006eame":"v"}', JSON),
        (b'{"grant_type":"password","username":["u"],"password":"w"}', JSON),
        (b'{"grant_type":"password","username":{"a":"u"},"password":"w"}', JSON),
        (b'{"grant_type":"password","username":1,"password":"w"}', JSON),
        (b'{"grant_type":"password","username":null,"password":"w"}', JSON),
        (b'{"grant_type":"password","username":"\\ud800","password":"w"}', JSON),
        (b'[{"grant_type":"password"}]', JSON),
        (b"[" * 16000, JSON),
        (b'{"a":' * 3000, JSON),
        (b'"grant_type"', JSON),
        (b"", JSON),
        (b"", FORM),
        (b"grant_type=password&username=%ff&password=w", FORM),
        (b"grant_type=password&username=\xff&password=w", FORM),
        (b"&".join(b"p%d=1" % number for number in range(33)), FORM),
        (json.dumps({f"p{number}": "1" for number in range(33)}).encode(), JSON),
        (b"grant_type=password", FORM),
        (b"grant_type=password&username=u&password=", FORM),
        (b"grant_type=refresh_token", FORM),
        (b"grant_type=&username=u", FORM),
        (b"grant_type=password&username=u&password=w", "text/plain"),
        (b"grant_type=password&username=u&password=w", ""),
        (b"grant_type=password&username=u&password=w", "multipart/form-data; boundary=x"),
        (b"grant_type=password&username=u&password=w&client_secret=s", FORM),
        (b"grant_type=password&username=u&password=w&client_assertion=a", FORM),
        (b"grant_type=password&username=u&password=w&client_assertion_type=a", FORM),
    ],
)
def test_what_can_be_misread_is_refused(body: bytes, content_type: str) -> None:
    assert error_of(body, content_type) == "invalid_request"


def test_a_query_is_refused() -> None:
    body = urlencode(PERSON).encode()
    with pytest.raises(OAuthError) as caught:
        read_token_request(Received(FORM, body, "client_id=a"))
    assert caught.value.error == "invalid_request"


@pytest.mark.parametrize(
    "grant",
    ["implicit", "urn:ietf:params:oauth:grant-type:device_code", "PASSWORD", "password ", "x"],
)
def test_other_grants_are_not_relayed(grant: str) -> None:
    assert error_of({**PERSON, "grant_type": grant}) == "unsupported_grant_type"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer abc",
        "Basic %%%",
        "Basic YQ",
        basic(b"no colon"),
        basic(b":secret"),
        basic(b"a%ff:secret"),
        basic(b"\xff:secret"),
        basic(b"a:b") + "," + basic(b"c:d"),
    ],
)
def test_other_authorizations_are_no_client(authorization: str) -> None:
    assert error_of(PERSON, FORM, authorization) == "invalid_client"


@pytest.mark.parametrize(
    "extra",
    [{"client_id": "other"}, {"client_secret": "s"}, {"client_id": "c", "client_secret": "s"}],
)
def test_two_client_authentications_are_refused(extra: dict[str, object]) -> None:
    assert error_of({**PERSON, **extra}, FORM, basic(b"c:s")) == "invalid_request"


def test_the_client_may_be_named_beside_basic() -> None:
    request = read({**PERSON, "client_id": "c"}, FORM, basic(b"c:s"))
    assert request.client == ClientCredentials("c", "s")


def test_scheme_is_compared_without_case() -> None:
    assert read(PERSON, FORM, "bAsIc " + basic(b"c:s")[6:]).client == ClientCredentials("c", "s")


def test_a_request_shows_no_credentials() -> None:
    request = read({**PERSON, "password": "canary"}, FORM, basic(b"c:canary"))
    assert "canary" not in repr(request)


text = st.text(min_size=1, max_size=40)


@given(text, text)
def test_basic_brings_back_what_it_carried(client_id: str, secret: str) -> None:
    """RFC 6749 2.3.1: what one side encodes, the other reads, whatever the characters."""
    credentials = ClientCredentials(client_id, secret)
    assert read(PERSON, FORM, credentials.basic()).client == credentials


@given(st.binary(max_size=300), st.sampled_from([FORM, JSON]), st.none() | st.text(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str, authorization: str | None) -> None:
    try:
        request = read(body, kind, authorization)
    except OAuthError:
        return
    assert set(request.parameters) <= {
        "grant_type", "username", "password", "refresh_token", "scope", "audience", "resource",
        "code", "redirect_uri", "code_verifier",
    }  # fmt: skip


CODE = {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": "https://app/cb"}


def test_a_code_is_read_with_what_belongs_to_it() -> None:
    form = {**CODE, "code_verifier": "v" * 43, "username": "u", "password": "w"}
    request = read(form)
    assert request.parameters == {**CODE, "code_verifier": "v" * 43}
    assert request.username is None
    assert error_of({**CODE, "code": ""}) == "invalid_request"


@pytest.mark.parametrize(
    "verifier", ["v" * 42, "v" * 129, "v" * 42 + "+", "v" * 42 + "\n", "é" * 43]
)
def test_D6_a_verifier_is_one_of_RFC_7636(verifier: str) -> None:
    assert error_of({**CODE, "code_verifier": verifier}) == "invalid_request"


def test_a_question_about_a_token() -> None:
    form = {
        "token": "t",
        "token_type_hint": "refresh_token",
        "scope": "x",
        "grant_type": "password",
    }
    request = read_token_question(Received(FORM, urlencode(form).encode(), "", basic(b"c:s")))
    assert request.parameters == {"token": "t", "token_type_hint": "refresh_token"}
    assert request.client == ClientCredentials("c", "s")
    for body, query in ((b"token=", ""), (b"token=a&token=b", ""), (b"token=a", "token=a")):
        with pytest.raises(OAuthError) as caught:
            read_token_question(Received(FORM, body, query))
        assert caught.value.error == "invalid_request"
