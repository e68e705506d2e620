"""D2: what a provider says of opaque tokens, and how long that is believed."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs

import pytest

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.endpoints import MetadataCache
from oidc_clients.introspection import (
    MAX_CACHE,
    RETRY,
    Introspector,
    NextIntrospection,
)
from oidc_clients.oauth import Endpoints
from oidc_clients.own_clients import OwnClients
from oidc_clients.revocation import Entry, Kind, RevocationBook
from policies.core.callers import OpaqueTokens
from policies.core.values import Deny, Identity
from tests.oidc_clients.conftest import Clock
from tests.oidc_clients.loopback import AUDIENCE, Provider

TOKEN = b"opaque-token-1"
SECRET = "a client secret"


class Gateway:
    """One process as far as opaque tokens go."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.introspector = Introspector(Endpoints(MetadataCache()), clock)

    def tokens(self, provider: Provider, **changes: Any) -> OpaqueTokens:
        """A provider in a generation of its own, as the wiring installs it."""
        own = OwnClients()
        own.add(provider.spec(**changes), ClientCredentials("gw", SECRET))
        generation = NextIntrospection(self.introspector, own)
        found = generation.provider("acme")
        self.introspector.retain(generation.names)
        return found


@pytest.fixture
def gateway(clock: Clock) -> Gateway:
    return Gateway(clock)


@pytest.fixture
def provider(provider: Provider, clock: Clock) -> Provider:
    provider.metadata = {"introspection_endpoint": provider.url("/introspect")}
    provider.said = said(provider, clock)
    return provider


def said(provider: Provider, clock: Clock, **changes: Any) -> dict[str, Any]:
    """What is said of a good token; ``...`` leaves a member out."""
    usual = {
        "active": True,
        "iss": provider.issuer,
        "sub": "user-1",
        "client_id": "app",
        "aud": AUDIENCE,
        "scope": "read write",
        "exp": int(clock.now) + 300,
        "token_type": "Bearer",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def verdict(
    tokens: OpaqueTokens, clock: Clock, token: bytes = TOKEN, cache: float = 30
) -> Identity | Deny:
    return asyncio.run(tokens.verify(token, cache, clock.now))


def code(*arguments: Any, **options: Any) -> str:
    found = verdict(*arguments, **options)
    return found.code if isinstance(found, Deny) else ""


def test_D2_an_active_token_is_an_identity(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    identity = verdict(gateway.tokens(provider), clock)
    assert isinstance(identity, Identity)
    assert (identity.kind, identity.subject, identity.issuer) == (
        "introspection",
        "user-1",
        provider.issuer,
    )
    assert (identity.client, identity.scopes) == ("app", {"read", "write"})
    path, headers, body = provider.seen[-1]
    assert path == "/introspect"
    basic = base64.b64encode(b"gw:a+client+secret").decode()
    assert headers["Authorization"] == f"Basic {basic}"
    assert parse_qs(body.decode()) == {
        "token": [TOKEN.decode()],
        "token_type_hint": ["access_token"],
    }


@pytest.mark.parametrize("active", [False])
def test_D2_an_inactive_token_is_refused_whatever_else_is_said(
    gateway: Gateway, provider: Provider, clock: Clock, active: object
) -> None:
    provider.said = said(provider, clock, active=active)
    assert code(gateway.tokens(provider), clock) == "token_revoked"


@pytest.mark.parametrize("active", [..., None, "true", "True", 1, [True], {"active": True}])
def test_D2_only_the_literal_true_is_active(
    gateway: Gateway, provider: Provider, clock: Clock, active: object
) -> None:
    """What RFC 7662 does not know is no answer: a fault of the provider, not of the token."""
    provider.said = said(provider, clock, active=active)
    assert code(gateway.tokens(provider), clock) == "provider_unavailable"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"exp": ...}, "token_malformed"),
        ({"exp": "soon"}, "token_malformed"),
        ({"exp": True}, "token_malformed"),
        ({"exp": 1}, "token_expired"),
        ({"nbf": 2_000_000_000}, "token_not_yet_valid"),
        ({"iat": "now"}, "token_malformed"),
        ({"aud": ...}, "token_audience"),
        ({"aud": "urn:other"}, "token_audience"),
        ({"aud": [AUDIENCE + "/"]}, "token_audience"),
        ({"iss": "https://other.example.org"}, "token_issuer"),
        ({"iss": None}, "token_issuer"),
        ({"sub": ..., "client_id": ...}, "token_malformed"),
        ({"token_type": ...}, "token_type"),
        ({"token_type": "refresh_token"}, "token_type"),
        ({"token_type": "N_A"}, "token_type"),
        ({"token_type": None}, "token_type"),
        ({"typ": "Refresh"}, "token_type"),
        ({"token_use": "refresh_token"}, "token_type"),
        ({"typ": "ID"}, "token_type"),
        ({"nonce": "n"}, "token_type"),
        ({"events": {}}, "token_type"),
    ],
)
def test_D2_what_is_said_is_checked_as_of_a_jwt(
    gateway: Gateway, provider: Provider, clock: Clock, changes: dict[str, Any], refusal: str
) -> None:
    provider.said = said(provider, clock, **changes)
    assert code(gateway.tokens(provider), clock) == refusal


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ...},
        {"aud": ["urn:other", AUDIENCE]},
        {"token_type": "bearer"},
        {"token_type": "DPoP", "cnf": {"jkt": "x"}},
        {"token_type": ..., "typ": "Bearer"},
        {"token_type": "access_token"},
        {"token_use": "access_token"},
        {"sub": ...},
    ],
)
def test_D2_ways_in_which_providers_say_it(
    gateway: Gateway, provider: Provider, clock: Clock, changes: dict[str, Any]
) -> None:
    provider.said = said(provider, clock, **changes)
    assert code(gateway.tokens(provider), clock) == ""


