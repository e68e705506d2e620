"""Sessions as workers see them: renewed once, over in time, and never brought back."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from oidc_clients.browser.grants import GrantRefused, Grants, GrantUnavailable, SignIn, Tokens
from oidc_clients.browser.sessions import REMEMBERED, RETRY, BrowserSessions
from oidc_clients.browser.store import Session, SessionStore, key_of
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.fetch import Reach
from policies.core.errors import StateUnavailable
from policies.core.state import State
from policies.core.values import Deny
from policies.secrets import Keyring
from tests.oidc_clients.conftest import Clock

Run = Callable[[Coroutine[Any, Any, Any]], Any]
LIFE = 300.0
SIGN_IN = SignIn("acme", "https://id.example.org", ClientCredentials("gw", "s"), Reach())
KEYRING = Keyring(["a key of the tests"])


class Rotating(Grants):
    """A token endpoint that rotates refresh tokens, and takes all back when one is used twice."""

    def __init__(self) -> None:
        self.good: set[str] = {"refresh-0"}
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.rotates = True
        self.arrived, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def refresh(self, sign_in: SignIn, refresh_token: str, now: float) -> Tokens:
        self.asked.append(refresh_token)
        self.arrived.set()
        assert self.gate.wait(20)
        if self.fault is not None:
            raise self.fault
        if refresh_token not in self.good:
            self.good.clear()
            raise GrantRefused("invalid_grant")
        number = len(self.asked)
        following = f"refresh-{number}" if self.rotates else ""
        if self.rotates:
            self.good = {following}
        return Tokens(f"access-{number}", following, "", now + LIFE - 60, now + LIFE)


class World:
    """Some workers over one state, and one session."""

    def __init__(self, state: State, clock: Clock, count: int = 1) -> None:
        self.clock = clock
        self.state = state
        self.store = SessionStore(state, KEYRING, clock)
        self.provider = Rotating()
        self.workers = [self.worker() for _ in range(count)]
        self.cookie = b""

    def worker(self, **options: Any) -> BrowserSessions:
        made = BrowserSessions(self.store, self.provider, self.clock, **options)
        made.replace([SIGN_IN])
        return made

    async def begin(self, **changes: Any) -> None:
        now = self.clock.now
        session = Session(
            provider="acme",
            issuer=SIGN_IN.issuer,
            subject="alice",
            created=now,
            ends=now + 8 * 3600,
            idle=1800,
            access_token="access-0",
            renew_at=now + LIFE - 60,
            expires=now + LIFE,
            refresh_token="refresh-0",
        )
        self.cookie = (await self.store.begin(replace(session, **changes))).encode()

    async def ask(self, worker: int = 0) -> bytes | str:
        """The token, or the code of the refusal."""
        verdict = await self.workers[worker].token("acme", self.cookie, self.clock.now)
        return verdict.code if isinstance(verdict, Deny) else verdict

    async def settle(self) -> None:
        for worker in self.workers:
            await worker.settle()


@pytest.fixture
def world(state: State, clock: Clock) -> Callable[..., World]:
    return lambda count=1: World(state, clock, count)


def test_a_token_is_renewed_before_it_expires_and_nobody_waits(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        assert await one.ask() == b"access-0"
        one.clock.now += LIFE - 59
        one.provider.gate.clear()  # the provider does not answer yet
        assert await one.ask() == b"access-0"
        one.provider.gate.set()
        await one.settle()
        assert await one.ask() == b"access-1"
        assert one.provider.asked == ["refresh-0"]

    run(play())


def test_D6_many_workers_renew_once_and_refuse_nobody(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        four = world(4)
        await four.begin()
        for turn in range(1, 4):  # each time with the refresh token that came last
            four.clock.now += LIFE + 1
            answers = await asyncio.gather(*(four.ask(n % 4) for n in range(100)))
            assert set(answers) == {f"access-{turn}".encode()}
            assert len(four.provider.asked) == turn

    run(play())


def test_a_refresh_token_that_does_not_rotate_is_kept(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world()
        one.provider.rotates = False
        await one.begin()
        for _ in range(3):
            one.clock.now += LIFE + 1
            assert isinstance(await one.ask(), bytes)
        assert one.provider.asked == ["refresh-0"] * 3

    run(play())


def test_a_session_that_ends_while_it_is_renewed_stays_ended(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world(2)
        await one.begin()
        one.clock.now += LIFE + 1
        one.provider.gate.clear()
        asking = asyncio.create_task(one.ask())
        assert await asyncio.to_thread(one.provider.arrived.wait, 20)
        await one.store.end("acme", "alice", [key_of(one.cookie)])
        one.provider.gate.set()
        await asking
        one.clock.now += REMEMBERED
        assert [await one.ask(n) for n in (0, 1)] == ["session_invalid"] * 2
        assert await one.store.of_person("acme", "alice") == []

    run(play())


def test_a_refused_refresh_token_ends_the_session(world: Callable[..., World], run: Run) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        one.provider.good.clear()
        one.clock.now += LIFE + 1
        assert await one.ask() == "session_invalid"
        assert await one.store.read(key_of(one.cookie)) is None

    run(play())


def test_F3_a_provider_that_fails_is_asked_again_later_by_one(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        two = world(2)
        await two.begin()
        two.provider.fault = GrantUnavailable("down")
        two.clock.now += LIFE - 59  # due, and still valid
        assert await two.ask() == b"access-0"
        await two.settle()
        assert [await two.ask(n) for n in (0, 1)] == [b"access-0"] * 2
        await two.settle()
        assert len(two.provider.asked) == 1
        two.clock.now += 60  # expired
        assert {await two.ask(n) for n in (0, 1)} == {"provider_unavailable"}
        assert len(two.provider.asked) == 2
        two.provider.fault = None
        assert await two.ask() == "provider_unavailable"
        two.clock.now += RETRY + 0.1
        assert await two.ask() == b"access-3"

    run(play())


def test_a_session_without_a_refresh_token_is_over_when_its_token_is(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world()
        await one.begin(refresh_token="")
        one.clock.now += LIFE + 1
        assert await one.ask() == "session_invalid"
        assert one.provider.asked == []

    run(play())


@pytest.mark.parametrize("uses", [0, 20])
def test_A5_a_session_is_over_in_time(world: Callable[..., World], run: Run, uses: int) -> None:
    """After its idle time without use, and at its end however much it is used."""

    async def play() -> None:
        one = world()
        far = one.clock.now + 10**6
        await one.begin(renew_at=far, expires=far, idle=1800, ends=one.clock.now + 20 * 1700)
        for _ in range(uses):
            assert await one.ask() == b"access-0"
            one.clock.now += 1700
        if not uses:
            one.clock.now += 1801
        assert await one.ask() == "session_invalid"

    run(play())


def test_what_was_read_is_used_for_less_than_a_second(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        assert await one.ask() == b"access-0"
        await one.store.end("acme", "alice", [key_of(one.cookie)])
        assert await one.ask() == b"access-0"
        one.clock.now += REMEMBERED
        assert await one.ask() == "session_invalid"

    assert REMEMBERED < 1
    run(play())


def test_a_clock_that_is_set_back_keeps_nothing_longer(
    world: Callable[..., World], run: Run
) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        assert await one.ask() == b"access-0"
        await one.store.end("acme", "alice", [key_of(one.cookie)])
        one.clock.now -= 3600
        assert await one.ask() == "session_invalid"

    run(play())


@pytest.mark.parametrize(
    "sign_in",
    [
        replace(SIGN_IN, provider="other"),
        replace(SIGN_IN, issuer="https://other.example.org"),
        replace(SIGN_IN, enabled=False),
    ],
    ids=["provider", "issuer", "off"],
)
def test_J9_a_session_is_good_for_the_provider_it_was_begun_at(
    world: Callable[..., World], run: Run, sign_in: SignIn
) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        one.workers[0].replace([sign_in])
        verdict = await one.workers[0].token(sign_in.provider, one.cookie, one.clock.now)
        assert isinstance(verdict, Deny)
        assert verdict.code == "session_invalid"

    run(play())


@pytest.mark.parametrize("cookie", [b"", b"made-up", b"x" * 129, b"\xff\x00"])
def test_a_made_up_cookie_is_no_session(
    world: Callable[..., World], run: Run, cookie: bytes
) -> None:
    async def play() -> None:
        one = world()
        await one.begin()
        one.cookie = cookie
        assert await one.ask() == "session_invalid"

    run(play())


class Failing:
    """State that cannot answer some questions."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.failing: set[str] = set()
        self.failed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            self.failed.set()
            raise StateUnavailable("down")
        return getattr(self._state, name)


