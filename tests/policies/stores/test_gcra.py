"""The arithmetic of limits, as properties: whatever the calls, never more than was promised."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from policies.core.state import Allowance, Rate
from policies.stores import gcra

NOW = 1_800_000_000 * gcra.SECOND

rates = st.builds(
    Rate,
    limit=st.integers(1, 1_000_000),
    per=st.integers(1, 31 * 24 * 3600),
    burst=st.integers(1, 1000),
)
gaps = st.integers(0, 10 * gcra.SECOND)
costs = st.integers(0, 5)


def admitted(rate: Rate, calls: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Play ``(gap, cost)`` against an empty bucket: ``(time, cost)`` of what was allowed."""
    tat, now, allowed = 0, NOW, []
    for gap, cost in calls:
        now += gap
        allowance, after = gcra.take(rate, tat, now, cost)
        tat = tat if after is None else after
        if allowance.allowed and cost:
            allowed.append((now, cost))
    return allowed


@given(rates, st.lists(st.tuples(gaps, costs), max_size=60))
@example(Rate(700_000, 1, 1), [(1, 1)] * 60)
@example(Rate(1_000_000, 1, 1), [(0, 1), (16, 1), (0, 1)])
def test_R1_never_more_than_the_burst_and_what_drained(
    rate: Rate, calls: list[tuple[int, int]]
) -> None:
    allowed = admitted(rate, calls)
    for first in range(len(allowed)):
        taken = 0
        for time, cost in allowed[first:]:
            taken += cost
            elapsed = Fraction(time - allowed[first][0], gcra.SECOND)
            assert taken <= rate.burst + elapsed * rate.limit / Fraction(rate.per)


@given(st.integers(1, 10_000_000), st.integers(1, 60))
@example(159_999, 1)
@example(999_999, 60)
def test_a_steady_caller_gets_the_limit_within_one_percent(limit: int, per: int) -> None:
    """Up to 160,000 a second, which is what rounding the interval up may cost."""
    if limit / per > 160_000:
        return
    interval, _ = gcra.measures(Rate(limit, per, limit))
    assert per * gcra.SECOND / interval >= 0.99 * limit


@given(rates, st.integers(0, 10**15), gaps)
def test_looking_takes_nothing_and_tells_what_could_be_taken(
    rate: Rate, backlog: int, gap: int
) -> None:
    seen, after = gcra.take(rate, NOW + backlog, NOW, 0)
    assert after is None
    assert seen.allowed
    if seen.remaining:
        all_of_it, _ = gcra.take(rate, NOW + backlog, NOW, seen.remaining)
        assert all_of_it.allowed
        assert all_of_it.remaining == 0
    one_more, _ = gcra.take(rate, NOW + backlog, NOW, seen.remaining + 1)
    assert not one_more.allowed


@given(rates, st.integers(0, 10**15), st.integers(1, 5))
def test_retry_after_is_the_first_moment_that_allows(rate: Rate, backlog: int, cost: int) -> None:
    refused, _ = gcra.take(rate, NOW + backlog, NOW, cost)
    if refused.allowed or cost > rate.burst:
        return
    wait = round(refused.retry_after * gcra.SECOND)
    _, full = gcra.measures(rate)
    tat = NOW + min(backlog, full)
    assert gcra.take(rate, tat, NOW + wait, cost)[0].allowed
    assert not gcra.take(rate, tat, NOW + wait - 1, cost)[0].allowed


@given(rates, st.integers(0, 10**15))
def test_after_the_reset_the_whole_burst_is_there_and_not_before(rate: Rate, backlog: int) -> None:
    seen, _ = gcra.take(rate, NOW + backlog, NOW, 0)
    wait = round(seen.reset_after * gcra.SECOND)
    tat = NOW + wait
    assert gcra.take(rate, tat, NOW + wait, rate.burst)[0].allowed
    if wait:
        assert not gcra.take(rate, tat, NOW + wait - 1, rate.burst)[0].allowed


def test_the_figures_of_one_bucket() -> None:
    rate = Rate(limit=100, per=60, burst=100)
    first, tat = gcra.take(rate, 0, NOW, 1)
    assert first == Allowance(True, 99, 0.0, 0.6)
    assert tat == NOW + 600_000 * 16
    last, full = gcra.take(rate, NOW, NOW, 100)
    assert last == Allowance(True, 0, 0.0, 60.0)
    refused, unchanged = gcra.take(rate, NOW + 60 * gcra.SECOND, NOW, 1)
    assert refused == Allowance(False, 0, 0.6, 60.0)
    assert unchanged is None
    assert full == NOW + 60 * gcra.SECOND


def test_ticks_are_exact_doubles_and_no_entry_ends_before_its_bucket_is_empty() -> None:
    year_2040 = 2_208_988_800 * 1_000_000
    assert gcra.ticks(year_2040) + 366 * 86_400 * gcra.SECOND < 2**53
    for moment in (NOW, NOW + 1, NOW + 15, NOW + 16):
        ends = gcra.microseconds(moment)
        assert 0 <= gcra.ticks(ends) - moment < 16


def test_a_clock_set_back_costs_at_most_one_full_bucket() -> None:
    rate = Rate(limit=10, per=1, burst=10)
    yesterday = NOW - 86_400 * gcra.SECOND
    refused, _ = gcra.take(rate, NOW, yesterday, 1)
    assert refused == Allowance(False, 0, 0.1, 1.0)


def test_a_cost_above_the_burst_is_never_allowed() -> None:
    rate = Rate(limit=10, per=1, burst=2)
    assert not gcra.take(rate, 0, NOW, 3)[0].allowed
