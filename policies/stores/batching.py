"""The asynchronous face of a blocking store: many waiters, one batch at a time, one thread.

Theory of operation. What is asked in one tick of an event loop is collected in that loop's
``_Lane`` and handed to the store's thread as one batch; what is asked while a batch is on its
way waits for its return and goes as the next one. The loop itself never blocks: not for a file
lock, not for a socket. Rules:

1. Cost. Asking is appending to a list; a batch costs one hand-over to the thread and one
   ``call_soon_threadsafe`` back, however many wait for it.
2. Bounds. At most ``_MAX_WAITING`` wait in a lane, further ones are refused at once. Nobody
   waits longer than ``_PATIENCE``: one timer a lane sweeps while anyone waits.
3. Failure. Whatever the store raises becomes ``StateUnavailable`` for every waiter of that
   batch. It is logged when the store begins to fail and when it is back.
4. A lane belongs to one loop, the thread to one process: both are made when first needed, so
   that forks, and servers that make a loop for each request, find their own.
"""

import asyncio
import contextlib
import logging
import os
import threading
from queue import SimpleQueue
from typing import NamedTuple

from policies.core.errors import StateUnavailable
from policies.stores.face import OperationState
from policies.stores.operations import Backend, Operation, Result

logger = logging.getLogger(__name__)

_MAX_WAITING = 10_000
_MAX_BATCH = 512  # bounds how long one batch may keep the store from others
_PATIENCE = 1.0  # seconds
_SWEEP = 0.25  # seconds

_Waiter = tuple[Operation, asyncio.Future[Result]]
_Outcome = list[Result] | StateUnavailable


class _Lane:
    """Those who wait in one event loop. Touched by that loop alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: "SimpleQueue[_Batch]") -> None:
        self.loop = loop
        self._work = work
        self._waiting: list[_Waiter] = []
        self._waiting_since = 0.0  # when the first of them came
        self._carried: list[_Waiter] = []  # the batch that the thread is busy with
        self._carried_since = 0.0
        self._sweeping = False

    def ask(self, operation: Operation) -> asyncio.Future[Result]:
        waiting = self._waiting
        if not waiting:
            self._first_waits()
        elif len(waiting) >= _MAX_WAITING:
            raise StateUnavailable("too many are waiting for shared state")
        future: asyncio.Future[Result] = self.loop.create_future()
        waiting.append((operation, future))
        return future

    def _first_waits(self) -> None:
        self._waiting_since = self.loop.time()
        if not self._carried:
            self.loop.call_soon(self._hand_over)
        if not self._sweeping:
            self._sweeping = True
            self.loop.call_later(_SWEEP, self._sweep)

    def _hand_over(self) -> None:
        self._carried, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
        self._carried_since = self._waiting_since
        if self._carried:
            self._work.put(_Batch(self, [operation for operation, _ in self._carried]))

    def returned(self, outcome: _Outcome) -> None:
        """The thread is back: resolve the batch it carried, hand over the next one."""
        if isinstance(outcome, StateUnavailable):
            _refuse(self._carried, str(outcome))
        else:
            for (_, future), result in zip(self._carried, outcome, strict=True):
                if not future.done():
                    future.set_result(result)
        self._hand_over()

    def _sweep(self) -> None:
        oldest = self.loop.time() - _PATIENCE
        if self._carried and self._carried_since < oldest:
            _refuse(self._carried, "shared state did not answer in time")
        if self._waiting and self._waiting_since < oldest:
            _refuse(self._waiting, "shared state did not answer in time")
            self._waiting = []
        self._sweeping = bool(self._carried or self._waiting)
        if self._sweeping:
            self.loop.call_later(_SWEEP, self._sweep)


def _refuse(waiters: list[_Waiter], reason: str) -> None:
    for _, future in waiters:
        if not future.done():
            future.set_exception(StateUnavailable(reason))


def _forget(future: asyncio.Future[Result]) -> None:
    """Nobody waits for it: a failure, which the store's thread has logged, is taken as seen."""
    if not future.cancelled():
        future.exception()


class _Batch(NamedTuple):
    lane: _Lane
    operations: list[Operation]


class _Here(threading.local):
    lane: _Lane | None = None


class BatchingState(OperationState):
    """``State`` over a blocking backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._here = _Here()
        self._lock = threading.Lock()
        self._work: SimpleQueue[_Batch] = SimpleQueue()
        self._pid = 0  # of the process that the thread runs in

    @property
    def unbroken_since(self) -> float:
        return self._backend.unbroken_since

    def perform(self, operation: Operation) -> asyncio.Future[Result]:
        lane = self._here.lane
        loop = asyncio.get_running_loop()
        if lane is None or lane.loop is not loop:
            lane = self._here.lane = _Lane(loop, self._started())
        return lane.ask(operation)

    def tell(self, operation: Operation) -> None:
        try:
            future = self.perform(operation)
        except StateUnavailable:
            return
        future.add_done_callback(_forget)

    def _started(self) -> "SimpleQueue[_Batch]":
        """The way to this process's thread, started when it is not running."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._work = SimpleQueue()
                worker = _Worker(self._backend, self._work)
                threading.Thread(target=worker.run, name="shared-state", daemon=True).start()
            return self._work


class _Worker:
    """The thread that talks to the store."""

    def __init__(self, backend: Backend, work: "SimpleQueue[_Batch]") -> None:
        self._backend = backend
        self._work = work
        self._failing = False

    def run(self) -> None:
        while True:
            lane, operations = self._work.get()
            outcome = self._execute(operations)
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                lane.loop.call_soon_threadsafe(lane.returned, outcome)

    def _execute(self, operations: list[Operation]) -> _Outcome:
        try:
            results = self._backend.execute(operations)
        except StateUnavailable as error:
            if not self._failing:
                logger.warning("shared state is not available: %s", error)
            self._failing = True
            return error
        except Exception:
            logger.exception("a defect in the state store")
            return StateUnavailable("shared state failed unexpectedly")
        if self._failing:
            logger.warning("shared state is available again")
        self._failing = False
        return results
