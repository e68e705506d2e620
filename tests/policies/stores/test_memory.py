"""The in-process store is bounded, whatever is thrown at it."""

import asyncio
import sys
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.core.state import Rate
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.operations import (
    Consume,
    Delete,
    Increment,
    Lease,
    Publish,
    Read,
    Release,
    RememberOnce,
)


def test_ended_entries_leave_as_others_come(clock: Callable[[], float]) -> None:
    backend = MemoryBackend(clock)
    backend.execute([RememberOnce(f"old {n}", 10) for n in range(1000)])
    clock.now += 20
    backend.execute([RememberOnce(f"new {n}", 10) for n in range(100)])
    assert len(backend) == 100


def test_an_entry_that_lives_longer_than_it_was_filed_stays(clock: Callable[[], float]) -> None:
    backend = MemoryBackend(clock)
    backend.execute([Lease("l", "a", 10)])
    clock.now += 9
    backend.execute([Lease("l", "a", 10)])
    clock.now += 9
    backend.execute([RememberOnce(f"n {n}", 10) for n in range(100)])
    assert backend.execute([Lease("l", "b", 10)]) == [False]
    clock.now += 2
    backend.execute([RememberOnce(f"m {n}", 100) for n in range(100)])
    assert backend.execute([Lease("l", "b", 10)]) == [True]


def test_at_the_cap_the_entry_that_ends_first_makes_room(clock: Callable[[], float]) -> None:
    backend = MemoryBackend(clock, max_entries=3)
    backend.execute([Publish("long", b"", 300), Publish("short", b"", 30), Publish("mid", b"", 60)])
    backend.execute([Publish("new", b"", 600)])
    found = backend.execute([Read("long"), Read("short"), Read("mid"), Read("new")])
    assert found == [b"", None, b"", b""]
    assert len(backend) == 3


def test_at_the_cap_a_renewed_entry_does_not_count_as_the_first(
    clock: Callable[[], float],
) -> None:
    backend = MemoryBackend(clock, max_entries=2)
    backend.execute([Lease("renewed", "a", 10), Publish("other", b"", 60)])
    backend.execute([Lease("renewed", "a", 600), Publish("new", b"", 300)])
    assert backend.execute([Read("renewed"), Read("other"), Read("new")]) == [b"a", None, b""]


def test_taking_and_giving_back_one_lease_for_ever_holds_one_entry(
    clock: Callable[[], float],
) -> None:
    backend = MemoryBackend(clock)
    for _ in range(1000):
        clock.now += 0.5
        backend.execute([Lease("l", "a", 10), Release("l", "a"), Delete("l")])
    assert len(backend) == 1
    assert sum(map(len, backend._filed.values())) == 1


names = st.sampled_from([f"k{n}" for n in range(12)])
ttls = st.floats(0.01, 100)
steps = st.one_of(
    st.builds(RememberOnce, names, ttls),
    st.builds(Lease, names, st.sampled_from("ab"), ttls),
    st.builds(Release, names, st.sampled_from("ab")),
    st.builds(Publish, names, st.just(b"v"), ttls),
    st.builds(Delete, names),
    st.builds(Consume, names, st.just(Rate(5, 60, 5))),
    st.floats(0, 50),
)


@settings(max_examples=200)
@given(st.lists(steps, max_size=80))
def test_it_never_holds_more_than_the_cap_and_files_each_key_once(played: list[object]) -> None:
    now = [1_800_000_000.0]
    backend = MemoryBackend(lambda: now[0], max_entries=5)
    for step in played:
        if isinstance(step, float):
            now[0] += step
        else:
            backend.execute([step])
        assert len(backend) <= 5
        filed = [key for keys in backend._filed.values() for key in keys]
        assert sorted(filed) == sorted(backend._entries)


def test_R1_threads_count_exactly() -> None:
    backend = MemoryBackend()
    rate = Rate(limit=500, per=3600, burst=500)
    allowed: list[bool] = []

    def ask() -> None:
        for _ in range(500):
            backend.execute([Increment("n", 1, 600)] * 20)
            allowed.append(backend.consume("b", rate, 1).allowed)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert backend.execute([Read("n")]) == [b"80000"]
    assert sum(allowed) == 500


def test_it_answers_without_giving_up_the_loop() -> None:
    allowance = MemoryState().consume("k", Rate(1, 60, 1))
    assert allowance.allowed

    async def play() -> None:
        assert await allowance is allowance  # who awaits it does not give up the loop either

    with pytest.raises(StopIteration):
        play().send(None)


def test_two_states_are_apart() -> None:
    async def play() -> None:
        assert await MemoryState().remember_once("k", 60)
        assert await MemoryState().remember_once("k", 60)

    asyncio.run(play())
