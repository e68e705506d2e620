"""The Django cache on the state store, and django-ratelimit counting exactly on it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.test import RequestFactory, override_settings
from django_ratelimit.core import get_usage, is_ratelimited

from policies.cache import StateCache
from policies.core.errors import StateUnavailable

THREADS = 8


@pytest.fixture
def cache(shared_url: str) -> BaseCache:
    return StateCache(shared_url, {})


def test_values_come_back(cache: BaseCache) -> None:
    assert cache.get("k") is None
    assert cache.get("k", "otherwise") == "otherwise"
    for value in [0, 7, -1, 1.5, "text", "", True, None, ["a", 1], {"a": {"b": [None]}}]:
        cache.set("k", value)
        assert cache.get("k", "otherwise") == value
        assert cache.has_key("k")
    assert cache.delete("k")
    assert not cache.delete("k")
    assert not cache.has_key("k")


def test_what_json_cannot_carry_is_refused_not_pickled(cache: BaseCache) -> None:
    with pytest.raises(TypeError):
        cache.set("k", object())


def test_adding_keeps_what_is_there(cache: BaseCache) -> None:
    assert cache.add("k", 1)
    assert not cache.add("k", 2)
    assert cache.get("k") == 1


def test_counting_keeps_the_time_to_live(cache: BaseCache) -> None:
    cache.set("n", 1, timeout=0.1)
    total = 1
    for _ in range(100_000):
        try:
            total = cache.incr("n")
        except ValueError:
            break
    else:
        raise AssertionError("incr kept the counter alive")
    assert total > 1
    assert cache.get("n") is None


def test_counting_what_is_absent_is_an_error(cache: BaseCache) -> None:
    with pytest.raises(ValueError, match="not in the cache"):
        cache.incr("n")
    cache.set("n", 5)
    assert cache.incr("n", 2) == 7
    assert cache.decr("n", 3) == 4
    assert cache.get("n") == 4


def test_versions_and_prefixes_are_apart(shared_url: str) -> None:
    one, two = StateCache(shared_url, {"KEY_PREFIX": "a"}), StateCache(shared_url, {})
    one.set("k", 1)
    one.set("k", 2, version=2)
    assert two.get("k") is None
    assert (one.get("k"), one.get("k", version=2)) == (1, 2)


def test_time_outs_as_django_defines_them(cache: BaseCache) -> None:
    cache.set("gone", 1, timeout=0)
    assert cache.get("gone") is None
    assert cache.add("gone", 1, timeout=-1)
    assert cache.get("gone") is None
    cache.set("kept", 1, timeout=None)
    assert cache.touch("kept", 100)
    assert cache.get("kept") == 1
    assert cache.touch("kept", 0)
    assert cache.get("kept") is None
    assert not cache.touch("kept", 100)


def test_a_store_that_cannot_answer_is_said_not_taken_for_a_miss() -> None:
    cache = StateCache("redis://127.0.0.1:1/0", {})
    for ask in (lambda: cache.get("k"), lambda: cache.add("k", 1), lambda: cache.incr("k")):
        with pytest.raises(StateUnavailable):
            ask()


def hammer(hit: Callable[[], bool], hits: int) -> int:
    """How many of ``hits`` in each of eight threads passed."""
    passed: list[int] = []
    barrier = threading.Barrier(THREADS)

    def work() -> None:
        barrier.wait()
        passed.append(sum(hit() for _ in range(hits)))
        caches.close_all()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == THREADS
    return sum(passed)


@pytest.mark.parametrize("question", ["is_ratelimited", "get_usage"])
def test_A5_django_ratelimit_admits_exactly_the_limit(shared_url: str, question: str) -> None:
    request = RequestFactory().post("/auth/acme/token", REMOTE_ADDR="192.0.2.1")
    arguments: dict[str, Any] = {
        "request": request,
        "group": "relay",
        "key": "ip",
        "rate": "50/d",
        "increment": True,
    }

    def hit() -> bool:
        if question == "is_ratelimited":
            return not is_ratelimited(**arguments)
        return not get_usage(**arguments)["should_limit"]

    backend = {"BACKEND": "policies.cache.StateCache", "LOCATION": shared_url}
    with override_settings(CACHES={"default": backend}):
        assert hammer(hit, 40) == 50
