"""The methods of ``State`` as operations, once, for every implementation."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import cast

from policies.core.errors import StateUnavailable
from policies.core.state import Allowance, Rate, Window
from policies.stores.operations import (
    Consume,
    Count,
    Delete,
    Hold,
    Increment,
    Lease,
    Occupy,
    Operation,
    Publish,
    Read,
    Release,
    RememberOnce,
    Replace,
    Result,
    Slide,
    Touch,
    Vacate,
)


class OperationState(ABC):
    """``policies.core.state.State`` made of two methods: ``perform`` and ``tell``."""

    @property
    def unbroken_since(self) -> float:
        return float("-inf")

    @abstractmethod
    def perform(self, operation: Operation) -> Awaitable[Result]:
        """The operation's result, or ``StateUnavailable``."""

    @abstractmethod
    def tell(self, operation: Operation) -> None:
        """Have an operation done, after those that were asked before; a failure is not told."""

    def consume(self, key: str, rate: Rate, cost: int = 1) -> Awaitable[Allowance]:
        return cast("Awaitable[Allowance]", self.perform(Consume(key, rate, cost)))

    async def count(
        self, key: str, window: Window, cost: int = 1, needs: str | None = None
    ) -> Allowance:
        allowance = await self.perform(Count(key, window, cost, needs))
        if allowance is None:
            raise StateUnavailable("shared state has lost what was counted")
        return cast(Allowance, allowance)

    async def slide(self, key: str, window: Window, cost: int = 1) -> Allowance:
        return cast(Allowance, await self.perform(Slide(key, window, cost)))

    async def occupy(
        self, key: str, holder: str, limit: int, ttl: float, cost: int = 1
    ) -> Allowance:
        return cast(Allowance, await self.perform(Occupy(key, holder, limit, ttl, cost)))

    def vacate(self, key: str, holder: str) -> None:
        self.tell(Vacate(key, holder))

    def hold(self, key: str, holder: str, least: int, most: int, ttl: float) -> None:
        self.tell(Hold(key, holder, least, most, ttl))

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

    async def swap(self, key: str, held: bytes | None, value: bytes, ttl: float) -> bool:
        change = (
            Publish(key, value, ttl, absent_only=True)
            if held is None
            else Replace(key, held, value, ttl)
        )
        return cast(bool, await self.perform(change))

    async def read(self, key: str) -> bytes | None:
        return cast("bytes | None", await self.perform(Read(key)))

    async def touch(self, key: str, ttl: float) -> bool:
        return cast(bool, await self.perform(Touch(key, ttl)))

    async def delete(self, key: str) -> None:
        await self.perform(Delete(key))
