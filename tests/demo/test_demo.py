"""The demo's provider and API, as the gateway and its users meet them."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import yaml

from demo.orders import MAX_ITEMS, OrdersServer
from demo.provider import AUDIENCE, Provider, TokenError
from demo.server import MAX_BODY
from demo.sign_in import SignInError

DEMO = Path(__file__).resolve().parents[2] / "demo"
ISSUER = "http://127.0.0.1:9101"
OWN = {"client_id": "gatehouse", "client_secret": "gatehouse-demo-secret"}
PROGRAM = {"client_id": "demo-client", "client_secret": "demo-client-secret"}
PERSON = {"grant_type": "password", "username": "demo", "password": "demo-password", **OWN}


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider(ISSUER)


@pytest.fixture
def orders() -> Iterator[http.client.HTTPConnection]:
    server = OrdersServer(0)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()
    server.shutdown()
    server.server_close()
    thread.join()


def token(provider: Provider, form: dict[str, str]) -> dict[str, Any]:
    return provider.token(list(form.items()), None)


def error(provider: Provider, form: dict[str, str], authorization: str | None = None) -> str:
    with pytest.raises(TokenError) as caught:
        provider.token(list(form.items()), authorization)
    return str(caught.value)


def test_tokens_are_access_tokens_of_rfc_9068(provider: Provider) -> None:
    form = {"grant_type": "client_credentials", "scope": "read", **PROGRAM}
    answer = token(provider, form)
    key = jwt.PyJWK(provider.jwks["keys"][0])
    decoded = jwt.decode_complete(answer["access_token"], key, ["RS256"], audience=AUDIENCE)
    assert decoded["header"]["typ"] == "at+jwt"
    assert decoded["header"]["kid"] == key.key_id
    claims = decoded["payload"]
    assert claims.keys() == {"iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti"}
    assert (claims["iss"], claims["sub"], claims["scope"]) == (ISSUER, "demo-client", "read")
    assert "refresh_token" not in answer


def test_a_refresh_token_used_twice_ends_its_family(provider: Provider) -> None:
    first = token(provider, PERSON)["refresh_token"]
    form = {"grant_type": "refresh_token", **OWN}
    second = token(provider, {**form, "refresh_token": first})["refresh_token"]
    assert error(provider, {**form, "refresh_token": first}) == "invalid_grant"
    assert error(provider, {**form, "refresh_token": second}) == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({**PERSON, "password": "wrong"}, "invalid_grant"),
        ({**PERSON, "username": "nobody"}, "invalid_grant"),
        ({**PERSON, "client_secret": "wrong"}, "invalid_client"),
        ({**PERSON, "client_id": "nobody"}, "invalid_client"),
        ({**PERSON, "scope": "read admin"}, "invalid_scope"),
        ({**PERSON, **PROGRAM}, "unauthorized_client"),
        ({**OWN, "grant_type": "client_credentials"}, "unauthorized_client"),
        ({**OWN, "grant_type": "implicit"}, "unsupported_grant_type"),
        ({**OWN}, "invalid_request"),
        ({**OWN, "grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_errors_are_those_of_rfc_6749(
    provider: Provider, form: dict[str, str], expected: str
) -> None:
    assert error(provider, form) == expected


def test_what_is_ambiguous_is_refused(provider: Provider) -> None:
    assert error(provider, PERSON, "Basic eDp5") == "invalid_request"
    with pytest.raises(TokenError, match="invalid_request"):
        provider.token([*PERSON.items(), ("scope", "read"), ("scope", "write")], None)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    **headers: str,
) -> tuple[int, Any]:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


ASKED = {
    "client_id": "gatehouse",
    "redirect_uri": "http://127.0.0.1:8000/auth/demo/callback",
    "response_type": "code",
    "scope": "openid read",
    "state": "s",
    "nonce": "n",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # RFC 7636, appendix B
    "code_challenge_method": "S256",
}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def code_form(provider: Provider, **changes: str) -> dict[str, str]:
    returned = provider.sign_ins.answer(ASKED, "demo")
    query = dict(parse_qsl(urlsplit(returned).query))
    assert (query["state"], query["iss"]) == ("s", ISSUER)
    form = {"grant_type": "authorization_code", "code": query["code"], **OWN}
    usual = {"redirect_uri": ASKED["redirect_uri"], "code_verifier": VERIFIER}
    return {**form, **usual, **changes}


def test_a_person_signs_in_with_a_browser(provider: Provider) -> None:
    assert 'name="password"' in provider.sign_ins.page(ASKED)
    form = code_form(provider)
    answer = token(provider, form)
    key = jwt.PyJWK(provider.jwks["keys"][0])
    claims = jwt.decode(answer["id_token"], key, ["RS256"], audience="gatehouse")
    assert (claims["sub"], claims["nonce"]) == ("demo", "n")
    assert (answer["scope"], answer["refresh_token"] != "") == ("read", True)
    assert error(provider, form) == "invalid_grant"  # once


@pytest.mark.parametrize("name", ["code", "redirect_uri", "code_verifier"])
def test_a_code_is_bound_to_its_sign_in(provider: Provider, name: str) -> None:
    assert error(provider, code_form(provider, **{name: "another"})) == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "demo-client"},
        {"redirect_uri": "http://evil.example/auth/demo/callback"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
    ids=str,
)
def test_a_sign_in_by_another_way_is_refused(provider: Provider, changes: dict[str, str]) -> None:
    with pytest.raises(SignInError):
        provider.sign_ins.page(ASKED | changes)
    with pytest.raises(SignInError):
        provider.sign_ins.answer(ASKED | changes, "demo")


def test_an_order_is_kept_with_who_placed_it(orders: http.client.HTTPConnection) -> None:
    body = json.dumps({"product": "cake", "quantity": 3}).encode()
    status, order = ask(orders, "POST", "/items", body, **{"X-Subject": "demo"})
    assert (status, order["ordered_by"], order["quantity"]) == (201, "demo", 3)
    assert ask(orders, "GET", f"/items/{order['id']}?x=1") == (200, order)
    assert ask(orders, "GET", "/items")[1]["items"][-1] == order
    assert ask(orders, "GET", "/status") == (200, {"status": "ok"})
    for path in ("/items/0", "/items/99", "/items/01", "/items/x", "/other"):
        assert ask(orders, "GET", path)[0] == 404
    assert ask(orders, "HEAD", "/items") == (200, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"product":1}', b'{"product":"a","quantity":true}',
     b'{"product":"a","quantity":0}', b'{"product":""}', b"[" * 10000],
)  # fmt: skip
def test_what_is_no_order_is_refused(orders: http.client.HTTPConnection, body: bytes) -> None:
    assert ask(orders, "POST", "/items", body)[0] == 400


def test_orders_and_bodies_are_bounded(orders: http.client.HTTPConnection) -> None:
    body = b'{"product":"a"}'
    statuses = [ask(orders, "POST", "/items", body)[0] for _ in range(MAX_ITEMS)]
    assert statuses == [201] * (MAX_ITEMS - 2) + [409] * 2
    assert ask(orders, "POST", "/items", b"a" * (MAX_BODY + 1))[0] == 413
    orders.request("POST", "/items", iter([b"a"]), {"Transfer-Encoding": "chunked"})
    assert orders.getresponse().status == 411


def test_a_body_nobody_asked_for_is_not_the_next_request(
    orders: http.client.HTTPConnection,
) -> None:
    smuggled = b"POST /items HTTP/1.1\r\nContent-Length: 15\r\n\r\n"
    assert ask(orders, "GET", "/status", smuggled)[0] == 200
    assert len(ask(orders, "GET", "/items")[1]["items"]) == 2


def test_the_feed_tells_old_and_new_orders(orders: http.client.HTTPConnection) -> None:
    feed = http.client.HTTPConnection(orders.host, orders.port, timeout=10)
    feed.request("GET", "/feed")
    stream = feed.getresponse()
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert [stream.readline() for _ in range(2)] == [b"id: 1\n", b"event: order\n"]
    ask(orders, "POST", "/items", b'{"product":"cake"}')
    lines = [stream.readline() for _ in range(10)]
    assert lines[6:8] == [b"id: 3\n", b"event: order\n"]
    assert json.loads(lines[8].removeprefix(b"data: "))["product"] == "cake"
    feed.sock.close()
    stream.close()


def test_the_file_protects_every_operation_of_the_document() -> None:
    document = yaml.safe_load((DEMO / "orders.yaml").read_text())
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    apis = yaml.safe_load((DEMO / "gatehouse.yaml").read_text())["apis"]
    (api,) = [api for api in apis if "openapi" in api]
    routed = [(method, route["path"]) for route in api["routes"] for method in route["methods"]]
    assert set(routed) == described
    assert len(routed) == len(described)
