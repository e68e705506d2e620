"""One timer per worker instead of one per request: deadlines, looked at ten times a second."""

import asyncio
from typing import Protocol
from weakref import WeakKeyDictionary

NEVER = float("inf")
_EVERY = 0.1


class Watched(Protocol):
    """A connection with a deadline on the loop's clock (``NEVER`` while it has none)."""

    deadline: float

    def expire(self) -> None:
        """The deadline passed. Sets a later one, or ends what it waited for."""
        ...


class Sweep:
    """The deadlines of one event loop. Its timer runs while anything is watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Watched] = set()
        self._running = False
        self.now = loop.time()  # coarse: as of the last look

    def watch(self, item: Watched) -> None:
        self._watched.add(item)
        if not self._running:
            self._running = True
            self.now = self._loop.time()
            self._loop.call_later(_EVERY, self._look)

    def forget(self, item: Watched) -> None:
        self._watched.discard(item)

    def _look(self) -> None:
        self.now = self._loop.time()
        due = self.now + _EVERY / 2  # on the mean neither early nor late
        for item in [item for item in self._watched if item.deadline <= due]:
            item.deadline = NEVER
            item.expire()
        self._running = bool(self._watched)
        if self._running:
            self._loop.call_later(_EVERY, self._look)


_SWEEPS: WeakKeyDictionary[asyncio.AbstractEventLoop, Sweep] = WeakKeyDictionary()


def sweep_of(loop: asyncio.AbstractEventLoop) -> Sweep:
    """The sweep of a loop, made at first use."""
    sweep = _SWEEPS.get(loop)
    if sweep is None:
        sweep = _SWEEPS[loop] = Sweep(loop)
    return sweep
