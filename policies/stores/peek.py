"""State that can only be looked at: for ``explain``, which counts nothing."""

from policies.core.services import Allowance, Rate, State
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

    async def read(self, key: str) -> bytes | None:
        return await self._seen.read(key)

    async def delete(self, key: str) -> None:
        """Everything stays."""
