"""What every store promises about windows, slots and counters that are put back."""

import asyncio
from collections.abc import Callable

import pytest

from policies.core.state import Allowance, State, Window
from policies.stores.operations import (
    Backend,
    Consume,
    Count,
    Delete,
    Hold,
    Increment,
    Occupy,
    Publish,
    Raise,
    Read,
    Slide,
    Vacate,
)
from policies.stores.peek import PeekState
from tests.policies.stores.test_contract import HOURLY, eventually

HOUR = Window(limit=3, per=3600)
TAKERS = [Count, Slide]


@pytest.mark.parametrize("take", TAKERS)
def test_a_window_gives_its_limit_and_then_refuses(backend: Backend, take: Callable) -> None:
    *allowed, refused = backend.execute([take("k", HOUR)] * 4)
    assert [a.allowed for a in allowed] == [True, True, True]
    assert [a.remaining for a in allowed] == [2, 1, 0]
    assert not refused.allowed
    assert refused.remaining == 0
    assert 3590 < refused.retry_after <= 3600
    assert 3590 < refused.reset_after <= 3600


@pytest.mark.parametrize("take", TAKERS)
def test_a_window_takes_the_whole_cost_or_nothing(backend: Backend, take: Callable) -> None:
    taken = backend.execute([take("k", HOUR, 2), take("k", HOUR, 2), take("k", HOUR, 1)])
    assert [(a.allowed, a.remaining) for a in taken] == [(True, 1), (False, 1), (True, 0)]


@pytest.mark.parametrize("take", TAKERS)
def test_cost_0_looks_at_a_window_without_taking(backend: Backend, take: Callable) -> None:
    assert backend.execute([take("k", HOUR, 0)] * 3) == [Allowance(True, 3, 0.0, 0.0)] * 3
    assert list(backend.keys("k")) == []
    assert backend.execute([take("k", HOUR), take("k", HOUR, 0)])[1].remaining == 2


@pytest.mark.parametrize("take", TAKERS)
def test_a_window_that_has_passed_gives_again(backend: Backend, take: Callable) -> None:
    short = Window(limit=2, per=0.05)
    assert backend.execute([take("k", short, 2)])[0].allowed
    eventually(lambda: backend.execute([take("k", short, 2)])[0].allowed)


def test_a_fixed_window_ends_when_it_ends_however_often_it_is_asked(backend: Backend) -> None:
    many = Window(limit=1_000_000, per=3600)
    first = backend.execute([Count("k", many)])[0]
    eventually(
        lambda: backend.execute([Count("k", many)])[0].reset_after < first.reset_after - 0.01
    )


def test_what_a_counter_needs_must_be_there(backend: Backend) -> None:
    needing = Count("k", HOUR, 1, "complete")
    assert backend.execute([needing, Read("k")]) == [None, None]
    backend.execute([Publish("complete", b"1", 60)])
    assert backend.execute([needing, needing])[1].remaining == 1


@pytest.mark.parametrize("limit", [3, 100])
def test_what_a_sliding_window_answers_is_what_it_keeps(backend: Backend, limit: int) -> None:
    """Also while what it admitted earlier is leaving it, one call after the other."""
    window, cost = Window(limit, per=0.05), limit // 3
    answers = []

    def played() -> bool:
        taken, seen = backend.execute([Slide("k", window, cost), Slide("k", window, 0)])
        assert seen.remaining == taken.remaining
        answers.append(taken.allowed)
        return answers.count(True) > 30 and False in answers

    eventually(played)


def test_a_sliding_window_of_a_high_limit_stays_small(backend: Backend) -> None:
    window = Window(limit=100_000, per=60)
    taken = backend.execute([Slide("k", window)] * 500)
    assert [a.remaining for a in taken] == list(range(99_999, 99_499, -1))
    assert len(backend.execute([Read("k")])[0]) < 200


@pytest.mark.parametrize("take", TAKERS)
def test_R1_many_at_once_get_no_more_than_the_window_has(state: State, take: Callable) -> None:
    async def play() -> list[Allowance]:
        ask = state.count if take is Count else state.slide
        return await asyncio.gather(*[ask("k", HOUR) for _ in range(200)])

    assert sum(a.allowed for a in asyncio.run(play())) == 3


def test_slots_are_taken_by_whoever_comes_and_given_back(backend: Backend) -> None:
    def occupy(holder: str) -> Allowance:
        return backend.execute([Occupy("k", holder, 3, 60)])[0]

    assert occupy("a") == Allowance(True, 2, 0.0, 1.0)
    assert occupy("b") == Allowance(True, 1, 0.0, 1.0)
    assert occupy("a") == Allowance(True, 0, 0.0, 1.0)
    assert occupy("b") == Allowance(False, 0, 1.0, 1.0)
    assert backend.execute([Vacate("k", "a")]) == [True]
    assert occupy("b").allowed
    assert backend.execute([Vacate("k", "c"), Vacate("k", "a"), Vacate("k", "a")]) == [
        False,
        True,
        False,
    ]
    assert backend.execute([Vacate("k", "b"), Vacate("k", "b")]) == [True, True]
    assert list(backend.keys("k")) == []
    assert occupy("c") == Allowance(True, 2, 0.0, 1.0)


