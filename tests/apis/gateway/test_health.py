"""The passive breaker of one target."""

from hypothesis import given, settings
from hypothesis import strategies as st

from apis.gateway.health import Condition
from apis.routing import Breaker

BREAKER = Breaker(failures=3, window=10, open_for=5)


def test_without_a_breaker_nothing_opens():
    condition = Condition(None)
    for now in range(100):
        condition.failed(now)
    assert condition.usable(100)


def test_failures_within_the_window_open_it_for_a_while():
    condition = Condition(BREAKER)
    for now in (0.0, 4.0, 10.0):
        assert condition.usable(now)
        condition.failed(now)
    assert not condition.usable(10.0)
    assert not condition.usable(14.9)
    assert condition.usable(15.0)


def test_failures_apart_do_not_open_it():
    condition = Condition(BREAKER)
    for now in range(0, 100, 6):
        condition.failed(now)
        assert condition.usable(now)


def test_after_a_rest_one_failure_is_enough_and_one_success_too():
    condition = Condition(BREAKER)
    for _ in range(3):
        condition.failed(0)
    condition.failed(100)
    assert not condition.usable(104)
    assert condition.usable(105)
    condition.succeeded()
    condition.failed(106)
    condition.failed(106)
    assert condition.usable(106)
    condition.failed(106)
    assert not condition.usable(106)


def test_an_unhealthy_target_is_not_usable():
    condition = Condition(None)
    condition.healthy = False
    assert not condition.usable(0)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=30))
def test_it_is_never_closed_for_longer_than_its_rest(steps):
    condition = Condition(BREAKER)
    now = 0.0
    for pause, failed in steps:
        now += pause
        condition.failed(now) if failed else condition.succeeded()
        assert condition.usable(now + BREAKER.open_for)
