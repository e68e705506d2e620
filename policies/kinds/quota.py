"""``quota``: how much somebody may call in a day, a week or a month of the calendar, in UTC.

What was used is counted in shared state, exactly, and written down in the ledger, from where it
is put back when shared state was lost: so a quota outlives every restart. While it is lost and
not put back, the limit does what its ``on_failure`` says.
"""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.limit import By, Limit, WhenStateFails
from policies.core.services import Services
from policies.core.state import Allowance, Window
from policies.core.values import Call, Decision

Span = Literal["day", "week", "month"]


class QuotaConfig(PolicyConfig):
    """Options of ``quota``."""

    limit: int = Field(
        ge=1,
        le=1_000_000_000_000,
        title="Limit",
        description="Calls that are allowed in each period.",
    )
    per: Span = Field(
        title="Period",
        description="day, week (from Monday) or month of the calendar, in UTC.",
    )
    by: By = "identity"
    on_failure: WhenStateFails = "deny"


class Period(NamedTuple):
    """One day, week or month: what it is called, and its bounds in epoch seconds."""

    name: str
    begins: float
    ends: float


class Quota(Limit):
    """See the module."""

    kind = "quota"
    code = "quota_exhausted"
    unnamed = "quota"
    Config: ClassVar[type[PolicyConfig]] = QuotaConfig
    summary = "Limits how much somebody may call in a day, a week or a month."

    def __init__(self, config: QuotaConfig, services: Services) -> None:
        super().__init__(config.by, config.on_failure, services)
        self.most = self._limit = config.limit
        self._span = config.per
        self._state, self._local = services.state, services.local
        self._ledger, self._clock = services.ledger, services.clock
        self._base = self.prefix
        self._period = Period("", 0.0, 0.0)

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        self._turn(call.now)
        return super().check(call)

    def _turn(self, now: float) -> None:
        """Count in the period of ``now``."""
        if self._period.begins <= now < self._period.ends:
            return
        period = self._period = period_of(self._span, now)
        self._count_under(f"{self._base}{period.name} ")
        self._allows(
            self._limit,
            b";q=%d;w=%d" % (self._limit, period.ends - period.begins),
            f"At most {self._limit} calls in a {self._span} are allowed.",
        )

    async def _take(self, key: str, call: Call) -> Allowance:
        ends, complete = self._period.ends, self._ledger.complete
        window = Window(self._limit, ends - call.now)
        allowance = await self._state.count(key, window, needs=complete)
        if allowance.allowed:
            self._ledger.spent(key, 1, ends)
        return allowance

    def _take_here(self, key: str, call: Call) -> Awaitable[Allowance]:
        return self._local.count(key, Window(self._limit, self._period.ends - call.now))

    def look(self, key: str) -> Awaitable[Allowance]:
        return self._state.count(key, Window(self._limit, 1.0), 0)


def period_of(span: Span, now: float) -> Period:
    """The period that ``now`` (epoch seconds) lies in; ISO 8601 for the number of a week."""
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match span:
        case "day":
            begins, length, name = day, timedelta(days=1), f"{day:%Y-%m-%d}"
        case "week":
            begins, length = day - timedelta(days=day.weekday()), timedelta(days=7)
            name = f"{begins:%G-W%V}"
        case "month":
            begins = day.replace(day=1)
            following = (begins + timedelta(days=31)).replace(day=1)
            length, name = following - begins, f"{begins:%Y-%m}"
    return Period(name, begins.timestamp(), (begins + length).timestamp())
