"""The heartbeat of slots: what a killed worker held comes free, what a living one holds stays."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from policies.core import slots
from policies.core.errors import StateUnavailable
from policies.core.slots import LIFE, Slots
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.operations import Delete, Hold, Occupy, Vacate


class Store(MemoryBackend):
    """A store that records what it is told, and can lose what it is asked."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.told: list[Any] = []
        self.loses: type | None = None

    def execute(self, batch: Any) -> Any:
        self.told += batch
        if self.loses and isinstance(batch[0], self.loses):
            return [True]
        return super().execute(batch)

    def used(self, key: str = "k") -> int:
        return 100 - MemoryBackend.execute(self, [Occupy(key, "", 100, 1, 0)])[0].remaining


@pytest.fixture
def store(clock: Any) -> Store:
    return Store(clock)


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch, clock: Any) -> Callable[[float], Any]:
    """Let that many seconds of the store's clock pass, with the heartbeats in them."""
    monkeypatch.setattr(slots, "BEAT", 0)

    async def passed(seconds: float) -> None:
        for _ in range(round(seconds)):
            clock.now += 1
            for _ in range(5):
                await asyncio.sleep(0)

    return passed


def test_slots_of_a_holder_that_is_alive_last_as_long_as_they_are_held(
    store: Store, beats: Any
) -> None:
    async def play() -> None:
        mine = Slots(MemoryState(store))
        await mine.occupy("k", 5)
        await mine.occupy("k", 5)
        await beats(10 * LIFE)
        assert store.used() == 2
        mine.vacate("k")
        await beats(2 * LIFE)
        assert store.used() == 1
        mine.vacate("k")
        assert store.used() == 0

    asyncio.run(play())


def test_slots_of_a_holder_that_was_killed_come_free_within_ten_seconds(
    store: Store, clock: Any
) -> None:
    async def play() -> bool:
        return (await Slots(MemoryState(store)).occupy("k", 1)).allowed

    assert asyncio.run(play())  # its loop is gone with its heartbeat
    clock.now += 7
    assert not asyncio.run(play())
    clock.now += 3
    assert asyncio.run(play())


def test_a_beating_heart_stops_when_nothing_is_held(store: Store, beats: Any) -> None:
    async def play() -> None:
        mine = Slots(MemoryState(store))
        await mine.occupy("k", 1)
        mine.vacate("k")
        await beats(2)
        assert len(asyncio.all_tasks()) == 1
        told = len(store.told)
        await beats(5)
        assert len(store.told) == told
        await mine.occupy("k", 1)
        await beats(5)
        assert isinstance(store.told[-1], Hold)

    asyncio.run(play())


def test_what_the_store_lost_is_there_again_after_a_beat(store: Store, beats: Any) -> None:
    async def play() -> None:
        mine = Slots(MemoryState(store))
        for _ in range(3):
            await mine.occupy("k", 5)
        store.execute([Delete("k")])
        assert store.used() == 0
        await beats(1)
        assert store.used() == 3

    asyncio.run(play())


def test_a_return_that_was_lost_is_made_up_for_by_the_next_beat(store: Store, beats: Any) -> None:
    async def play() -> None:
        mine = Slots(MemoryState(store))
        for _ in range(3):
            await mine.occupy("k", 5)
        store.loses = Vacate
        mine.vacate("k")
        assert store.used() == 3
        await beats(1)
        assert store.used() == 2

    asyncio.run(play())


def test_a_beat_takes_nothing_from_those_who_are_just_asking(store: Store) -> None:
    """Between the asking and the answer, a slot is there and not known to be granted."""

    class Slow(MemoryState):
        async def occupy(self, *arguments: Any) -> Any:
            allowance = await super().occupy(*arguments)
            await answering.wait()
            return allowance

    async def play() -> None:
        mine = Slots(Slow(store))
        answering.set()
        await mine.occupy("k", 5)
        answering.clear()
        asking = [asyncio.create_task(mine.occupy("k", 5)) for _ in range(2)]
        for _ in range(20):  # they are in the store, and a beat has come
            await asyncio.sleep(0)
        assert isinstance(store.told[-1], Hold)
        assert store.used() == 3
        answering.set()
        assert all(allowance.allowed for allowance in await asyncio.gather(*asking))

    answering = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "BEAT", 0)
        asyncio.run(play())


def test_nothing_is_held_of_what_was_refused_or_could_not_be_asked(store: Store) -> None:
    class Down(MemoryState):
        async def occupy(self, *arguments: Any) -> Any:
            raise StateUnavailable("off")

    async def play() -> None:
        refused, down = Slots(MemoryState(store)), Slots(Down(store))
        await refused.occupy("k", 1)
        for _ in range(3):
            assert not (await refused.occupy("k", 1)).allowed
            with pytest.raises(StateUnavailable):
                await down.occupy("k", 1)
        assert refused._mine.keys() == {"k"}
        assert down._mine == {}
        refused.vacate("k")
        assert refused._mine == {}

    asyncio.run(play())
    gc.collect()
