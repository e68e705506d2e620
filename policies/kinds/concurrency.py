"""``concurrency``: how many calls of somebody may be under way at the same time.

A call holds its slot until it has ended, however it ends: an answer that streams and a tunnel
hold theirs to their end. The slots of a worker that was killed come free within ten seconds.
"""

from collections.abc import Awaitable
from functools import partial
from typing import ClassVar

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.limit import By, Limit, WhenStateFails
from policies.core.services import Services
from policies.core.slots import Slots
from policies.core.state import Allowance
from policies.core.values import Call


class ConcurrencyConfig(PolicyConfig):
    """Options of ``concurrency``."""

    limit: int = Field(
        ge=1,
        le=1_000_000,
        title="Limit",
        description="Calls that may be under way at the same time.",
    )
    by: By = "identity"
    on_failure: WhenStateFails = "deny"


class Concurrency(Limit):
    """See the module."""

    kind = "concurrency"
    code = "too_many_concurrent"
    unnamed = "concurrency"
    Config: ClassVar[type[PolicyConfig]] = ConcurrencyConfig
    summary = "Limits how many calls may be under way at the same time."

    def __init__(self, config: ConcurrencyConfig, services: Services) -> None:
        super().__init__(config.by, config.on_failure, services)
        self._limit = config.limit
        self._shared, self._local = Slots(services.state), Slots(services.local)
        self._allows(
            config.limit,
            b';q=%d;qu="concurrent-requests"' % config.limit,
            f"At most {config.limit} calls may be under way at the same time.",
        )

    def _take(self, key: str, call: Call) -> Awaitable[Allowance]:
        return self._occupy(self._shared, key, call)

    def _take_here(self, key: str, call: Call) -> Awaitable[Allowance]:
        return self._occupy(self._local, key, call)

    async def _occupy(self, slots: Slots, key: str, call: Call) -> Allowance:
        allowance = await slots.occupy(key, self._limit)
        if allowance.allowed:
            call.ending.append(partial(slots.vacate, key))
        return allowance

    def look(self, key: str) -> Awaitable[Allowance]:
        return self._shared.look(key, self._limit)
