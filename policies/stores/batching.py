"""The asynchronous face of a blocking store: many waiters, one batch at a time.

Theory of operation. What is asked in a few ticks of an event loop is collected in that loop's
``_Lane``. Then the lane has it done on the spot, if the store is one that can do
so without waiting for anybody (``PromptBackend``). If it would have to wait, the lane hands the
batch to the store's thread, and what is asked while it is on its way waits for its return. So
the loop waits for no file lock and no socket. Rules:

1. Order. A lane has one batch under way; what is asked later is done later.
2. Cost. Asking is appending to two lists. A batch costs one callback of the loop, and one that
   goes by the thread two hand-overs more, however many wait for it.
3. On the spot only while all goes well: a lane's first batch, which may have to make the file,
   goes by the thread, and so does the one after a batch that failed or took ``_LONG``, as on
   a disk that stalls. At most ``_MAX_ON_THE_SPOT`` operations are done between two ticks.
4. Bounds. At most ``_MAX_WAITING`` wait in a lane, further ones are refused at once. Nobody
   waits longer than ``_PATIENCE``: one timer a lane sweeps while a batch is at the thread.
5. Failure. Whatever the store raises becomes ``StateUnavailable`` for every waiter of that
   batch. It is logged when the store begins to fail and when it is back.
6. A lane belongs to one loop, the thread to one process: both are made when first needed, so
   that forks, and servers that make a loop for each request, find their own.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import TypeVar

from policies.core.errors import StateUnavailable
from policies.stores.face import OperationState
from policies.stores.operations import Backend, Operation, PromptBackend, Result

logger = logging.getLogger(__name__)

_TICKS = 2  # that a batch waits for company: a loop without work passes them at once
_MAX_WAITING = 10_000
_MAX_BATCH = 512  # bounds how long one batch may keep the store from others
_MAX_ON_THE_SPOT = 64  # bounds how long it may keep the loop: some 0.3 ms
_LONG = 0.05  # seconds for a batch, longer than a scheduler's whim
_TIDY_EVERY = 1000  # operations that were done on the spot
_PATIENCE = 1.0  # seconds
_SWEEP = 0.25  # seconds

_Done = TypeVar("_Done")
_Futures = list[asyncio.Future[Result]]
_Work = SimpleQueue[Callable[[], object]]


class _Store:
    """A backend whose failures are answers, and are logged once."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.prompt = backend if isinstance(backend, PromptBackend) else None
        self._failing = False

    def ask(self, method: Callable[..., _Done], *arguments: object) -> _Done | StateUnavailable:
        """What a method of the backend returns, or why it failed."""
        try:
            done = method(*arguments)
        except StateUnavailable as error:
            if not self._failing:
                logger.warning("shared state is not available: %s", error)
            self._failing = True
            return error
        except Exception:
            logger.exception("a defect in the state store")
            return StateUnavailable("shared state failed unexpectedly")
        if self._failing and done is not None:
            logger.warning("shared state is available again")
            self._failing = False
        return done


