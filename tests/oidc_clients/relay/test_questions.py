"""Revocation, introspection, codes, and clients that the provider takes by other ways only."""

import pytest

from tests.e2e.servers import until
from tests.oidc_clients.relay.conftest import OWN_SECRET, RelayConsole
from tests.oidc_clients.relay.faults import Faults, Recorded
from tests.oidc_clients.relay.test_token import PERSON, basic

CODE = {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": "https://app/cb"}
VERIFIER = "v" * 43
CLIENT = basic("their client", "their secret")


def sent(faults: Faults, path: str) -> list[Recorded]:
    return [request for request in faults.requests if request.path == path]


def test_a_code_goes_to_the_provider_with_all_that_belongs_to_it(console, faults):
    form = {**CODE, "code_verifier": VERIFIER, "username": "u", "client_id": "their client"}
    reply = console.token("codes", form)
    assert reply.status == 200
    request = faults.to("echo")[-1]
    assert dict(request.form) == {
        **CODE, "code_verifier": VERIFIER, "client_id": "their client"
    }  # fmt: skip
    assert "authorization" not in request.headers


def test_D6_the_gateways_client_redeems_no_code_without_its_verifier(console, faults):
    before = len(faults.to("echo"))
    reply = console.token("codes", CODE)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")
    assert len(faults.to("echo")) == before
    assert console.token("codes", {**CODE, "code_verifier": VERIFIER}).status == 200
    own = faults.to("echo")[-1].headers["authorization"]
    assert own == basic("own client", OWN_SECRET)["Authorization"]


def test_a_token_is_revoked_with_the_clients_or_the_gateways_credentials(console, faults):
    form = {"token": "t0ken", "token_type_hint": "refresh_token", "scope": "dropped"}
    for headers, expected in ((CLIENT, CLIENT), ({}, basic("own client", OWN_SECRET))):
        reply = console.ask("echo", "revoke", form, headers)
        assert (reply.status, reply.content) == (200, b"")
        assert reply.headers["cache-control"] == "no-store"
        request = sent(faults, "/echo/revoke")[-1]
        assert request.headers["authorization"] == expected["Authorization"]
        assert dict(request.form) == {"token": "t0ken", "token_type_hint": "refresh_token"}


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({"token": "t"}, {}),
        ({"token": "t", "client_id": "own client"}, {}),
        ({"token": "t"}, basic("own client", "")),
    ],
)
def test_introspection_takes_the_clients_own_credentials(console, faults, form, headers):
    """RFC 7662 2.1: else anybody could try tokens with the gateway's."""
    before = len(sent(faults, "/echo/introspect"))
    reply = console.ask("echo", "introspect", form, headers)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    assert len(sent(faults, "/echo/introspect")) == before


def test_D2_an_introspection_says_literally_whether_the_token_is_active(console):
    reply = console.ask("echo", "introspect", {"token": "t"}, CLIENT)
    assert (reply.status, reply.json["code"]) == (503, "provider_unavailable")
    assert "does not say whether the token is active" in console.log


@pytest.mark.parametrize("path", ["revoke", "introspect"])
@pytest.mark.parametrize("name", ["server-error", "garbage"])
def test_an_unusable_answer_is_503(console, path, name):
    reply = console.ask(name, path, {"token": "t"}, CLIENT)
    assert (reply.status, reply.json["code"]) == (503, "provider_unavailable")


@pytest.mark.parametrize("path", ["revoke", "introspect"])
def test_an_error_is_the_providers(console, path):
    reply = console.ask("nasty", path, {"token": "t"}, CLIENT)
    assert (reply.status, reply.json["error"]) == (400, "invalid_grant")
    assert "canary-internal" not in reply.content.decode()


@pytest.mark.parametrize("path", ["revoke", "introspect"])
@pytest.mark.parametrize("name", ["no-token", "no-grants", "off", "unknown"])
def test_what_a_provider_does_not_offer_is_not_found(console, name, path):
    reply = console.ask(name, path, {"token": "t"}, CLIENT)
    assert (reply.status, reply.json["code"]) == (404, "route_not_found")


@pytest.mark.parametrize("headers", [CLIENT, {}], ids=["their-secret", "own-secret"])
def test_D7_a_secret_never_goes_into_a_form(
    console: RelayConsole, faults: Faults, headers: dict[str, str]
) -> None:
    """A provider that takes client_secret_post alone gets nothing, and the log says why."""
    before = len(faults.requests)
    for path, form in (("token", PERSON), ("revoke", {"token": "t"})):
        reply = console.ask("post-only", path, form, headers)
        assert (reply.status, reply.json["code"]) == (503, "misconfigured")
    assert len(faults.requests) == before
    until(lambda: "client_secret_post" in console.log, 20, "a line in the log")
    assert "private_key_jwt" in console.log


def test_D7_a_key_is_what_a_post_only_provider_would_have_to_name(
    console: RelayConsole, faults: Faults
) -> None:
    before = len(faults.requests)
    reply = console.token("keyed-post-only", PERSON)
    assert (reply.status, reply.json["code"]) == (503, "misconfigured")
    assert len(faults.requests) == before
    assert "does not take private_key_jwt" in console.log