def test_looking_at_slots_takes_none(backend: Backend) -> None:
    assert backend.execute([Occupy("k", "a", 2, 60, 0)]) == [Allowance(True, 2, 0.0, 0.0)]
    backend.execute([Occupy("k", "b", 2, 60)])
    assert backend.execute([Occupy("k", "a", 2, 60, 0)]) == [Allowance(True, 1, 0.0, 1.0)]


def test_the_slots_of_a_holder_that_fell_silent_come_free_and_others_stay(
    backend: Backend,
) -> None:
    backend.execute([Occupy("k", "silent", 2, 0.2), Occupy("k", "alive", 2, 60)])
    assert not backend.execute([Occupy("k", "new", 2, 60)])[0].allowed
    eventually(lambda: backend.execute([Occupy("k", "new", 2, 60)])[0].allowed)
    assert not backend.execute([Occupy("k", "new", 2, 60)])[0].allowed


def test_holding_keeps_slots_alive_and_between_the_bounds(backend: Backend) -> None:
    def used() -> int:
        return 10 - backend.execute([Occupy("k", "", 10, 60, 0)])[0].remaining

    other = [Occupy("k", "b", 10, 60), Occupy("k", "silent", 10, 0.05)]
    backend.execute([Occupy("k", "a", 10, 0.05)] * 3 + [Hold("k", "a", 2, 4, 60), *other])
    eventually(lambda: used() == 4)  # the silent one's has ended; the held ones stay
    backend.execute([Hold("k", "a", 1, 1, 60)])
    assert used() == 2  # what was never given back is gone
    backend.execute([Delete("k"), Hold("k", "a", 3, 5, 60)])
    assert used() == 3  # what the store had lost is there again
    backend.execute([Hold("k", "a", 0, 0, 60)])
    assert used() == 0


def test_R1_many_at_once_get_no_more_than_the_slots(state: State) -> None:
    async def play() -> list[Allowance]:
        asks = [state.occupy("k", f"h{n % 4}", 5, 60) for n in range(200)]
        return await asyncio.gather(*asks)

    assert sum(a.allowed for a in asyncio.run(play())) == 5


def test_what_is_not_waited_for_is_done_in_order(state: State, backend: Backend) -> None:
    async def play() -> int:
        await state.occupy("k", "a", 5, 60)
        state.vacate("k", "a")
        state.hold("other", "a", 2, 2, 60)
        return (await state.occupy("k", "b", 5, 60)).remaining

    assert asyncio.run(play()) == 4
    assert backend.execute([Occupy("other", "", 5, 60, 0)])[0].remaining == 3


def test_raising_a_counter_never_lowers_it(backend: Backend) -> None:
    day = Window(10, 86400)
    assert backend.execute([Raise("k", 4, 60), Raise("k", 2, 60), Raise("k", 7, 60)]) == [4, 4, 7]
    assert backend.execute([Count("k", day), Count("k", day, 3)]) == [
        Allowance(True, 2, 0.0, pytest.approx(60, abs=1)),
        Allowance(False, 2, pytest.approx(60, abs=1), pytest.approx(60, abs=1)),
    ]


def test_a_window_of_another_kind_of_entry_starts_anew(backend: Backend) -> None:
    backend.execute([Publish("k", b"no number", 60)])
    seen = backend.execute([Count("k", HOUR, 0), Slide("k", HOUR, 0), Occupy("k", "a", 3, 60, 0)])
    assert [a.remaining for a in seen] == [3, 3, 3]
    backend.execute([Publish("k", b"a:b:c x:1 7", 60), Raise("k", 3, 60)])
    assert backend.execute([Increment("k", 1, 60)]) == [4]
    assert backend.execute([Vacate("k", "a"), Slide("k", HOUR)])[1].allowed


def test_keys_are_found_by_how_they_begin(backend: Backend) -> None:
    names = [f"limit *[a]? {n:03}" for n in range(700)]
    backend.execute([Consume(name, HOURLY) for name in names])
    backend.execute([Increment("limit *", 1, 60), Increment("limit x[a]? 1", 1, 60)])
    backend.execute([Increment("limit *[a]? ended", 1, 60), Delete("limit *[a]? ended")])
    assert sorted(backend.keys("limit *[a]? ")) == names
    assert list(backend.keys("nothing")) == []


def test_who_only_looks_is_told_what_would_happen_and_changes_nothing(state: State) -> None:
    peek = PeekState(state)

    async def play() -> None:
        for _ in range(2):
            assert await peek.count("c", HOUR) == Allowance(True, 3, 0.0, 0.0)
            assert await peek.slide("s", HOUR) == Allowance(True, 3, 0.0, 0.0)
            assert await peek.occupy("o", "a", 1, 60) == Allowance(True, 1, 0.0, 0.0)
        await state.count("c", HOUR, 3)
        await state.slide("s", HOUR, 3)
        await state.occupy("o", "a", 1, 60)
        peek.vacate("o", "a")
        peek.hold("o", "a", 0, 0, 60)
        for _ in range(2):
            for refused in (await peek.count("c", HOUR), await peek.slide("s", HOUR)):
                assert (refused.allowed, refused.remaining) == (False, 0)
                assert 3590 < refused.retry_after <= 3600
            assert await peek.occupy("o", "b", 1, 60) == Allowance(False, 0, 1.0, 1.0)

    asyncio.run(play())
