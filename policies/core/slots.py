"""Slots that this worker holds in shared state, and the heartbeat that keeps them.

A slot is taken when a call begins and given back when it ends. Shared state lets all slots of a
holder end ``LIFE`` seconds after it was last heard of; while it holds any, a holder says every
``BEAT`` seconds how many. So slots of a killed worker come free within ``LIFE``, and those that
shared state lost (Redis was started anew) are there again within ``BEAT``.

What is said is a lower and an upper bound: the slots that were granted, and these with those
that were asked for and not answered yet. Operations of one worker are done in order, so what
shared state holds is brought between the bounds exactly where something got lost on the way.
"""

import asyncio
import os
from dataclasses import dataclass

from policies.core.state import Allowance, State

LIFE = 8.0  # seconds
BEAT = 2.0
_AT_ONCE = 500  # keys that are told in one go


@dataclass(slots=True)
class _Mine:
    granted: int = 0
    asked: int = 0  # and not answered yet


class Slots:
    """One holder of slots in ``state``."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._holder = os.urandom(8).hex()
        self._mine: dict[str, _Mine] = {}
        self._beating: asyncio.Task[None] | None = None

    async def occupy(self, key: str, limit: int) -> Allowance:
        """Take a slot of ``key``. Raises ``StateUnavailable``."""
        mine = self._mine.setdefault(key, _Mine())
        mine.asked += 1
        try:
            allowance = await self._state.occupy(key, self._holder, limit, LIFE)
            if allowance.allowed:
                mine.granted += 1
                if self._beating is None or self._beating.done():
                    self._beating = asyncio.get_running_loop().create_task(self._beat())
            return allowance
        finally:
            mine.asked -= 1
            self._forget(key, mine)

    async def look(self, key: str, limit: int) -> Allowance:
        """What ``key`` has left. Raises ``StateUnavailable``."""
        return await self._state.occupy(key, self._holder, limit, LIFE, 0)

    def vacate(self, key: str) -> None:
        """Give back a slot of ``key`` that was granted."""
        mine = self._mine[key]
        mine.granted -= 1
        self._state.vacate(key, self._holder)
        self._forget(key, mine)

    def _forget(self, key: str, mine: _Mine) -> None:
        if not mine.granted and not mine.asked:
            del self._mine[key]

    async def _beat(self) -> None:
        """Say what is held, until nothing is."""
        await asyncio.sleep(BEAT)
        while self._mine:
            for told, key in enumerate(list(self._mine), 1):
                mine = self._mine.get(key)
                if mine is not None:
                    most = mine.granted + mine.asked
                    self._state.hold(key, self._holder, mine.granted, most, LIFE)
                if told % _AT_ONCE == 0:  # so that what is waiting stays bounded
                    await asyncio.sleep(0.01)
            await asyncio.sleep(BEAT)
