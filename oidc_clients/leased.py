"""One worker does what all of them need; the others wait for what it leaves in shared state."""

import asyncio
from collections.abc import Awaitable, Callable

from policies.core.state import State

POLL = 0.05
"""Seconds between two looks at what the holder of a lease leaves."""


async def once_for_all(
    state: State,
    lease: str,
    holder: str,
    found: Callable[[], Awaitable[bool]],
    act: Callable[[], Awaitable[None]],
    ttl: float,
    patience: float,
) -> None:
    """``act`` under the lease, unless ``found`` says that it need not be done (any more).

    ``found`` looks at what another worker may have left meanwhile. ``ttl`` is longer than
    ``act`` can take: so long a killed worker hinders the others. Returns without either after
    ``patience`` seconds of another worker's lease. Raises ``StateUnavailable``.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while not await found():
        if await state.lease(lease, holder, ttl):
            try:
                if not await found():
                    await act()
            finally:
                await state.release(lease, holder)
            return
        if loop.time() >= end:
            return
        await asyncio.sleep(POLL)
