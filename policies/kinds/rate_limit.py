"""``rate_limit``: how often somebody may call, by GCRA.

On average ``limit`` calls in ``per`` seconds, at most ``burst`` at once. The count is one
atomic step in shared state, so parallel calls through any number of workers never get more
(OWASP API4). Answers carry ``RateLimit`` and ``RateLimit-Policy``
(draft-ietf-httpapi-ratelimit-headers), refusals ``Retry-After`` too (RFC 9110, 10.2.3).
"""

import logging
from math import ceil
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from policies.core.config import OnFailure, PolicyConfig
from policies.core.counting import counted_by
from policies.core.errors import StateUnavailable
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Allowance, Rate, Services
from policies.core.values import PASS, Call, Decision, Deny

logger = logging.getLogger(__name__)

_LONGEST_DRAIN = 366 * 24 * 3600  # seconds: keeps every sum in a bucket exact

_UNAVAILABLE = Deny(
    "state_unavailable",
    "The rate limit cannot be checked at the moment.",
    fields=((b"retry-after", b"1"),),
)


class RateLimitConfig(PolicyConfig):
    """Options of ``rate_limit``."""

    limit: int = Field(
        ge=1,
        le=1_000_000_000,
        title="Limit",
        description="Calls that are allowed in each period, on average.",
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
        description="Calls that are allowed at once after a pause. Empty: as many as the limit.",
    )
    by: str = Field(
        default="identity",
        title="Count by",
        description=(
            "identity (the verified subject; the address where callers are anonymous), ip "
            "(IPv6 by /64; checked before credentials), client, route, claim:NAME, or "
            "header:NAME. A header is whatever the caller writes into it."
        ),
    )
    algorithm: Literal["gcra"] = Field(
        default="gcra",
        title="Algorithm",
        description="gcra: allowance comes back evenly over the period.",
    )
    on_failure: OnFailure = Field(
        default="deny",
        title="When shared state fails",
        description=(
            "deny: refuse with 503. local: let each worker process count for itself, so that "
            "up to the limit passes through each. allow: let every call pass."
        ),
    )

    @field_validator("by")
    @classmethod
    def _countable(cls, value: str) -> str:
        counted_by(value)
        return value

    @model_validator(mode="after")
    def _drains(self) -> Self:
        if (self.burst or self.limit) * self.per / self.limit > _LONGEST_DRAIN:
            raise ValueError("a full burst would take more than 366 days to come back")
        return self


class RateLimit(Policy):
    """Runs in LIMIT, or by address in ADMIT: there it limits the guessing of credentials too."""

    kind = "rate_limit"
    phase = Phase.LIMIT
    Config: ClassVar[type[PolicyConfig]] = RateLimitConfig
    summary = "Limits how often somebody may call."

    def __init__(self, config: RateLimitConfig, services: Services) -> None:
        if config.by == "ip":
            self.phase = Phase.ADMIT
        self.failures = 0  # calls for which shared state did not answer
        self._failing = False
        self._state, self._local = services.state, services.local
        self._on_failure = config.on_failure
        self._rate = Rate(config.limit, config.per, config.burst or config.limit)
        self._prefix = f"{self.kind} {len(services.scope)}:{services.scope} {services.name} "
        self._key_of = counted_by(config.by)
        member = _structured_string(services.name or "default")
        self._line = member.replace(b"%", b"%%") + b";r=%d;t=%d"
        self._member = member + b";r="
        self._policy_line = (
            b"ratelimit-policy",
            member + b";q=%d;w=%d" % (config.limit, config.per),
        )
        self._detail = f"At most {config.limit} calls in {config.per} seconds are allowed."

    async def check(self, call: Call) -> Decision:
        key = self._prefix + self._key_of(call)
        try:
            allowance = await self._state.consume(key, self._rate)
        except StateUnavailable:
            return await self._without_state(key, call)
        if self._failing:
            self._failing = False
            logger.warning("%s: shared state is back", self._prefix)
        return self._settle(allowance, call)

    def describe(self, call: Call) -> str:
        told = [v for n, v in call.response_fields if v.startswith(self._member)]
        if self._failing:
            how = f"{self.failures} calls so far went by on_failure: {self._on_failure}"
            return f"shared state cannot be reached; {how}"
        if not told:
            return self.summary
        remaining, _, reset = told[-1].removeprefix(self._member).partition(b";t=")
        used = self._rate.burst - int(remaining)
        return f"{used} of {self._rate.burst} used, resets in {int(reset)} s"

    async def _without_state(self, key: str, call: Call) -> Decision:
        self.failures += 1
        if not self._failing:
            self._failing = True
            logger.warning(
                "%s: shared state cannot be reached, on_failure: %s", self._prefix, self._on_failure
            )
        if self._on_failure == "deny":
            return _UNAVAILABLE
        if self._on_failure == "allow":
            return PASS
        return self._settle(await self._local.consume(key, self._rate), call)

    def _settle(self, allowance: Allowance, call: Call) -> Decision:
        allowed, remaining, retry_after, reset_after = allowance
        line = self._line % (remaining, ceil(reset_after))
        call.response_fields += ((b"ratelimit", line), self._policy_line)
        if allowed:
            return PASS
        wait = b"%d" % max(1, ceil(retry_after))
        return Deny("rate_limited", self._detail, fields=((b"retry-after", wait),))


def _structured_string(name: str) -> bytes:
    """A name as an sf-string (RFC 9651, 3.3.3)."""
    if not (name.isascii() and name.isprintable()):
        raise ValueError("the name of a rate limit must be printable ASCII")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode()
