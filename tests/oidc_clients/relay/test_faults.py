"""What a provider may do wrong, and what its client sees then: never a token, never a leak."""

import pytest

from tests.e2e.servers import until
from tests.oidc_clients.relay.conftest import RelayConsole
from tests.oidc_clients.relay.faults import GIBIBYTE, Faults

PERSON = {"grant_type": "password", "username": "p", "password": "w"}

UNUSABLE = [
    "html", "html-401", "no-json", "array", "no-token", "token-no-text", "twice", "infinite",
    "deep", "server-error", "too-many", "no-error", "bad-error", "created",
    "garbage", "redirect", "huge", "closed",
    "discovery-down", "other-issuer", "no-endpoint", "file-endpoint", "foreign-endpoint",
]  # fmt: skip


def form(account: str) -> dict[str, str]:
    return {**PERSON, "username": account}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_answer_is_503(console: RelayConsole, name: str) -> None:
    reply = console.token(name, form(name))
    assert reply.status == 503
    assert reply.json == {
        "error": "temporarily_unavailable",
        "error_description": "The identity provider cannot be reached.",
        "code": "provider_unavailable",
    }
    assert int(reply.headers["retry-after"]) > 0
    assert reply.headers["cache-control"] == "no-store"
    until(lambda: f"provider {name}: " in console.log, 20, "a line in the log")


@pytest.mark.parametrize("name", ["slow", "drip"])
def test_a_slow_provider_is_given_up(console: RelayConsole, name: str) -> None:
    reply = console.token(name, form(name))
    assert (reply.status, reply.json["code"]) == (503, "provider_unavailable")


def test_D7_a_redirect_of_the_token_endpoint_is_not_followed(
    console: RelayConsole, faults: Faults
) -> None:
    before = len(faults.to("echo"))
    console.token("redirect", form("redirect"))
    assert len(faults.to("redirect")) > 0
    assert len(faults.to("echo")) == before


def test_D1_an_endless_answer_is_not_read(console: RelayConsole, faults: Faults) -> None:
    console.token("huge", form("huge"))
    assert 0 < faults.sent < GIBIBYTE // 16


def test_D1_metadata_of_another_issuer_get_no_credentials(
    console: RelayConsole, faults: Faults
) -> None:
    console.token("other-issuer", form("other"))
    assert faults.discoveries["other-issuer"] > 0
    assert faults.to("other-issuer") == []


def test_an_error_is_passed_on_in_the_characters_of_the_rfc(console: RelayConsole) -> None:
    reply = console.token("nasty", form("nasty"))
    assert reply.status == 400
    assert reply.json == {
        "error": "invalid_grant",
        "error_description": "no  such Set-Cookie: a=b  <script> ",
    }
    assert "set-cookie" not in reply.headers
    told = console.token("told", form("told"))
    assert told.json["error_uri"] == "https://op.example.org/errors#grant"
    long = console.token("long", form("long"))
    assert len(long.json["error_description"]) == 500


def test_statuses_are_those_of_the_rfc(console: RelayConsole) -> None:
    """RFC 6749 5.2: 400, or 401 where the client failed to authenticate."""
    forbidden = console.token("forbidden", form("forbidden"))
    assert (forbidden.status, forbidden.json["error"]) == (400, "unauthorized_client")
    client = {"client_id": "c", "client_secret": "s"}
    refused = console.token("wrong-client", {**form("w"), **client})
    assert (refused.status, refused.json["error"]) == (401, "invalid_client")
    assert "www-authenticate" in refused.headers


def test_metadata_are_fetched_once(console: RelayConsole, faults: Faults) -> None:
    for _ in range(3):
        assert console.token("echo", form("once")).status == 200
    assert faults.discoveries["echo"] == 1
