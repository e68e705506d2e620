"""``rate_limit``: how often somebody may call.

By GCRA, on average ``limit`` calls in ``per`` seconds and at most ``burst`` at once; or at most
``limit`` in a window that slides, or in one that is fixed. Each check is one atomic step in
shared state, so parallel calls through any number of workers never get more (OWASP API4).
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from policies.core.advance import Advance
from policies.core.config import PolicyConfig
from policies.core.limit import By, Limit, WhenStateFails
from policies.core.services import Services
from policies.core.state import Allowance, Rate, State, Window
from policies.core.values import Call

_LONGEST_DRAIN = 366 * 24 * 3600  # seconds: keeps every sum in a bucket exact
_IN_ADVANCE = 50  # eventual: a worker takes this part of the limit at a time

Algorithm = Literal["gcra", "sliding_window", "fixed_window"]


class RateLimitConfig(PolicyConfig):
    """Options of ``rate_limit``."""

    limit: int = Field(
        ge=1,
        le=1_000_000_000,
        title="Limit",
        description="Calls that are allowed in each period; with gcra, on average.",
    )
    per: int = Field(
        ge=1,
        le=31 * 24 * 3600,
        title="Period",
        description="Length of the period in seconds.",
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        title="Burst",
        description=(
            "gcra: calls that are allowed at once after a pause. Empty: as many as the limit."
        ),
    )
    by: By = "identity"
    algorithm: Algorithm = Field(
        default="gcra",
        title="Algorithm",
        description=(
            "gcra: allowance comes back evenly over the period. sliding_window: never more than "
            "the limit in any stretch of the period. fixed_window: all of it comes back when the "
            "period that began with the first call ends."
        ),
    )
    accuracy: Literal["exact", "eventual"] = Field(
        default="exact",
        title="Accuracy",
        description=(
            "exact: every call asks shared state. eventual: each worker takes a fiftieth of the "
            "limit (or burst) at a time, for at most a second: faster, and each worker may admit "
            "that much too much or too little."
        ),
    )
    on_failure: WhenStateFails = "deny"

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        if self.algorithm != "gcra" and self.burst is not None:
            raise ValueError("burst is for gcra: a window admits its limit at once")
        if (self.burst or self.limit) * self.per / self.limit > _LONGEST_DRAIN:
            raise ValueError("a full burst would take more than 366 days to come back")
        return self


class RateLimit(Limit):
    """See the module."""

    kind = "rate_limit"
    code = "rate_limited"
    unnamed = "default"
    Config: ClassVar[type[PolicyConfig]] = RateLimitConfig
    summary = "Limits how often somebody may call."

    def __init__(self, config: RateLimitConfig, services: Services) -> None:
        bucket = config.algorithm == "gcra"
        variant = "" if bucket else f":{config.algorithm}:{config.per}"
        super().__init__(config.by, config.on_failure, services, variant)
        most = config.burst or config.limit
        self._allows(
            most,
            b";q=%d;w=%d" % (config.limit, config.per),
            f"At most {config.limit} calls in {config.per} seconds are allowed.",
        )
        self._rule: Rate | Window = Window(config.limit, config.per)
        if bucket:
            self._rule = Rate(config.limit, config.per, most)
        self._shared = self._exact = _counter(services.state, config.algorithm)
        self._local = _counter(services.local, config.algorithm)
        units = most // _IN_ADVANCE
        if config.accuracy == "eventual" and units > 1:
            self._shared = Advance(self._exact, units, services.clock).take

    def _take(self, key: str, call: Call) -> Awaitable[Allowance]:
        return self._shared(key, self._rule)

    def _take_here(self, key: str, call: Call) -> Awaitable[Allowance]:
        return self._local(key, self._rule)

    def look(self, key: str) -> Awaitable[Allowance]:
        return self._exact(key, self._rule, 0)


def _counter(state: State, algorithm: Algorithm) -> Callable[..., Awaitable[Allowance]]:
    counters: dict[Algorithm, Callable[..., Any]] = {
        "gcra": state.consume,
        "sliding_window": state.slide,
        "fixed_window": state.count,
    }
    return counters[algorithm]
