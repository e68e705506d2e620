"""Allowance taken in advance: what shared state is spared, and what the bound is."""

import asyncio
from typing import Any

import pytest

from policies.core.advance import Advance
from policies.core.errors import StateUnavailable
from policies.core.state import Allowance, Window
from policies.stores.memory import MemoryBackend, MemoryState

WINDOW = Window(limit=100, per=10)


class Shared:
    """A limit in shared state that counts how often it is asked."""

    def __init__(self, clock: Any) -> None:
        self.state = MemoryState(MemoryBackend(clock))
        self.asked: list[int] = []
        self.down = False

    async def take(self, key: str, rule: Window, cost: int) -> Allowance:
        self.asked.append(cost)
        await asyncio.sleep(0)
        if self.down:
            raise StateUnavailable("off")
        return await self.state.count(key, rule, cost)


@pytest.fixture
def shared(clock: Any) -> Shared:
    return Shared(clock)


def test_shared_state_is_asked_once_for_many_calls(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 10, clock)
        taken = [await worker.take("k", WINDOW) for _ in range(100)]
        assert all(allowance.allowed for allowance in taken)
        assert [allowance.remaining for allowance in taken] == list(range(99, -1, -1))
        assert shared.asked == [10] * 10

    asyncio.run(play())


def test_the_last_units_are_asked_for_one_by_one(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 30, clock)
        taken = [await worker.take("k", WINDOW) for _ in range(101)]
        assert [allowance.allowed for allowance in taken] == [True] * 100 + [False]
        assert taken[-1].remaining == 0
        assert 0 < taken[-1].retry_after <= 10

    asyncio.run(play())


def test_R1_the_bound_a_worker_admits_late_no_more_than_it_took_in_advance(
    shared: Shared, clock: Any
) -> None:
    async def play() -> None:
        workers = [Advance(shared.take, 5, clock) for _ in range(4)]
        for worker in workers:  # each takes five and gives one out
            assert (await worker.take("k", WINDOW)).allowed
        clock.now += 0.9
        admitted = 0
        for worker in workers:
            while (await worker.take("k", WINDOW)).allowed:
                admitted += 1
        assert admitted == 96
        clock.now += 10
        late = 0
        for worker in workers:
            while (await worker.take("k", WINDOW)).allowed:
                late += 1
        assert late == 100

    asyncio.run(play())


def test_what_was_taken_in_advance_is_dropped_after_a_second(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 60, clock)
        await worker.take("k", WINDOW)
        clock.now += 1.01
        assert (await worker.take("k", WINDOW)).remaining == 39
        assert shared.asked == [60, 60, 1]

    asyncio.run(play())


def test_a_refusal_is_remembered_for_a_second_and_no_longer_than_it_holds(
    shared: Shared, clock: Any
) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 50, clock)
        for _ in range(101):
            await worker.take("k", WINDOW)
        asked = len(shared.asked)
        clock.now += 0.5
        again = await worker.take("k", WINDOW)
        assert (again.allowed, again.retry_after) == (False, 9.5)
        assert len(shared.asked) == asked
        clock.now += 0.6
        assert not (await worker.take("k", WINDOW)).allowed
        assert len(shared.asked) > asked
        clock.now += 8.4
        assert not (await worker.take("k", WINDOW)).allowed  # for another half of a second
        clock.now += 0.55
        assert (await worker.take("k", WINDOW)).allowed

    asyncio.run(play())


def test_nobody_waits_for_another_and_one_takes_in_advance(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 10, clock)
        taken = await asyncio.gather(*[worker.take("k", WINDOW) for _ in range(20)])
        assert all(allowance.allowed for allowance in taken)
        assert sorted(shared.asked) == [1] * 19 + [10]

    asyncio.run(play())


def test_R6_a_failure_is_told_and_leaves_nothing_behind(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 10, clock)
        shared.down = True
        with pytest.raises(StateUnavailable):
            await worker.take("k", WINDOW)
        shared.down = False
        await worker.take("k", WINDOW)
        assert shared.asked == [10, 10]

    asyncio.run(play())


def test_the_number_of_keys_is_bounded(shared: Shared, clock: Any) -> None:
    async def play() -> None:
        worker = Advance(shared.take, 10, clock)
        for number in range(10_050):
            await worker.take(f"k{number}", WINDOW)
        assert len(worker._purses) <= 10_000

    asyncio.run(play())