def test_F2_without_state_there_is_no_verdict(state: State, clock: Clock, run: Run) -> None:
    async def play() -> None:
        one = World(state, clock)
        await one.begin()
        failing = Failing(state)
        one.store.state = failing  # type: ignore[assignment]
        failing.failing = {"read"}
        with pytest.raises(StateUnavailable):
            await one.ask()

    run(play())


def test_what_a_provider_gave_is_kept_when_the_state_is_back(
    state: State, clock: Clock, run: Run
) -> None:
    """A provider that rotates has taken the former refresh token back by then."""

    async def play() -> None:
        one = World(state, clock)
        await one.begin()
        one.store.state = failing = Failing(state)  # type: ignore[assignment]
        clock.now += LIFE + 1
        failing.failing = {"swap"}
        asking = asyncio.create_task(one.ask())
        await failing.failed.wait()
        failing.failing = set()
        assert await asking == b"access-1"
        clock.now += LIFE + 1
        assert await one.ask() == b"access-2"

    run(play())


class Overtaken:
    """State in which another worker renews just before the first lease is given."""

    def __init__(self, state: State, other: World) -> None:
        self._state = state
        self._other = other
        self.overtaken = False

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        if not self.overtaken:
            self.overtaken = True
            assert await self._other.ask() == b"access-1"
        return await self._state.lease(key, holder, ttl)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def test_D6_who_is_overtaken_before_the_lease_does_not_ask_again(
    state: State, clock: Clock, run: Run
) -> None:
    async def play() -> None:
        first, second = World(state, clock), World(state, clock)
        await first.begin()
        second.cookie, second.provider = first.cookie, first.provider
        second.workers = [second.worker()]
        first.store.state = Overtaken(state, second)  # type: ignore[assignment]
        clock.now += LIFE + 1
        assert await first.ask() == b"access-1"
        assert first.provider.asked == ["refresh-0"]

    run(play())


def test_who_looks_on_renews_nothing(state: State, clock: Clock, run: Run) -> None:
    async def play() -> None:
        one = World(state, clock)
        await one.begin()
        one.workers = [one.worker(renews=False)]
        clock.now += LIFE + 1
        assert await one.ask() == b"access-0"
        await one.settle()
        assert one.provider.asked == []

    run(play())
