"""Tokens through the private listener, from the demo provider."""

import base64
import json
import re
from urllib.parse import quote_plus

import jwt
import pytest

from demo.provider import ProviderServer
from tests.e2e.servers import until
from tests.oidc_clients.relay.conftest import OWN_SECRET

PERSON = {"grant_type": "password", "username": "demo", "password": "demo-password"}
PROGRAM = {"grant_type": "client_credentials", "client_id": "demo-client"}
SECRET = "demo-client-secret"


def basic(client: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def claims(provider: ProviderServer, token: str) -> dict[str, object]:
    key = jwt.PyJWK(provider.provider.jwks["keys"][0])
    return jwt.decode(token, key, algorithms=["RS256"], audience="urn:gatehouse:demo")


def test_a_program_gets_a_token_with_credentials_in_the_body(console, demo_provider):
    reply = console.token("demo", {**PROGRAM, "client_secret": SECRET, "scope": "read"})
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["pragma"] == "no-cache"
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["token_type"] == "Bearer"
    found = claims(demo_provider, reply.json["access_token"])
    assert (found["sub"], found["client_id"]) == ("demo-client", "demo-client")
    assert found["scope"] == "read"


def test_a_program_gets_a_token_with_basic(console, demo_provider):
    form = {"grant_type": "client_credentials"}
    reply = console.token("demo", form, basic("demo-client", SECRET))
    assert reply.status == 200
    assert claims(demo_provider, reply.json["access_token"])["scope"] == "read write"


def test_a_program_gets_a_token_by_json(console):
    body = json.dumps({**PROGRAM, "client_secret": SECRET}).encode()
    reply = console.token("demo", body, {"Content-Type": "application/json; charset=utf-8"})
    assert reply.status == 200


def test_a_person_gets_a_token_and_refreshes_it_without_a_client(console, demo_provider):
    first = console.token("demo", PERSON)
    assert first.status == 200
    found = claims(demo_provider, first.json["access_token"])
    assert (found["sub"], found["client_id"]) == ("demo", "gatehouse")
    form = {"grant_type": "refresh_token", "refresh_token": first.json["refresh_token"]}
    second = console.token("demo", form)
    assert second.status == 200
    assert second.json["refresh_token"] != first.json["refresh_token"]
    again = console.token("demo", form)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


def test_a_wrong_password_is_the_providers_error(console):
    reply = console.token("demo", {**PERSON, "password": "wrong"})
    assert reply.status == 400
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json == {
        "error": "invalid_grant",
        "error_description": "username or password is wrong",
    }


def test_a_wrong_client_secret_is_401_with_a_challenge(console):
    reply = console.token("demo", {**PROGRAM, "client_secret": "wrong"})
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    assert reply.headers["www-authenticate"] == 'Basic realm="gatehouse"'


@pytest.mark.parametrize("form", [{"client_id": "own client"}, {"client_id": "x"}, {}])
def test_nobody_gets_the_gateways_own_token(console, faults, form):
    before = len(faults.to("echo"))
    reply = console.token("echo", {"grant_type": "client_credentials", **form})
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    assert "www-authenticate" in reply.headers
    assert len(faults.to("echo")) == before


def test_the_gateways_secret_never_joins_a_client_that_names_itself(console, faults):
    form = {**PERSON, "client_id": "own client"}
    assert console.token("echo", form).status == 200
    sent = faults.to("echo")[-1]
    assert "authorization" not in sent.headers
    assert ("client_id", "own client") in sent.form


def test_D7_secrets_go_to_the_provider_in_the_header_alone(console, faults):
    assert console.token("echo", PERSON).status == 200
    own = faults.to("echo")[-1]
    assert own.headers["authorization"] == basic("own client", OWN_SECRET)["Authorization"]
    assert own.headers["content-type"] == "application/x-www-form-urlencoded"
    form = {"grant_type": "client_credentials", "client_id": "a:b", "client_secret": "c d:é%"}
    assert console.token("echo", form).status == 200
    theirs = faults.to("echo")[-1]
    assert theirs.headers["authorization"] == basic("a:b", "c d:é%")["Authorization"]
    assert theirs.form == [("grant_type", "client_credentials")]


def test_a_gateway_client_without_secret_is_only_named(console, faults):
    assert console.token("public-client", PERSON).status == 200
    sent = faults.to("echo")[-1]
    assert "authorization" not in sent.headers
    assert ("client_id", "public-gateway") in sent.form


def test_only_known_parameters_are_passed_on(console, faults):
    form = {
        **PERSON,
        "scope": "read write",
        "audience": "urn:a",
        "resource": "urn:r",
        "refresh_token": "r",
        "actor_token": "t",
        "client_id": "",
        "redirect_uri": "https://evil.example",
    }
    headers = {"Cookie": "session=c", "X-Custom": "x", "User-Agent": "evil"}
    assert console.token("echo", form, headers).status == 200
    sent = faults.to("echo")[-1]
    names = ("scope", "audience", "resource")
    assert dict(sent.form) == {**PERSON, **{name: form[name] for name in names}}
    assert not {"cookie", "x-custom", "x-forwarded-for", "x-request-id"} & sent.headers.keys()
    assert sent.headers["user-agent"] == "gatehouse"


def test_the_providers_answer_comes_back_whole(console):
    reply = console.token("echo", PERSON)
    assert reply.json == {"access_token": "echo-token", "token_type": "Bearer", "extra": [1, None]}


@pytest.mark.parametrize(
    ("provider", "grant_type"),
    [
        ("only-refresh", "password"),
        ("only-refresh", "client_credentials"),
        ("no-grants", "refresh_token"),
        ("no-grants", "authorization_code"),
        ("demo", "authorization_code"),
        ("demo", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("demo", "Password"),
    ],
)
def test_D6_a_grant_that_the_provider_does_not_list_is_not_relayed(console, provider, grant_type):
    form = {**PERSON, **PROGRAM, "client_secret": SECRET, "refresh_token": "r", "code": "c"}
    reply = console.token(provider, {**form, "grant_type": grant_type})
    assert (reply.status, reply.json["error"]) == (400, "unsupported_grant_type")


def test_a_provider_without_own_client_wants_the_callers(console):
    reply = console.token("no-client", PERSON)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


def test_a_refused_own_client_is_the_operators_fault(console):
    reply = console.token("wrong-secret", PERSON)
    assert reply.status == 503
    assert (reply.json["error"], reply.json["code"]) == ("temporarily_unavailable", "misconfigured")
    until(lambda: "refuses the gateway's client" in console.log, 20, "a line in the log")


@pytest.mark.parametrize("name", ["off", "unknown", "Demo"])
def test_an_unknown_or_switched_off_provider_is_not_found(console, name):
    reply = console.token(name, PERSON)
    assert (reply.status, reply.json["code"]) == (404, "route_not_found")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["request_id"] == "0123456789abcdef"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_asks_for_tokens(console, method):
    reply = console.private(method, "/auth/demo/token")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_credentials_in_the_url_are_refused(console):
    lines = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = console.private("POST", "/auth/demo/token?client_secret=s", b"grant_type=x", lines)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


def test_a_large_body_is_refused(console):
    for size in (16385, 65537, 1 << 20):
        reply = console.token("demo", b"a" * size)
        assert (reply.status, reply.json["code"]) == (413, "body_too_large"), size
    assert console.token("demo", b"a" * 16384).json["error"] == "invalid_request"


def test_B4_no_secret_reaches_the_log(console, demo_provider, faults):
    secrets = ("canary-client-secret", "canary-password", "canary-refresh", "canary-name")
    tried = [
        {**PERSON, "username": "canary-name", "password": "canary-password"},
        {"grant_type": "refresh_token", "refresh_token": "canary-refresh"},
        {**PROGRAM, "client_secret": "canary-client-secret"},
        {**PROGRAM, "client_secret": "canary-client-secret", "scope": "a" * 20000},
    ]
    for provider in ("demo", "echo", "slow-to-find", "server-error", "garbage", "nasty", "closed"):
        for form in tried:
            reply = console.token(provider, form)
            content = reply.content.decode() + str(reply.headers)
            assert not any(secret in content for secret in (*secrets, OWN_SECRET))
            console.token(provider, form, {"Content-Type": "text/plain"})
            console.token(provider, form, {"Authorization": "Basic canary-password"})
    issued = console.token("demo", PERSON).json
    for secret in (*secrets, OWN_SECRET, "demo-password", SECRET, *issued.values()):
        assert str(secret) == "Bearer" or str(secret) not in console.log or len(str(secret)) < 8
    assert re.search(
        r"request 0123456789abcdef: provider demo: token request answered 400 inv", console.log
    )
