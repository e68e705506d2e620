"""The methods of ``State`` as operations, once, for every implementation."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import cast

from policies.core.services import Allowance, Rate
from policies.stores.operations import (
    Consume,
    Delete,
    Increment,
    Lease,
    Operation,
    Publish,
    Read,
    Release,
    RememberOnce,
    Result,
)


class OperationState(ABC):
    """``policies.core.services.State`` made of one method: ``perform``."""

    @property
    def unbroken_since(self) -> float:
        return float("-inf")

    @abstractmethod
    def perform(self, operation: Operation) -> Awaitable[Result]:
        """The operation's result, or ``StateUnavailable``."""

    async def consume(self, key: str, rate: Rate, cost: int = 1) -> Allowance:
        return cast(Allowance, await self.perform(Consume(key, rate, cost)))

    async def increment(self, key: str, amount: int, ttl: float) -> int:
        return cast(int, await self.perform(Increment(key, amount, ttl)))

    async def remember_once(self, key: str, ttl: float) -> bool:
        return cast(bool, await self.perform(RememberOnce(key, ttl)))

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        return cast(bool, await self.perform(Lease(key, holder, ttl)))

    async def release(self, key: str, holder: str) -> None:
        await self.perform(Release(key, holder))

    async def publish(self, key: str, value: bytes, ttl: float) -> None:
        await self.perform(Publish(key, value, ttl))

    async def read(self, key: str) -> bytes | None:
        return cast("bytes | None", await self.perform(Read(key)))

    async def delete(self, key: str) -> None:
        await self.perform(Delete(key))
