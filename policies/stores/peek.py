"""State that can only be looked at: for ``explain``, which counts nothing."""

from policies.core.state import Allowance, Rate, State, Window
from policies.stores import gcra
from policies.stores.operations import as_number


class PeekState:
    """``State`` that answers as ``seen`` would, and changes nothing in it."""

    def __init__(self, seen: State) -> None:
        self._seen = seen

    @property
    def unbroken_since(self) -> float:
        return self._seen.unbroken_since

    async def consume(self, key: str, rate: Rate, cost: int = 1) -> Allowance:
        """What would be answered; ``remaining`` is told as it is before."""
        held = await self._seen.consume(key, rate, 0)
        wanted = gcra.assess(rate, round(held.reset_after * gcra.SECOND), cost)
        return wanted if not wanted.allowed else held

    async def count(
        self, key: str, window: Window, cost: int = 1, needs: str | None = None
    ) -> Allowance:
        """What would be answered; ``remaining`` is told as it is before."""
        held = await self._seen.count(key, window, 0, needs)
        return _refused(held, held.reset_after) if held.remaining < cost else held

    async def slide(self, key: str, window: Window, cost: int = 1) -> Allowance:
        """What would be answered; ``remaining`` is told as it is before."""
        held = await self._seen.slide(key, window, 0)
        # A window that has no room for the cost refuses, and changes nothing.
        return await self._seen.slide(key, window, cost) if held.remaining < cost else held

    async def occupy(
        self, key: str, holder: str, limit: int, ttl: float, cost: int = 1
    ) -> Allowance:
        """What would be answered; ``remaining`` is told as it is before."""
        held = await self._seen.occupy(key, holder, limit, ttl, 0)
        return _refused(held, held.reset_after) if held.remaining < cost else held

    def vacate(self, key: str, holder: str) -> None:
        """Nothing was taken."""

    def hold(self, key: str, holder: str, least: int, most: int, ttl: float) -> None:
        """Nothing is held."""

    async def increment(self, key: str, amount: int, ttl: float) -> int:
        """The sum that would be reached."""
        held = await self._seen.read(key)
        return amount + as_number(held or b"")

    async def remember_once(self, key: str, ttl: float) -> bool:
        return await self._seen.read(key) is None

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        """As if it were free: who only looks must not wait for a holder."""
        return True

    async def release(self, key: str, holder: str) -> None:
        """Nothing was taken."""

    async def publish(self, key: str, value: bytes, ttl: float) -> None:
        """Nothing is told to others."""

    async def swap(self, key: str, held: bytes | None, value: bytes, ttl: float) -> bool:
        """Whether it would be stored."""
        return await self._seen.read(key) == held

    async def touch(self, key: str, ttl: float) -> bool:
        return await self._seen.read(key) is not None

    async def read(self, key: str) -> bytes | None:
        return await self._seen.read(key)

    async def delete(self, key: str) -> None:
        """Everything stays."""


def _refused(held: Allowance, retry_after: float) -> Allowance:
    return held._replace(allowed=False, retry_after=retry_after)