def test_D2_an_answer_is_used_as_long_as_the_route_wants(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    verdict(tokens, clock)
    provider.said = {"active": False}
    clock.now += 20
    assert isinstance(tokens.recall(TOKEN, 30, clock.now), Identity)
    assert tokens.recall(TOKEN, 10, clock.now) is None
    assert tokens.recall(TOKEN, 0, clock.now) is None
    assert code(tokens, clock, cache=10) == "token_revoked"
    assert provider.hits["introspect"] == 2


def test_D2_no_answer_is_used_longer_than_a_minute(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    verdict(tokens, clock, cache=3600)
    clock.now += MAX_CACHE - 1
    assert isinstance(tokens.recall(TOKEN, 3600, clock.now), Identity)
    clock.now += 1
    assert tokens.recall(TOKEN, 3600, clock.now) is None


def test_D2_no_answer_is_used_beyond_the_tokens_life(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    provider.said = said(provider, clock, exp=int(clock.now) + 10)
    tokens = gateway.tokens(provider)
    verdict(tokens, clock)
    clock.now += 9
    assert isinstance(tokens.recall(TOKEN, 60, clock.now), Identity)
    clock.now += 1
    assert tokens.recall(TOKEN, 60, clock.now) is None


def test_D2_a_refusal_is_remembered_as_long(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    provider.said = {"active": False}
    tokens = gateway.tokens(provider)
    for _ in range(3):
        assert code(tokens, clock) == "token_revoked"
    assert provider.hits["introspect"] == 1
    clock.now += 30
    provider.said = said(provider, clock)
    assert code(tokens, clock) == ""


def test_D2_what_one_provider_said_is_nothing_of_another(
    gateway: Gateway, provider: Provider, clock: Clock, other_provider: Provider
) -> None:
    """CVE-2026-33496: the cache of Oathkeeper was not keyed by the server."""
    assert code(gateway.tokens(provider), clock) == ""
    other_provider.metadata = {"introspection_endpoint": other_provider.url("/introspect")}
    assert code(gateway.tokens(other_provider), clock) == "token_revoked"


def test_D2_a_changed_description_forgets_what_was_said(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    assert code(tokens, clock) == ""
    assert gateway.tokens(provider) is tokens
    narrowed = gateway.tokens(provider, audiences=frozenset({"urn:other"}))
    assert code(narrowed, clock) == "token_audience"
    assert gateway.tokens(provider) is not tokens


def test_D2_a_provider_that_is_switched_off_refuses_its_tokens(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    assert code(gateway.tokens(provider), clock) == ""
    assert code(gateway.tokens(provider, enabled=False), clock) == "token_issuer"
    assert provider.hits["introspect"] == 1


def test_D2_calls_with_one_token_ask_once(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    verdict(tokens, clock, b"first-of-all")  # the metadata are there
    provider.hold()

    async def together() -> list[Identity | Deny]:
        calls = [asyncio.create_task(tokens.verify(TOKEN, 30, clock.now)) for _ in range(50)]
        await provider.held()
        provider.gate.set()
        return await asyncio.gather(*calls)

    found = asyncio.run(together())
    assert all(isinstance(each, Identity) for each in found)
    assert provider.hits["introspect"] == 2


def test_D2_a_caller_that_leaves_takes_the_question_of_the_others_with_it_not(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    verdict(tokens, clock, b"first-of-all")
    provider.hold()

    async def leaving() -> Identity | Deny:
        first, second = (asyncio.create_task(tokens.verify(TOKEN, 30, clock.now)) for _ in range(2))
        await provider.held()
        first.cancel()
        provider.gate.set()
        return await second

    assert isinstance(asyncio.run(leaving()), Identity)


def test_D2_tokens_are_not_mixed_up(gateway: Gateway, provider: Provider, clock: Clock) -> None:
    """CVE-2026-71326: one caller's answer must not reach another by a colliding key."""
    tokens = gateway.tokens(provider)
    assert code(tokens, clock, b"a-b") == ""
    provider.said = {"active": False}
    for token in (b"a-b=", b"a", b"A-b", b"a-bb"):
        assert code(tokens, clock, token) == "token_revoked", token


@pytest.mark.parametrize(
    "fault", ["down", "error", "html", "garbage", "twice", "truncated", "redirect", "compressed"]
)
def test_D2_a_provider_that_does_not_answer_is_unavailable(
    gateway: Gateway, provider: Provider, clock: Clock, fault: str
) -> None:
    tokens = gateway.tokens(provider)
    assert code(tokens, clock, b"first-of-all") == ""
    provider.fault = fault
    refused = verdict(tokens, clock)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("provider_unavailable", 503)
    assert (b"retry-after", b"1") in refused.fields
    assert code(tokens, clock, b"first-of-all") == "", "what was said stays"
    provider.fault = ""
    clock.now += RETRY
    assert code(tokens, clock) == ""


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_D2_a_provider_that_refuses_the_question_says_nothing_of_the_token(
    gateway: Gateway, provider: Provider, clock: Clock, status: int
) -> None:
    provider.status, provider.said = status, {"error": "invalid_client", "active": True}
    assert code(gateway.tokens(provider), clock) == "provider_unavailable"


def test_D2_a_silent_provider_is_not_asked_again_at_once(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    assert code(tokens, clock, b"first-of-all") == ""
    provider.fault = "error"
    for number in range(5):
        assert code(tokens, clock, b"token-%d" % number) == "provider_unavailable"
    assert provider.hits["introspect"] == 2


def test_D2_a_provider_without_the_endpoint_is_unavailable(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    provider.metadata = {}
    assert code(gateway.tokens(provider), clock) == "provider_unavailable"


def test_CVE_2026_26998_an_answer_without_end_is_cut(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    assert code(tokens, clock, b"first-of-all") == ""
    provider.fault = "huge"
    assert code(tokens, clock) == "provider_unavailable"
    assert provider.hits["MiB sent"] < 100


@pytest.mark.parametrize("token", [b"", b"a b", b"a\x00", b"\xc3\xa9", b'"', b"a,b", b"=a"])
def test_what_cannot_be_a_token_is_not_asked_about(
    gateway: Gateway, provider: Provider, clock: Clock, token: bytes
) -> None:
    tokens = gateway.tokens(provider)
    assert code(tokens, clock, token) == "token_malformed"
    assert code(tokens, clock, b"a" * 8193) == "token_malformed"
    assert provider.hits["introspect"] == 0


def test_without_a_client_that_proves_itself_nobody_can_ask(
    gateway: Gateway, provider: Provider
) -> None:
    own = OwnClients()
    generation = NextIntrospection(gateway.introspector, own)
    for client in (None, ClientCredentials("gw")):
        own.add(provider.spec(), client)
        with pytest.raises(ValueError, match="has no client with a secret or a key"):
            generation.provider("acme")
    with pytest.raises(KeyError):
        generation.provider("other")
    own.refuse("acme", "its secret does not open")
    with pytest.raises(ValueError, match="does not open"):
        generation.provider("acme")


def test_J14_what_was_taken_back_is_refused_whatever_the_provider_says(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    """Remembered or not; and what the provider says counts again once it is given back."""
    provider.said = said(provider, clock, jti="one", iat=int(clock.now))
    tokens = gateway.tokens(provider)
    assert isinstance(verdict(tokens, clock), Identity)
    for entry in (
        Entry(provider.issuer, Kind.TOKEN, "one"),
        Entry(provider.issuer, Kind.SUBJECT, "user-1", clock.now + 1),
        Entry(provider.issuer, Kind.CLIENT, "app", clock.now + 1),
    ):
        gateway.introspector.revoke(RevocationBook([entry]))
        assert code(tokens, clock) == "token_revoked"
        assert code(gateway.tokens(provider, leeway=7), clock) == "token_revoked"
        gateway.introspector.revoke(RevocationBook())
        tokens = gateway.tokens(provider)
        assert isinstance(verdict(tokens, clock), Identity)


def test_J14_a_revocation_leaves_all_others_remembered(
    gateway: Gateway, provider: Provider, clock: Clock
) -> None:
    tokens = gateway.tokens(provider)
    verdict(tokens, clock)
    asked = provider.hits["introspect"]
    gateway.introspector.revoke(RevocationBook([Entry(provider.issuer, Kind.TOKEN, "another")]))
    assert isinstance(verdict(tokens, clock), Identity)
    assert provider.hits["introspect"] == asked
