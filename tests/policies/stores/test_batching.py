"""The asynchronous face: what becomes one batch, and what waiters get when the store fails."""

import asyncio
import logging
import os
import threading
from collections.abc import Sequence

import pytest

from policies.core.errors import StateUnavailable
from policies.stores import batching
from policies.stores.batching import BatchingState
from policies.stores.operations import Increment, Operation, Result


class Recorder:
    """A store that records its batches, and can be held, made to fail, or to break."""

    def __init__(self) -> None:
        self.batches: list[list[Operation]] = []
        self.threads: set[int] = set()
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.failure: Exception | None = None

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        self.batches.append(list(batch))
        self.threads.add(threading.get_ident())
        self.entered.release()
        assert self.go_on.wait(30)
        if self.failure is not None:
            raise self.failure
        return [operation.amount for operation in batch]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@pytest.fixture
def store() -> Recorder:
    return Recorder()


@pytest.fixture
def state(store: Recorder) -> BatchingState:
    return BatchingState(store)


def asks(state: BatchingState, count: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(state.increment("n", n, 1)) for n in range(count)]


async def entered(store: Recorder) -> None:
    """Until the store's thread is inside the next batch."""
    await asyncio.to_thread(store.entered.acquire)


def test_all_of_one_tick_go_as_one_batch_and_each_gets_its_own(
    store: Recorder, state: BatchingState
) -> None:
    async def play() -> list[int]:
        return await asyncio.gather(*asks(state, 20))

    assert asyncio.run(play()) == list(range(20))
    assert store.sizes == [20]


def test_those_who_come_while_a_batch_is_on_its_way_go_together_as_the_next(
    store: Recorder, state: BatchingState
) -> None:
    async def play() -> None:
        store.go_on.clear()
        tasks = asks(state, 1)
        await entered(store)
        for _ in range(5):
            tasks += asks(state, 2)
            await asyncio.sleep(0)
        store.go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(play())
    assert store.sizes == [1, 10]


def test_one_thread_serves_all_batches_and_it_is_not_the_loops(
    store: Recorder, state: BatchingState
) -> None:
    async def play() -> None:
        for _ in range(5):
            await state.increment("n", 1, 1)

    asyncio.run(play())
    assert len(store.threads) == 1
    assert threading.get_ident() not in store.threads


def test_large_crowds_are_served_in_bounded_batches(store: Recorder, state: BatchingState) -> None:
    async def play() -> list[int]:
        return await asyncio.gather(*asks(state, 1200))

    assert asyncio.run(play()) == list(range(1200))
    assert store.sizes == [512, 512, 176]


def test_R6_a_failure_is_unavailable_for_every_waiter_and_logged_once(
    store: Recorder, state: BatchingState, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        store.failure = StateUnavailable("the store is gone")
        for _ in range(3):
            outcomes = await asyncio.gather(*asks(state, 5), return_exceptions=True)
            assert [type(o) for o in outcomes] == [StateUnavailable] * 5
            assert len({id(o) for o in outcomes}) == 5
        store.failure = None
        assert await asyncio.gather(*asks(state, 5)) == list(range(5))

    with caplog.at_level(logging.INFO, "policies.stores.batching"):
        asyncio.run(play())
    assert [record.getMessage() for record in caplog.records] == [
        "shared state is not available: the store is gone",
        "shared state is available again",
    ]


def test_F4_a_defect_in_the_store_fails_its_batch_and_not_the_thread(
    store: Recorder, state: BatchingState, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        store.failure = ZeroDivisionError()
        with pytest.raises(StateUnavailable, match="unexpectedly"):
            await state.increment("n", 1, 1)
        store.failure = None
        assert await state.increment("n", 1, 1) == 1

    asyncio.run(play())
    assert "a defect in the state store" in caplog.text


def test_R6_a_store_that_hangs_keeps_nobody_longer_than_the_bound(
    store: Recorder, state: BatchingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_PATIENCE", 0.02)
    monkeypatch.setattr(batching, "_SWEEP", 0.01)

    async def play() -> None:
        store.go_on.clear()
        tasks = asks(state, 3)
        await entered(store)
        tasks += asks(state, 3)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(o) for o in outcomes] == ["shared state did not answer in time"] * 6
        store.go_on.set()
        monkeypatch.setattr(batching, "_PATIENCE", 60)
        assert await state.increment("n", 7, 1) == 7

    asyncio.run(play())
    # Those who had given up before they were handed over were never executed.
    assert store.sizes == [3, 1]


def test_R6_the_queue_is_bounded(
    store: Recorder, state: BatchingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_MAX_WAITING", 10)

    async def play() -> None:
        store.go_on.clear()
        tasks = asks(state, 1)
        await entered(store)
        tasks += asks(state, 15)
        await asyncio.sleep(0)
        refused = [task for task in tasks if task.done()]
        assert len(refused) == 5
        with pytest.raises(StateUnavailable, match="too many"):
            refused[0].result()
        store.go_on.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
    assert store.sizes == [1, 10]


def test_a_waiter_that_left_does_not_disturb_the_others(
    store: Recorder, state: BatchingState
) -> None:
    async def play() -> None:
        store.go_on.clear()
        tasks = asks(state, 3)
        await entered(store)
        tasks[1].cancel()
        store.go_on.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcomes[0], outcomes[2]] == [0, 2]
        assert isinstance(outcomes[1], asyncio.CancelledError)

    asyncio.run(play())


def test_each_loop_of_a_process_is_served(store: Recorder, state: BatchingState) -> None:
    for n in range(3):
        assert asyncio.run(state.increment("n", n, 1)) == n
    sums: list[int] = []

    def elsewhere(n: int) -> None:
        sums.append(asyncio.run(state.increment("n", n, 1)))

    threads = [threading.Thread(target=elsewhere, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sums) == [0, 1, 2, 3]
    assert len(store.threads) == 1


def test_a_loop_that_closed_meanwhile_is_no_error(store: Recorder, state: BatchingState) -> None:
    async def leave() -> None:
        store.go_on.clear()
        asks(state, 1)
        await entered(store)

    asyncio.run(leave())
    store.go_on.set()
    assert asyncio.run(state.increment("n", 5, 1)) == 5


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_starts_a_thread_of_its_own(store: Recorder, state: BatchingState) -> None:
    assert asyncio.run(state.increment("n", 1, 1)) == 1
    child = os.fork()
    if child == 0:
        os._exit(0 if asyncio.run(state.increment("n", 2, 1)) == 2 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_an_operation_is_asked_as_it_is(store: Recorder, state: BatchingState) -> None:
    asyncio.run(state.increment("n", 4, 9))
    assert store.batches == [[Increment("n", 4, 9)]]
