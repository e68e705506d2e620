"""Batches that are done on the loop's own thread, and when they are not."""

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from policies.core.errors import StateUnavailable
from policies.stores import batching
from policies.stores.batching import BatchingState
from policies.stores.operations import Increment, Operation, PromptBackend, Result


class Store:
    """A store that says by whom it was asked, and can be busy or fail."""

    unbroken_since = float("-inf")

    def __init__(self) -> None:
        self.loop_thread = threading.get_ident()
        self.batches: list[tuple[str, int]] = []  # who did it, and how many operations it had
        self.done: list[int] = []
        self.busy = 0  # attempts that will find the store taken
        self.failure: Exception | None = None
        self.tidied = threading.Semaphore(0)

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        assert threading.get_ident() != self.loop_thread
        return self._do("thread", batch)

    def attempt(self, batch: Sequence[Operation]) -> list[Result] | None:
        assert threading.get_ident() == self.loop_thread
        if self.busy:
            self.busy -= 1
            return None
        return self._do("loop", batch)

    def tidy(self) -> None:
        assert threading.get_ident() != self.loop_thread
        self.tidied.release()

    def keys(self, prefix: str) -> Iterator[str]:
        raise NotImplementedError

    def _do(self, who: str, batch: Sequence[Operation]) -> list[Result]:
        self.batches.append((who, len(batch)))
        if self.failure is not None:
            raise self.failure
        self.done += [operation.amount for operation in batch]
        return [operation.amount for operation in batch]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def state(store: Store) -> BatchingState:
    assert isinstance(store, PromptBackend)
    return BatchingState(store)


def asks(state: BatchingState, *numbers: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(state.increment("n", n, 1)) for n in numbers]


async def warmed(state: BatchingState, store: Store) -> None:
    """After the first batch, which goes by the thread."""
    await state.increment("n", 0, 1)
    store.batches.clear()
    store.done.clear()


def test_the_first_batch_goes_by_the_thread_and_the_next_are_done_by_the_loop(
    store: Store, state: BatchingState
) -> None:
    async def play() -> None:
        for size in (2, 3, 4):
            assert await asyncio.gather(*asks(state, *range(size))) == list(range(size))

    asyncio.run(play())
    assert store.batches == [("thread", 2), ("loop", 3), ("loop", 4)]


def test_a_store_that_is_taken_is_left_to_the_thread(store: Store, state: BatchingState) -> None:
    async def play() -> None:
        await warmed(state, store)
        store.busy = 1
        assert await asyncio.gather(*asks(state, 1, 2)) == [1, 2]
        assert await asyncio.gather(*asks(state, 3)) == [3]

    asyncio.run(play())
    assert store.batches == [("thread", 2), ("loop", 1)]


def test_what_is_asked_while_a_batch_is_at_the_thread_comes_after_it(
    store: Store, state: BatchingState
) -> None:
    async def play() -> None:
        await warmed(state, store)
        entered, go_on = threading.Event(), threading.Event()
        execute = store.execute

        def held(batch: Sequence[Operation]) -> list[Result]:
            entered.set()
            assert go_on.wait(30)
            return execute(batch)

        store.execute = held
        store.busy = 1
        tasks = asks(state, 1, 2)
        await asyncio.to_thread(entered.wait)
        state.tell(Increment("n", 3, 1))
        tasks += asks(state, 4)
        for _ in range(5):
            await asyncio.sleep(0)
        assert store.done == []
        go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(play())
    assert store.done == [1, 2, 3, 4]
    assert store.batches == [("thread", 2), ("loop", 2)]


def test_a_crowd_is_served_in_parts_between_which_the_loop_does_other_things(
    store: Store, state: BatchingState
) -> None:
    seen: list[int] = []

    async def play() -> None:
        await warmed(state, store)
        tasks = asks(state, *range(150))
        while not all(task.done() for task in tasks):
            seen.append(len(store.done))
            await asyncio.sleep(0)

    asyncio.run(play())
    assert store.batches == [("loop", 64), ("loop", 64), ("loop", 22)]
    assert store.done == list(range(150))
    assert {64, 128} <= set(seen)


def test_R6_a_failure_on_the_spot_is_unavailable_for_every_waiter_and_logged_once(
    store: Store, state: BatchingState, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        await warmed(state, store)
        store.failure = StateUnavailable("the disk is full")
        for _ in range(2):
            outcomes = await asyncio.gather(*asks(state, 1, 2), return_exceptions=True)
            assert [type(o) for o in outcomes] == [StateUnavailable] * 2
        store.failure = None
        assert await asyncio.gather(*asks(state, 3)) == [3]
        assert await asyncio.gather(*asks(state, 4)) == [4]

    with caplog.at_level(logging.INFO, "policies.stores.batching"):
        asyncio.run(play())
    assert store.batches == [("loop", 2), ("thread", 2), ("thread", 1), ("loop", 1)]
    assert [record.getMessage() for record in caplog.records] == [
        "shared state is not available: the disk is full",
        "shared state is available again",
    ]


def test_F4_a_defect_on_the_spot_fails_its_batch_and_not_the_loop(
    store: Store, state: BatchingState
) -> None:
    async def play() -> None:
        await warmed(state, store)
        store.failure = ZeroDivisionError()
        with pytest.raises(StateUnavailable, match="unexpectedly"):
            await state.increment("n", 1, 1)
        store.failure = None
        assert await state.increment("n", 2, 1) == 2

    asyncio.run(play())


def test_after_a_batch_that_took_long_the_thread_is_asked_first(
    store: Store, state: BatchingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        await warmed(state, store)
        monkeypatch.setattr(batching, "_LONG", 0.0)
        assert await asyncio.gather(*asks(state, 1)) == [1]
        assert await asyncio.gather(*asks(state, 2)) == [2]
        monkeypatch.undo()
        assert await asyncio.gather(*asks(state, 3)) == [3]
        assert await asyncio.gather(*asks(state, 4)) == [4]

    asyncio.run(play())
    assert [who for who, _ in store.batches] == ["loop", "thread", "thread", "loop"]


def test_the_thread_tidies_after_a_number_of_operations(
    store: Store, state: BatchingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_TIDY_EVERY", 10)

    async def play() -> None:
        await warmed(state, store)
        for _ in range(4):
            await asyncio.gather(*asks(state, *range(6)))
        for _ in range(2):
            assert await asyncio.to_thread(store.tidied.acquire, timeout=30)
        assert not store.tidied.acquire(blocking=False)

    asyncio.run(play())


def test_each_loop_begins_with_the_thread(store: Store, state: BatchingState) -> None:
    for n in range(2):
        asyncio.run(state.increment("n", n, 1))
    assert store.batches == [("thread", 1), ("thread", 1)]