class _Lane:
    """Those who wait in one event loop. Touched by that loop alone, but for ``_carry``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, store: _Store, work: _Work) -> None:
        self.loop = loop
        self._store = store
        self._work = work
        self._operations: list[Operation] = []  # what waits, and who waits for it
        self._futures: _Futures = []
        self._waiting_since = 0.0  # when the first of them came
        self._carried: _Futures = []  # those of the batch that is at the thread
        self._carried_since = 0.0
        self._sweeping = False
        self._well = False  # the last batch went well
        self._untidied = 0  # operations

    def ask(self, operation: Operation) -> asyncio.Future[Result]:
        operations = self._operations
        if not operations:
            self._waiting_since = self.loop.time()
            if not self._carried:
                self._gather(_TICKS)
        elif len(operations) >= _MAX_WAITING:
            raise StateUnavailable("too many are waiting for shared state")
        future: asyncio.Future[Result] = self.loop.create_future()
        operations.append(operation)
        self._futures.append(future)
        return future

    def _gather(self, ticks: int) -> None:
        """Proceed when so many more ticks have passed."""
        if ticks:
            self.loop.call_soon(self._gather, ticks - 1)
        else:
            self.loop.call_soon(self._proceed)

    def _proceed(self) -> None:
        """Have done what waits, or the first part of it, unless something is under way."""
        if self._carried or not self._operations:
            return
        prompt = self._store.prompt if self._well else None
        operations, futures = self._next(_MAX_BATCH if prompt is None else _MAX_ON_THE_SPOT)
        if prompt is not None:
            began = monotonic()
            outcome = self._store.ask(prompt.attempt, operations)
            if outcome is not None:
                self._settle(futures, outcome, monotonic() - began)
                self._tidy(prompt, len(operations))
                if self._operations:
                    self.loop.call_soon(self._proceed)
                return
        self._carried, self._carried_since = futures, self._waiting_since
        self._work.put(partial(self._carry, operations, monotonic()))
        if not self._sweeping:
            self._sweeping = True
            self.loop.call_later(_SWEEP, self._sweep)

    def _next(self, bound: int) -> tuple[list[Operation], _Futures]:
        """Take what waits, at most ``bound`` of it."""
        operations, futures = self._operations, self._futures
        self._operations, self._futures = operations[bound:], futures[bound:]
        return operations[:bound], futures[:bound]

    def _carry(self, operations: list[Operation], began: float) -> None:
        """In the thread: have a batch done, however long it takes."""
        outcome = self._store.ask(self._store.backend.execute, operations)
        with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._returned, outcome, monotonic() - began)

    def _returned(self, outcome: list[Result] | StateUnavailable, took: float) -> None:
        """The thread is back."""
        futures, self._carried = self._carried, []
        self._settle(futures, outcome, took)
        if self._operations:
            self._proceed()

    def _settle(
        self, futures: _Futures, outcome: list[Result] | StateUnavailable, took: float
    ) -> None:
        if isinstance(outcome, StateUnavailable):
            self._well = False
            _refuse(futures, str(outcome))
            return
        self._well = took < _LONG
        for future, result in zip(futures, outcome, strict=True):
            if not future.done():
                future.set_result(result)

    def _tidy(self, prompt: PromptBackend, done: int) -> None:
        """Let the thread do what attempts put off, now and then."""
        self._untidied += done
        if self._untidied >= _TIDY_EVERY:
            self._untidied = 0
            self._work.put(partial(self._store.ask, prompt.tidy))

    def _sweep(self) -> None:
        self._sweeping = bool(self._carried)
        if not self._sweeping:
            return
        self.loop.call_later(_SWEEP, self._sweep)
        oldest = self.loop.time() - _PATIENCE
        if self._carried_since < oldest:
            _refuse(self._carried, "shared state did not answer in time")
        if self._operations and self._waiting_since < oldest:
            _refuse(self._next(_MAX_WAITING)[1], "shared state did not answer in time")


def _refuse(futures: _Futures, reason: str) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(StateUnavailable(reason))


def _forget(future: asyncio.Future[Result]) -> None:
    """Nobody waits for it: a failure, which has been logged, is taken as seen."""
    if not future.cancelled():
        future.exception()


class _Here(threading.local):
    lane: _Lane | None = None


class BatchingState(OperationState):
    """``State`` over a blocking backend."""

    def __init__(self, backend: Backend) -> None:
        self._store = _Store(backend)
        self._here = _Here()
        self._lock = threading.Lock()
        self._work: _Work = SimpleQueue()
        self._pid = 0  # of the process that the thread runs in

    @property
    def unbroken_since(self) -> float:
        return self._store.backend.unbroken_since

    def perform(self, operation: Operation) -> asyncio.Future[Result]:
        lane = self._here.lane
        loop = asyncio.get_running_loop()
        if lane is None or lane.loop is not loop:
            lane = self._here.lane = _Lane(loop, self._store, self._started())
        return lane.ask(operation)

    def tell(self, operation: Operation) -> None:
        try:
            future = self.perform(operation)
        except StateUnavailable:
            return
        future.add_done_callback(_forget)

    def _started(self) -> _Work:
        """The way to this process's thread, started when it is not running."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._work = SimpleQueue()
                thread = threading.Thread(
                    target=_work_off, args=(self._work,), name="shared-state", daemon=True
                )
                thread.start()
            return self._work


def _work_off(work: _Work) -> None:
    """What the thread does."""
    while True:
        work.get()()
