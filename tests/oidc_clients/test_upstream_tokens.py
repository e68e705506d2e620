"""Tokens for upstreams: asked for once for all, renewed before they end, replaced once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from oidc_clients import upstream_tokens
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.fetch import Response
from oidc_clients.oauth import Endpoints, ProviderUnavailable
from oidc_clients.own_clients import OwnClients
from oidc_clients.provider import ProviderSpec
from oidc_clients.upstream_tokens import (
    EXCHANGE,
    NOT_EXCHANGED,
    REFUSED_SECONDS,
    RETRY,
    SECOND_CHANCE,
    UNAVAILABLE,
    UNUSABLE,
    TokenStore,
    WantedTokens,
)
from policies.core.errors import StateUnavailable
from policies.core.gateway_identity import Wanted
from policies.core.state import State
from policies.core.values import Deny
from policies.secrets import Keyring
from policies.stores.memory import MemoryBackend, MemoryState
from tests.oidc_clients.conftest import Clock

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CLIENT = ClientCredentials("gw", "s3cret")
SPEC = ProviderSpec("acme", "https://op.example", frozenset({"a"}), frozenset({"RS256"}))
OWN = Wanted("acme")
SWAP = Wanted("acme", exchange=True, audiences=("urn:up", "urn:other"))
LIFE = 600


class Endpoint(Endpoints):
    """A token endpoint that numbers its tokens; ``answers`` may say something else."""

    def __init__(self) -> None:
        self.forms: list[dict[str, Any]] = []
        self.answer: Callable[[int], Response] | Exception | None = None

    def ask(self, issuer: Any, endpoint: str, client: Any, form: Any) -> Response:
        assert endpoint == "token_endpoint"
        self.forms.append(dict(form))
        number = len(self.forms)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer(number)
        content = {"access_token": f"t{number}", "token_type": "Bearer", "expires_in": LIFE}
        return Response(200, content, {})


def refusing(error: str) -> Callable[[int], Response]:
    return lambda number: Response(400, {"error": error}, {})


class World:
    """Workers that share a state, a provider and a clock."""

    def __init__(self, state: State, clock: Clock, workers: int = 1) -> None:
        self.clock = clock
        self.endpoint = Endpoint()
        self.keyring = Keyring(["k" * 40])
        self.stores = [
            TokenStore(state, clock, self.endpoint, self.keyring) for _ in range(workers)
        ]

    def token(self, wanted: Wanted = OWN, worker: int = 0, **changes: Any) -> Any:
        own = OwnClients()
        own.add(SPEC, changes.get("client", CLIENT))
        return WantedTokens(self.stores[worker], own).token(wanted)

    async def value(self, token: Any, subject: bytes = b"") -> bytes | Deny:
        """As a policy asks for it."""
        now = self.clock.now
        held = token.held(subject, now)
        return held if held is not None else await token.get(subject, now)

    @property
    def asked(self) -> int:
        return len(self.endpoint.forms)


async def settled(token: Any) -> None:
    """Every job in the background has ended."""
    await asyncio.gather(*token._jobs.values())


@pytest.fixture
def world(state: State, clock: Clock) -> World:
    return World(state, clock)


@pytest.fixture
def workers(state: State, clock: Clock) -> World:
    return World(state, clock, 3)


def test_what_is_asked_for(world: World, run: Run) -> None:
    wanted = Wanted("acme", scopes=("a", "b"), audiences=("urn:up",), resources=("https://up",))
    run(world.value(world.token(wanted)))
    run(world.value(world.token(SWAP), b"callers.own.token"))
    assert world.endpoint.forms == [
        {
            "grant_type": "client_credentials",
            "scope": "a b",
            "audience": ("urn:up",),
            "resource": ("https://up",),
        },
        {
            "grant_type": EXCHANGE,
            "subject_token": "callers.own.token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": ("urn:up", "urn:other"),
        },
    ]


def test_D3_first_calls_of_every_worker_ask_once(workers: World, run: Run) -> None:
    async def scenario() -> set[Any]:
        tokens = [workers.token(worker=number) for number in range(3)]
        return set(await asyncio.gather(*(workers.value(tokens[n % 3]) for n in range(1000))))

    assert run(scenario()) == {b"Bearer t1"}
    assert workers.asked == 1


def test_D3_each_subject_and_each_wanted_token_is_its_own(world: World, run: Run) -> None:
    async def scenario() -> Counter[Any]:
        wanted = [
            SWAP,
            Wanted("acme", True, ("a b",)),
            Wanted("acme", True, ("a", "b")),
            Wanted("acme", True, ("a",), ("b",)),
            Wanted("acme", True, (), ("a",), ("b",)),
        ]
        values = [
            await world.value(world.token(each), subject)
            for each in wanted
            for subject in (b"one", b"two", b"one")
        ]
        return Counter(values)

    assert sorted(run(scenario()).values()) == [1] * 5 + [2] * 5


def test_a_token_is_held_across_generations_until_its_client_changes(
    world: World, run: Run
) -> None:
    first, second = world.token(), world.token()
    assert first is second
    assert run(world.value(first)) == run(world.value(second)) == b"Bearer t1"
    other = world.token(client=ClientCredentials("gw", "another"))
    assert run(world.value(other)) == b"Bearer t2"
    world.stores[0].retain({other.name})
    assert world.token() is not first


def test_D3_a_token_is_renewed_in_the_background_before_it_ends(world: World, run: Run) -> None:
    async def scenario() -> None:
        token = world.token()
        assert await world.value(token) == b"Bearer t1"
        world.clock.now += LIFE * 0.7
        assert await world.value(token) == b"Bearer t1"
        assert world.asked == 1
        world.clock.now += LIFE * 0.1
        assert {await world.value(token) for _ in range(20)} == {b"Bearer t1"}
        await settled(token)
        assert await world.value(token) == b"Bearer t2"
        assert world.asked == 2
        world.clock.now += LIFE  # nobody called in time: the next call waits
        assert await world.value(token) == b"Bearer t3"

    run(scenario())


def test_D3_one_worker_renews_and_the_others_take_it_up(workers: World, run: Run) -> None:
    async def scenario() -> None:
        tokens = [workers.token(worker=number) for number in range(3)]
        for token in tokens:
            assert await workers.value(token) == b"Bearer t1"
        workers.clock.now += LIFE * 0.8
        for token in tokens:
            await workers.value(token)
            await settled(token)
        assert [await workers.value(token) for token in tokens] == [b"Bearer t2"] * 3
        assert workers.asked == 2

    run(scenario())


def test_a_failed_renewal_costs_no_call(world: World, run: Run) -> None:
    async def scenario() -> None:
        token = world.token()
        await world.value(token)
        world.endpoint.answer = ProviderUnavailable("down")
        world.clock.now += LIFE * 0.8
        for _ in range(10):
            assert await world.value(token) == b"Bearer t1"
            await settled(token)
        assert world.asked == 2
        world.clock.now += RETRY
        await world.value(token)
        await settled(token)
        assert world.asked == 3
        world.clock.now += LIFE
        assert await world.value(token) is UNAVAILABLE

    run(scenario())


@pytest.mark.parametrize(
    ("wanted", "error", "deny"),
    [
        (OWN, "invalid_scope", UNUSABLE),
        (OWN, "invalid_client", UNUSABLE),
        (OWN, "server_error", UNAVAILABLE),
        (SWAP, "invalid_request", NOT_EXCHANGED),
        (SWAP, "access_denied", NOT_EXCHANGED),
        (SWAP, "interaction_required", NOT_EXCHANGED),
        (SWAP, "invalid_target", UNUSABLE),
        (SWAP, "unauthorized_client", UNUSABLE),
        (SWAP, "temporarily_unavailable", UNAVAILABLE),
    ],
)
def test_an_error_says_whose_fault_it_is(
    world: World, run: Run, wanted: Wanted, error: str, deny: Deny
) -> None:
    world.endpoint.answer = refusing(error)

    async def scenario() -> None:
        token = world.token(wanted)
        for _ in range(3):
            assert await world.value(token, b"subject") is deny
        assert world.asked == 1  # remembered for a while
        world.clock.now += REFUSED_SECONDS
        assert await world.value(token, b"subject") is deny
        assert world.asked == 2

    run(scenario())


def test_what_fails_for_one_subject_fails_for_no_other(world: World, run: Run) -> None:
    async def scenario() -> None:
        token = world.token(SWAP)
        world.endpoint.answer = ProviderUnavailable("it answered with status 500")
        assert await world.value(token, b"mallory") is UNAVAILABLE
        world.endpoint.answer = None
        assert await world.value(token, b"alice") == b"Bearer t2"

    run(scenario())


@pytest.mark.parametrize(
    "content",
    [
        {"access_token": "a\r\nb", "token_type": "Bearer"},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": "Bearer", "expires_in": 0},
        {"token_type": "Bearer"},
    ],
)
def test_a_token_that_cannot_be_used_is_none(
    world: World, run: Run, content: dict[str, Any]
) -> None:
    world.endpoint.answer = lambda number: Response(200, content, {})
    assert run(world.value(world.token())) is UNAVAILABLE


def test_D3_a_refused_token_is_replaced_once(workers: World, run: Run) -> None:
    async def scenario() -> None:
        here, there = workers.token(worker=0), workers.token(worker=1)
        old = await workers.value(here)
        assert await workers.value(there) == old
        now = workers.clock.now
        here.refused(b"", old, now)
        here.refused(b"", old, now)
        new = await workers.value(here)
        assert (new, workers.asked) == (b"Bearer t2", 2)
        here.refused(b"", old, now)  # answers to calls that were on their way
        there.refused(b"", old, now)
        assert await workers.value(there) == new
        assert workers.asked == 2
        for _ in range(10):
            here.refused(b"", new, now)
            assert await workers.value(here) == new
        assert workers.asked == 2
        workers.clock.now += SECOND_CHANCE
        here.refused(b"", new, workers.clock.now)
        assert await workers.value(here) == b"Bearer t3"

    run(scenario())


def test_D3_what_is_shared_is_sealed(state: State, clock: Clock, run: Run) -> None:
    class Noting(MemoryState):
        published: list[bytes] = []

        async def publish(self, key: str, value: bytes, ttl: float) -> None:
            self.published.append(key.encode() + value)
            await super().publish(key, value, ttl)

    noting = Noting(MemoryBackend(clock))
    world = World(noting, clock)
    world.endpoint.answer = lambda number: Response(
        200, {"access_token": "canary", "token_type": "Bearer", "expires_in": 60}, {}
    )
    assert run(world.value(world.token(SWAP), b"caller-canary")) == b"Bearer canary"
    assert noting.published
    assert b"canary" not in b"".join(noting.published)


def test_what_was_sealed_by_others_is_not_used(state: State, clock: Clock, run: Run) -> None:
    world = World(state, clock, 2)
    world.stores[1].sealer = Keyring(["another" * 6])

    async def scenario() -> None:
        assert await world.value(world.token(worker=0)) == b"Bearer t1"
        assert await world.value(world.token(worker=1)) == b"Bearer t2"

    run(scenario())


def test_without_shared_state_each_worker_asks_for_itself(clock: Clock, run: Run) -> None:
    class Down(MemoryState):
        async def read(self, key: str) -> bytes | None:
            raise StateUnavailable

    world = World(Down(MemoryBackend(clock)), clock, 2)

    async def scenario() -> None:
        for number in range(2):
            token = world.token(worker=number)
            values = await asyncio.gather(*(world.value(token) for _ in range(50)))
            assert set(values) == {b"Bearer t%d" % (number + 1)}

    run(scenario())


def test_a_defect_refuses(world: World, run: Run) -> None:
    world.endpoint.answer = RuntimeError("a defect")
    assert run(world.value(world.token())) is UNUSABLE


def test_jobs_are_bounded(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_tokens, "MAX_JOBS", 5)
    world.stores[0].threads = ThreadPoolExecutor(1)

    async def scenario() -> Counter[Any]:
        token = world.token(SWAP)
        calls = (world.value(token, b"%d" % number) for number in range(20))
        return Counter(type(value) for value in await asyncio.gather(*calls))

    assert run(scenario()) == {bytes: 5, Deny: 15}


def test_a_provider_that_cannot_give_a_token(world: World, run: Run) -> None:
    own = OwnClients()
    generation = WantedTokens(world.stores[0], own)
    off = ProviderSpec("off", "https://o", frozenset({"a"}), frozenset({"RS256"}), enabled=False)
    own.add(off, CLIENT)
    own.add(SPEC, None)
    assert run(world.value(generation.token(Wanted("off")))) is UNAVAILABLE
    with pytest.raises(KeyError):
        generation.token(Wanted("nobody"))
    with pytest.raises(ValueError, match="has no client"):
        generation.token(OWN)
    own.add(SPEC, ClientCredentials("public"))
    with pytest.raises(ValueError, match="has no client"):
        generation.token(OWN)
    own.refuse("acme", "its key does not open")
    with pytest.raises(ValueError, match="its key does not open"):
        generation.token(OWN)
    assert world.asked == 0
