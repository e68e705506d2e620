"""``client_credentials`` and ``token_exchange``: whose token the upstream gets, and when none."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.gateway_identity import Wanted
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Deny
from policies.kinds.client_credentials import ClientCredentials, ClientCredentialsConfig
from policies.kinds.public import Public
from policies.kinds.token_exchange import TokenExchange, TokenExchangeConfig
from tests.policies.kinds.jwt_route import MakeCall, identity

Make = Callable[..., Services]
AUTHORIZATION = b"authorization"
UNAVAILABLE = Deny("provider_unavailable", "No.")


@dataclass
class Tokens:
    """Tokens for upstreams as a test wants them; notes what it was asked."""

    in_memory: dict[bytes, bytes] = field(default_factory=dict)
    granted: bytes | Deny = b"Bearer new"
    wanted: list[Wanted] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    dropped: list[tuple[bytes, bytes]] = field(default_factory=list)

    def token(self, wanted: Wanted) -> "Tokens":
        if wanted.provider == "nobody":
            raise KeyError(wanted.provider)
        self.wanted.append(wanted)
        return self

    def held(self, subject: bytes, now: float) -> bytes | None:
        return self.in_memory.get(subject)

    async def get(self, subject: bytes, now: float) -> bytes | Deny:
        self.asked.append(subject)
        return self.granted

    def refused(self, subject: bytes, value: bytes, now: float) -> None:
        self.dropped.append((subject, value))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def own(make_services: Make, tokens: Tokens) -> Policy:
    config = ClientCredentialsConfig(provider="acme", scopes=("read",))
    return ClientCredentials(config, make_services(upstream_tokens=tokens))


@pytest.fixture
def swap(make_services: Make, tokens: Tokens) -> Policy:
    config = TokenExchangeConfig(provider="acme", audiences=("urn:up",))
    return TokenExchange(config, make_services(upstream_tokens=tokens))


@pytest.fixture
def call(make_call: MakeCall) -> Call:
    made = make_call(identity=identity(provider="acme"))
    made.token = b"callers.own.token"
    return made


def decide(policy: Policy, call: Call) -> Any:
    decision = policy.check(call)
    return asyncio.run(decision) if inspect.isawaitable(decision) else decision  # type: ignore[arg-type]


def test_what_is_wanted(own: Policy, swap: Policy, tokens: Tokens) -> None:
    assert tokens.wanted == [
        Wanted("acme", False, ("read",)),
        Wanted("acme", True, (), ("urn:up",)),
    ]
    assert own.phase is swap.phase is Phase.SHAPE
    assert own.writes == own.drops == swap.writes == swap.drops == {AUTHORIZATION}


def test_the_gateways_token_serves_everybody(
    own: Policy, tokens: Tokens, call: Call, make_call: MakeCall
) -> None:
    assert decide(own, call) is PASS
    assert call.upstream_fields == [(AUTHORIZATION, b"Bearer new")]
    assert decide(own, make_call()) is PASS
    assert tokens.asked == [b"", b""]


def test_the_callers_token_is_the_subject(swap: Policy, tokens: Tokens, call: Call) -> None:
    assert decide(swap, call) is PASS
    assert call.upstream_fields == [(AUTHORIZATION, b"Bearer new")]
    assert tokens.asked == [b"callers.own.token"]


def test_a_token_in_memory_is_not_waited_for(own: Policy, tokens: Tokens, call: Call) -> None:
    tokens.in_memory[b""] = b"Bearer held"
    assert own.check(call) is PASS
    assert call.upstream_fields == [(AUTHORIZATION, b"Bearer held")]


def test_without_a_token_nothing_passes(
    own: Policy, swap: Policy, tokens: Tokens, call: Call
) -> None:
    tokens.granted = UNAVAILABLE
    assert decide(own, call) is decide(swap, call) is UNAVAILABLE
    assert call.upstream_fields == []


@pytest.mark.parametrize("provider", ["other", ""])
def test_a_token_goes_to_its_own_provider_alone(
    swap: Policy, tokens: Tokens, call: Call, provider: str
) -> None:
    call.identity = identity(provider=provider)
    assert decide(swap, call).code == "client_refused"
    assert tokens.asked == []


def test_a_caller_without_a_token_has_none_to_exchange(
    swap: Policy, tokens: Tokens, call: Call
) -> None:
    call.token = b""
    assert decide(swap, call).code == "client_refused"
    call.token, call.identity = b"t", None
    assert decide(swap, call).code == "client_refused"
    assert tokens.asked == []


def test_D3_a_401_of_the_upstream_is_about_our_token(
    own: Policy, tokens: Tokens, call: Call
) -> None:
    decide(own, call)
    for status in (200, 403, 500):
        assert own.edit(call, status, []) == []
    assert tokens.dropped == []
    assert own.edit(call, 401, [(b"a", b"b")]) == [(b"a", b"b")]
    assert tokens.dropped == [(b"", b"Bearer new")]


def test_a_401_before_any_token_drops_none(swap: Policy, tokens: Tokens, call: Call) -> None:
    swap.edit(call, 401, [])
    assert tokens.dropped == []


def test_in_report_mode_the_call_passes_without_a_token(
    own: Policy, tokens: Tokens, call: Call, make_services: Make
) -> None:
    tokens.granted = UNAVAILABLE
    reported = []
    attached = [Attached(Public(PolicyConfig(), make_services()), "public")]
    attached.append(Attached(own, "client_credentials", "report"))
    chain = compile_chain(attached, lambda name, call, deny: reported.append((name, deny.code)))
    assert asyncio.run(_ran(chain, call)) is PASS
    assert reported == [("client_credentials", "provider_unavailable")]
    assert call.upstream_fields == []


async def _ran(chain: Any, call: Call) -> Any:
    decision = chain.run(call)
    return await decision if inspect.isawaitable(decision) else decision


def test_a_provider_that_nobody_registered_is_refused(make_services: Make, tokens: Tokens) -> None:
    config = ClientCredentialsConfig(provider="nobody")
    with pytest.raises(ValueError, match="'nobody' is not registered"):
        ClientCredentials(config, make_services(upstream_tokens=tokens))
    with pytest.raises(ValueError, match="'nobody' is not registered"):
        ClientCredentials(config, make_services())


@pytest.mark.parametrize(
    "options",
    [
        {"scopes": ["a b"]},
        {"scopes": [""]},
        {"scopes": ['a"']},
        {"audiences": ["a b"]},
        {"audiences": [""]},
        {"resources": ["é"]},
        {"resources": ["x" * 501]},
        {"provider": "Acme"},
        {"secret": "s"},
    ],
)
def test_options_are_bounded(options: dict[str, Any]) -> None:
    for config in (ClientCredentialsConfig, TokenExchangeConfig):
        with pytest.raises(ValidationError):
            config(**{"provider": "acme", **options})
