"""A route whose only policy is ``jwt``, and calls that bear tokens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from policies.core.chain import Attached, compile_chain
from policies.core.services import Services
from policies.core.values import PASS, Call, Deny, Identity
from policies.kinds.jwt import Jwt, JwtConfig

MakeCall = Callable[..., Call]
Make = Callable[..., "Route"]
TOKEN = b"aaa.bbb.ccc"


@dataclass
class Tokens:
    """Verification that says what the test wants, and notes what it was asked."""

    verdict: Identity | Deny
    asked: list[tuple[tuple[str, ...], bytes, float]] = field(default_factory=list)

    def provider(self, name: str) -> object | None:
        return {"acme": self, "off": None}[name]

    def recall(self, providers: tuple[str, ...], token: bytes, now: float) -> None:
        return None

    async def verify(self, providers: tuple[str, ...], token: bytes, now: float) -> Identity | Deny:
        self.asked.append((providers, token, now))
        return self.verdict


class Route:
    """A route with the policy as its only one, run as the chain runs it."""

    def __init__(self, services: Services, verdict: Identity | Deny, **options: Any) -> None:
        self.tokens = Tokens(verdict)
        given = Services(services.state, self.tokens, services.clock, services.local)
        self.policy = Jwt(JwtConfig(**{"providers": ("acme",)} | options), given)
        attached = [Attached(self.policy, "jwt")]
        self.chain = compile_chain(attached, lambda *arguments: None)

    def run(self, call: Call) -> Identity | Deny:
        call.identity = None
        decision = asyncio.run(self.chain.run(call))
        if decision is PASS:
            assert call.identity is not None
            return call.identity
        assert isinstance(decision, Deny)
        assert call.identity is None
        return decision

    def refusal(self, call: Call) -> Deny:
        verdict = self.run(call)
        assert isinstance(verdict, Deny)
        return verdict

    def token(self, call: Call) -> bytes:
        """The token that was verified for this call."""
        self.run(call)
        return self.tokens.asked[-1][1]


def identity(**changes: Any) -> Identity:
    claims = {"exp": 1000, "iat": 700} | changes.pop("claims", {})
    usual = {"kind": "jwt", "subject": "u", "scopes": frozenset({"read"})}
    usual |= {"audiences": frozenset({"urn:api"}), "claims": MappingProxyType(claims)}
    return Identity(**usual | changes)


def challenge(deny: Deny) -> bytes:
    (value,) = (value for name, value in deny.fields if name == b"www-authenticate")
    return value
