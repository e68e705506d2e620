"""Counting in windows, once, pure, in whole microseconds.

A fixed window is a counter that ends; it begins with the first call that it counts, so that
not everybody's begins at the same moment.

A sliding window is exact on the safe side: in no stretch of ``per`` seconds is more admitted
than ``limit``. It keeps the moments of what it admitted, at most ``_MARKS`` of them: where the
limit is higher, a moment is rounded up to the next of that many marks in the period, so that
what was taken comes back late by at most a ``_MARKS``-th of it, and never early. The entry is
text, ``moment:count`` with blanks between, oldest first. Redis keeps the same entries in
Lua (``lua/batch.lua``), and its answers are made here.
"""

from math import ceil

from policies.core.state import Allowance, Window

SECOND = 1_000_000
_MARKS = 64

Marks = list[tuple[int, int]]


def assess_count(window: Window, used: int, left: int, cost: int) -> Allowance:
    """What a fixed window answers of which ``used`` is taken and that ends in ``left``."""
    after = used + cost
    if after > window.limit:
        wait = left / SECOND
        return Allowance(False, max(0, window.limit - used), wait, wait)
    return Allowance(True, window.limit - after, 0.0, left / SECOND if after else 0.0)


def measures(window: Window) -> tuple[int, int]:
    """``(per, grain)`` in microseconds: the period, and what moments are rounded up to."""
    per = round(window.per * SECOND)
    return per, 1 if window.limit <= _MARKS else max(1, ceil(per / _MARKS))


def marks_of(text: object) -> Marks:
    """The moments of an entry; what is no such entry has none."""
    try:
        pairs = [mark.split(":") for mark in str(text).split()]
        return [(int(moment), int(count)) for moment, count in pairs]
    except ValueError:
        return []


def slide(window: Window, held: object, now: int, cost: int) -> tuple[Allowance, str | None]:
    """The answer of a sliding window, and its new entry; None when it stays as it is."""
    per, grain = measures(window)
    marks = [mark for mark in marks_of(held) if mark[0] + per > now]
    used = sum(count for _, count in marks)
    if used + cost > window.limit:
        wait = _until_free(marks, used + cost - window.limit, now - per)
        last = (marks[-1][0] + per - now) / SECOND if marks else 0.0
        remaining = max(0, window.limit - used)
        return Allowance(False, remaining, per / SECOND if wait is None else wait, last), None
    if cost:
        # A clock that was set back must not put marks out of order.
        moment = max(-(-now // grain) * grain, marks[-1][0] if marks else 0)
        if marks and marks[-1][0] == moment:
            marks[-1] = (moment, marks[-1][1] + cost)
        else:
            marks.append((moment, cost))
    reset = (marks[-1][0] + per - now) / SECOND if marks else 0.0
    entry = " ".join(f"{moment}:{count}" for moment, count in marks) if cost else None
    return Allowance(True, window.limit - used - cost, 0.0, reset), entry


def _until_free(marks: Marks, needed: int, gone: int) -> float | None:
    """Seconds until ``needed`` units have left the window; None when they never will."""
    for moment, count in marks:
        needed -= count
        if needed <= 0:
            return (moment - gone) / SECOND
    return None
