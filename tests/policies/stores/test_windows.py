"""The arithmetic of windows and slots, as properties."""

from hypothesis import example, given
from hypothesis import strategies as st

from policies.core.state import Window
from policies.stores import slots, windows
from policies.stores.windows import SECOND

NOW = 1_800_000_000 * SECOND

sliding = st.builds(Window, limit=st.integers(1, 300), per=st.integers(1, 100))
gaps = st.integers(0, 3 * SECOND)
calls = st.lists(st.tuples(gaps, st.integers(0, 60)), max_size=60)


@given(sliding, calls)
@example(Window(65, 1), [(0, 60), (999_999, 60), (1, 60), (15_625, 60)])
@example(Window(65, 1), [(15_624, 60), (984_376, 60)])
def test_R1_no_stretch_of_a_sliding_window_has_more_than_the_limit(
    window: Window, asked: list[tuple[int, int]]
) -> None:
    held, now = "", NOW
    admitted: list[tuple[int, int]] = []
    for gap, cost in asked:
        now += gap
        allowance, entry = windows.slide(window, held, now, cost)
        held = held if entry is None else entry
        if allowance.allowed and cost:
            admitted.append((now, cost))
    for first, _ in admitted:
        within = [cost for at, cost in admitted if first <= at < first + window.per * SECOND]
        assert sum(within) <= window.limit


@given(sliding, calls, st.integers(1, 60))
def test_after_the_wait_a_sliding_window_admits_and_the_wait_is_a_period_at_most(
    window: Window, asked: list[tuple[int, int]], cost: int
) -> None:
    held, now = "", NOW
    for gap, taken in asked:
        now += gap
        _, entry = windows.slide(window, held, now, taken)
        held = held if entry is None else entry
    allowance, _ = windows.slide(window, held, now, cost)
    if allowance.allowed or cost > window.limit:
        return
    _, grain = windows.measures(window)
    assert 0 < allowance.retry_after <= window.per + grain / SECOND
    later = now + round(allowance.retry_after * SECOND)
    assert windows.slide(window, held, later, cost)[0].allowed
    assert not windows.slide(window, held, later - 1, cost)[0].allowed


@given(st.integers(1, 10**9), st.integers(1, 31 * 86400))
def test_a_sliding_window_keeps_a_bounded_number_of_moments(limit: int, per: int) -> None:
    window, held, now = Window(limit, per), "", NOW
    for _ in range(150):
        now += per * SECOND // 140
        _, entry = windows.slide(window, held, now, 1)
        held = held if entry is None else entry
        assert len(windows.marks_of(held)) <= 66


def test_a_clock_set_back_keeps_the_moments_in_order() -> None:
    window = Window(3, 60)
    _, held = windows.slide(window, "", NOW, 1)
    _, held = windows.slide(window, held, NOW - 30 * SECOND, 1)
    assert held == f"{NOW}:2"


holders = st.sampled_from("abc")
acts = st.lists(st.tuples(st.sampled_from(["occupy", "vacate", "wait"]), holders), max_size=80)


@given(acts, st.integers(1, 5))
def test_R1_slots_in_use_are_never_more_than_the_limit(acts: list, limit: int) -> None:
    text, now = "", NOW
    using: dict[str, int] = {}
    for act, holder in acts:
        shares = slots.shares_of(text, now)
        if act == "occupy":
            if slots.occupy(shares, holder, limit, 1, now + 8 * SECOND).allowed:
                using[holder] = using.get(holder, 0) + 1
        elif act == "vacate" and using.get(holder):
            using[holder] -= 1
            slots.vacate(shares, holder)
        elif act == "wait":
            now += SECOND
            for name, count in using.items():  # every worker beats
                slots.hold(shares, name, count, count, now + 8 * SECOND)
        text, _ = slots.entry_of(shares)
        assert sum(using.values()) <= limit
        held = {name: count for name, (count, _) in slots.shares_of(text, now).items()}
        assert held == {name: count for name, count in using.items() if count}
