"""``introspection``: what a route asks of a token about which its provider was asked."""

import asyncio
from typing import Any

import pytest

from policies.core.callers import OpaqueTokens
from policies.core.chain import Attached, compile_chain
from policies.core.values import PASS, Deny, Identity
from policies.kinds.introspection import Introspection, IntrospectionConfig

TOKEN = b"opaque-token-1"
USER = Identity(kind="introspection", subject="u", scopes=frozenset({"read"}))


class Asked:
    """A provider that says one thing of every token, and what it was asked."""

    def __init__(self, verdict: Identity | Deny, known: bool) -> None:
        self.verdict, self.known = verdict, known
        self.asked: list[tuple[bytes, float]] = []

    def provider(self, name: str) -> OpaqueTokens:
        return {"acme": self}[name]

    def recall(self, token: bytes, cache: float, now: float) -> Identity | Deny | None:
        return self.verdict if self.known else None

    async def verify(self, token: bytes, cache: float, now: float) -> Identity | Deny:
        self.asked.append((token, cache))
        return self.verdict


@pytest.fixture
def run(make_services: Any, make_call: Any) -> Any:
    """What a route says of a call with this token."""

    def ask(asked: Asked, mode: Any = "enforce", **options: Any) -> Any:
        config = IntrospectionConfig(**{"provider": "acme", **options})
        policy = Introspection(config, make_services(introspection=asked))
        chain = compile_chain([Attached(policy, "introspection", mode)], lambda *_: None)
        call = make_call(fields=[(b"authorization", b"Bearer " + TOKEN)])
        decision = asyncio.run(chain.run(call))
        assert (decision is PASS) == (call.identity is USER)
        assert call.token == (TOKEN if decision is PASS else b"")
        return decision

    return ask


def test_an_active_token_passes_and_is_known_to_the_call(run: Any) -> None:
    asked = Asked(USER, known=False)
    assert run(asked, cache=5) is PASS
    assert asked.asked == [(TOKEN, 5)]


def test_what_is_remembered_is_not_asked_again(run: Any) -> None:
    asked = Asked(USER, known=True)
    assert run(asked) is PASS
    assert asked.asked == []


@pytest.mark.parametrize("known", [True, False])
def test_D2_a_remembered_answer_must_pass_this_routes_scopes(run: Any, known: bool) -> None:
    """GO-2022-0406: Oathkeeper's cache skipped them."""
    for options in ({"scopes": ("read", "write")}, {"any_scope": ("write", "admin")}):
        refused = run(Asked(USER, known), **options)
        assert (refused.code, refused.refusal.status) == ("insufficient_scope", 403)
    assert run(Asked(USER, known), any_scope=("write", "read")) is PASS


@pytest.mark.parametrize("known", [True, False])
def test_B1_a_refusal_asks_for_another_token(run: Any, known: bool) -> None:
    refused = run(Asked(Deny("token_revoked", "The token is not active."), known))
    assert refused.code == "token_revoked"
    (header,) = refused.fields
    assert header[1].startswith(b'Bearer realm="gatehouse", error="invalid_token"')


def test_D2_an_unavailable_provider_is_503_and_asks_for_nothing(run: Any) -> None:
    refused = run(Asked(Deny("provider_unavailable", "It is down."), known=False))
    assert (refused.refusal.status, refused.fields) == (503, ())


def test_a_provider_that_is_not_registered_is_a_mistake(make_services: Any) -> None:
    services = make_services(introspection=Asked(USER, known=True))
    with pytest.raises(ValueError, match="'other' is not registered"):
        Introspection(IntrospectionConfig(provider="other"), services)
