"""The generic cell rate algorithm, once, pure, in whole ticks of a sixteenth of a microsecond.

Theory of operation. A bucket is one moment, the theoretical arrival time (TAT): when its
backlog of work will have drained. One unit is ``interval`` of work, and a bucket holds at most
``burst`` units. So a request is allowed while ``backlog + cost * interval`` fits, and nothing
is written when it is refused.

Whole numbers, because the same sums are made by Redis in Lua (whose doubles are exact up to
2**53) and because rounding must never add up to more than the limit: the interval is rounded
up, so a rate that does not divide a tick admits less, by at most 1 % up to 160,000 a second,
which is more than any of the stores can count. Ticks are counted from 2024, so that they stay
below 2**53 until 2041 (after that, Lua rounds to the next tick). A TAT further ahead than a
full bucket comes from a clock that was set back or from an earlier configuration; it counts as
a full bucket, so nobody waits longer than that.

Source: ITU-T I.371 (2004), annex A; the virtual scheduling form.
"""

from functools import lru_cache

from policies.core.state import Allowance, Rate

SECOND = 16_000_000  # in ticks
_PER_MICROSECOND = 16
_EPOCH = 1_704_067_200_000_000  # 2024-01-01, in microseconds since 1970


def ticks(microseconds: int) -> int:
    """A moment, given in microseconds since 1970."""
    return (microseconds - _EPOCH) * _PER_MICROSECOND


def microseconds(tat: int) -> int:
    """The first whole microsecond since 1970 that is not before a moment in ticks."""
    return -(-tat // _PER_MICROSECOND) + _EPOCH


@lru_cache(maxsize=1024)
def measures(rate: Rate) -> tuple[int, int]:
    """``(interval, full)``: ticks of work of one unit, and of a full bucket."""
    interval = -int(-rate.per * SECOND // rate.limit)
    return interval, rate.burst * interval


def assess(rate: Rate, backlog: int, cost: int) -> Allowance:
    """What a bucket with this backlog answers to ``cost``. A cost above the burst never fits."""
    return take(rate, backlog, 0, cost)[0]


def take(rate: Rate, tat: int, now: int, cost: int) -> tuple[Allowance, int | None]:
    """The answer, and the bucket's new TAT; None when it stays as it is."""
    interval, full = measures(rate)
    backlog = tat - now
    if backlog < 0:
        backlog = 0
    elif backlog > full:
        backlog = full
    after = backlog + cost * interval
    if after > full:
        wait = (after - full) / SECOND
        return Allowance(False, (full - backlog) // interval, wait, backlog / SECOND), None
    allowance = Allowance(True, (full - after) // interval, 0.0, after / SECOND)
    return allowance, now + after if cost else None
