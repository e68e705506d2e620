"""``accuracy: eventual``: allowance that a worker takes in advance from a shared limit.

Instead of asking shared state for every call, a worker asks for ``units`` at a time and gives
them out itself, for at most ``_KEPT`` seconds; what is left then is dropped. So shared state is
never told less than was admitted, and the limit holds, but for this:

- Late. What was taken in advance may be given out up to ``_KEPT`` seconds later: in any stretch
  of time each worker may admit ``units`` beyond the limit.
- Early. What lies unused in one worker is refused in another: up to ``units`` for each worker.

While one call asks in advance for a key, others of this worker ask for themselves: nobody
waits for another. A refusal is remembered for as long, so that a caller far above its limit
costs shared state next to nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from policies.core.state import Allowance

_KEPT = 1.0  # seconds
_MAX_KEYS = 10_000

Take = Callable[[str, Any, int], Awaitable[Allowance]]


class _Purse(NamedTuple):
    """What a worker knows of one key until ``ends``: units to give out, or that there are none."""

    units: int
    answer: Allowance  # of shared state, at ``taken``
    taken: float
    ends: float


class Advance:
    """Takes in advance from ``take`` (a method of ``State``); ``clock`` tells seconds."""

    def __init__(self, take: Take, units: int, clock: Callable[[], float]) -> None:
        self._ask = take
        self._units = units
        self._clock = clock
        self._purses: dict[str, _Purse] = {}
        self._asking: set[str] = set()

    async def take(self, key: str, rule: Any) -> Allowance:
        """One unit of ``key``. Raises ``StateUnavailable``."""
        now = self._clock()
        purse = self._purses.get(key)
        if purse is not None and purse.taken <= now < purse.ends:
            if not purse.answer.allowed:
                return _later(purse, now)
            if purse.units:
                purse = self._purses[key] = purse._replace(units=purse.units - 1)
                return _later(purse, now)
        if key in self._asking:
            return await self._ask(key, rule, 1)
        self._asking.add(key)
        try:
            return await self._refill(key, rule, now)
        finally:
            self._asking.discard(key)

    async def _refill(self, key: str, rule: Any, now: float) -> Allowance:
        units, answer = self._units, await self._ask(key, rule, self._units)
        if not answer.allowed:
            units, answer = 1, await self._ask(key, rule, 1)
        kept = _KEPT if answer.allowed else min(_KEPT, answer.retry_after)
        if len(self._purses) >= _MAX_KEYS:
            self._purses.clear()
        purse = self._purses[key] = _Purse(units - 1, answer, now, now + kept)
        return _later(purse, now)


def _later(purse: _Purse, now: float) -> Allowance:
    """What shared state would answer now, as far as this worker knows."""
    allowed, remaining, retry_after, reset_after = purse.answer
    passed = now - purse.taken
    left = purse.units if allowed else 0
    return Allowance(
        allowed, remaining + left, max(0.0, retry_after - passed), max(0.0, reset_after - passed)
    )
