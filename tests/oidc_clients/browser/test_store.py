"""Where sessions are kept: sealed, listed by person, and gone when they are ended."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from oidc_clients.browser.store import Session, SessionStore, key_of
from policies.core.state import State
from policies.secrets import Keyring
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.operations import Publish
from tests.oidc_clients.conftest import Clock

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def session(clock: Clock, subject: str = "alice", **changes: Any) -> Session:
    now = clock.now
    usual: dict[str, Any] = {
        "provider": "acme",
        "issuer": "https://id.example.org",
        "created": now,
        "ends": now + 3600,
        "idle": 600,
        "access_token": "canary-access",
        "renew_at": now + 200,
        "expires": now + 300,
        "refresh_token": "canary-refresh",
    }
    return Session(subject=subject, **{**usual, **changes})


@pytest.fixture
def store(state: State, clock: Clock) -> SessionStore:
    return SessionStore(state, Keyring(["one"]), clock)


def test_a_session_is_found_by_its_id_alone(store: SessionStore, clock: Clock, run: Run) -> None:
    async def play() -> None:
        begun = session(clock)
        first, second = await store.begin(begun), await store.begin(begun)
        assert first != second
        assert len(first) == 43
        found = await store.read(key_of(first.encode()))
        assert found is not None
        assert found.session == begun
        assert first not in found.key
        assert await store.read(key_of(b"another")) is None

    run(play())


def test_J15_tokens_are_not_shown(clock: Clock) -> None:
    assert "canary" not in repr(session(clock))


def test_A1_what_is_stored_opens_in_its_own_place_only(clock: Clock, run: Run) -> None:
    backend = MemoryBackend(clock)
    store = SessionStore(MemoryState(backend), Keyring(["one"]), clock)

    async def play() -> None:
        ids = [await store.begin(session(clock, name)) for name in ("alice", "bob")]
        alice, bob = (key_of(item.encode()) for item in ids)
        assert b"canary" not in b"".join(
            value for _, value in backend._entries.values() if isinstance(value, bytes)
        )
        found = await store.read(alice)
        assert found is not None
        backend.execute([Publish(bob, found.sealed, 60)])  # alice's row in bob's place
        assert await store.read(bob) is None
        other = SessionStore(MemoryState(backend), Keyring(["two"]), clock)
        assert await other.read(alice) is None
        rotated = SessionStore(MemoryState(backend), Keyring(["two", "one"]), clock)
        assert await rotated.read(alice) is not None

    run(play())


def test_the_directory_lists_a_persons_sessions(
    store: SessionStore, clock: Clock, run: Run
) -> None:
    async def play() -> None:
        ids = [await store.begin(session(clock, sid=f"s{n}")) for n in range(3)]
        await store.begin(session(clock, "bob"))
        await store.begin(session(clock, provider="other"))
        rows = await store.of_person("acme", "alice")
        assert [row.sid for row in rows] == ["s0", "s1", "s2"]
        assert {row.subject for row in await store.of_provider("acme")} == {"alice", "bob"}
        await store.end("acme", "alice", [key_of(ids[1].encode())])
        rows = await store.of_person("acme", "alice")
        assert [row.sid for row in rows] == ["s0", "s2"]
        assert await store.read(key_of(ids[1].encode())) is None
        assert len(await store.alive(rows)) == 2
        clock.now += 601  # idle
        assert await store.alive(rows) == []

    run(play())


def test_what_has_ended_leaves_the_directory(store: SessionStore, clock: Clock, run: Run) -> None:
    async def play() -> None:
        await store.begin(session(clock, ends=clock.now + 100))
        clock.now += 101
        await store.begin(session(clock))
        assert len(await store.of_person("acme", "alice")) == 1

    run(play())


def test_many_at_once_are_all_listed(store: SessionStore, clock: Clock, run: Run) -> None:
    async def play() -> None:
        ids = await asyncio.gather(*(store.begin(session(clock)) for _ in range(20)))
        keys = {key_of(item.encode()) for item in ids}
        assert {row.key for row in await store.of_person("acme", "alice")} == keys
        await asyncio.gather(*(store.end("acme", "alice", [key]) for key in keys))
        assert await store.of_person("acme", "alice") == []

    run(play())


def test_a_change_needs_what_was_read(store: SessionStore, clock: Clock, run: Run) -> None:
    async def play() -> None:
        key = key_of((await store.begin(session(clock))).encode())
        found = await store.read(key)
        assert found is not None
        changed = await store.change(found, session(clock, access_token="new"))
        assert changed is not None
        assert await store.change(found, session(clock, access_token="newer")) is None
        again = await store.read(key)
        assert again is not None
        assert again.session.access_token == "new"

    run(play())
