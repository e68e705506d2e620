"""The Redis store when Redis is stalled, gone, restarted or refuses."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from policies.core.errors import StateUnavailable
from policies.core.state import Allowance, Rate, Window
from policies.stores import gcra
from policies.stores import redis as store
from policies.stores.batching import BatchingState
from policies.stores.operations import Consume, Publish, Read, RememberOnce
from policies.stores.redis import RedisBackend


class Watch:
    """Stands for the store's ``time`` module: a clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000 + self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(store, "time", watch)
    return watch


def test_R6_a_stalled_server_costs_one_caller_a_time_out_and_then_nobody(
    own_redis: Any, watch: Watch
) -> None:
    backend = RedisBackend(f"redis://127.0.0.1:{own_redis.port}/0")
    retried(lambda: backend.execute([Publish("k", b"v", 600)]), watch)
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StateUnavailable, match="Timeout"):
            backend.execute([Read("k")])
        with pytest.raises(StateUnavailable, match="a moment ago"):
            backend.execute([Read("k")])
        watch.now += 0.51
        with pytest.raises(StateUnavailable, match="Timeout"):
            backend.execute([Read("k")])
        with pytest.raises(StateUnavailable, match="a moment ago"):
            backend.execute([Read("k")])
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
    assert retried(lambda: backend.execute([Read("k")]), watch) == [b"v"]


def test_R6_redis_is_asked_once_and_for_a_tenth_of_a_second() -> None:
    """The client's own defaults wait for seconds and try again."""
    options = RedisBackend("redis://127.0.0.1:1/0")._client.connection_pool.connection_kwargs
    assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.1
    assert options["retry"].get_retries() == 0


def test_R6_a_closed_port_is_refused_and_the_restarted_server_is_found(
    own_redis: Any, watch: Watch
) -> None:
    backend = RedisBackend(own_redis.url)
    backend.execute([RememberOnce("k", 600)])
    own_redis.stop()
    with pytest.raises(StateUnavailable, match="Redis"):
        backend.execute([Read("k")])
    with pytest.raises(StateUnavailable, match="a moment ago"):
        backend.execute([Read("k")])
    own_redis.start()
    watch.now += 0.51
    # Nothing of the old server is left: neither its connections nor its script.
    assert backend.execute([RememberOnce("k", 600)]) == [True]
    assert backend.execute([RememberOnce("k", 600)]) == [False]


def test_while_one_caller_probes_the_others_are_still_refused(own_redis: Any, watch: Watch) -> None:
    backend = RedisBackend(own_redis.url)
    backend._breaker.failed()
    watch.now += 0.51
    backend._breaker.admit()
    with pytest.raises(StateUnavailable, match="a moment ago"):
        backend.execute([Read("k")])


def test_a_server_that_refuses_is_unavailable_and_its_password_is_not_told(
    own_redis: Any,
) -> None:
    own_redis.client.config_set("requirepass", "right")
    backend = RedisBackend(own_redis.url.replace("//", "//:wr0ng@"))
    with pytest.raises(StateUnavailable, match="invalid") as refused:
        backend.execute([Read("k")])
    assert "wr0ng" not in str(refused.value)


def test_a_flushed_script_is_sent_again(shared_redis: Any) -> None:
    backend = RedisBackend(shared_redis.url)
    backend.execute([Publish("k", b"v", 600)])
    shared_redis.client.script_flush()
    assert backend.execute([Read("k")]) == [b"v"]


def test_keys_have_the_products_prefix_and_an_end(shared_redis: Any) -> None:
    client = shared_redis.client
    client.flushall()
    backend = RedisBackend(shared_redis.url)
    backend.execute([Consume("bucket", Rate(1, 60, 1)), Publish("keys", b"v", 30)])
    assert sorted(client.keys()) == [b"gatehouse:bucket", b"gatehouse:keys"]
    assert 0 < client.pttl("gatehouse:bucket") <= 60_000
    assert 0 < client.pttl("gatehouse:keys") <= 30_000


def test_a_moment_is_kept_to_the_microsecond(shared_redis: Any) -> None:
    """Lua's own way to write a number keeps 14 digits: two too few."""
    client = shared_redis.client
    client.delete("gatehouse:b")

    def now() -> int:
        seconds, microseconds = client.time()
        return gcra.ticks(int(seconds) * 1_000_000 + int(microseconds))

    before = now()
    RedisBackend(shared_redis.url).execute([Consume("b", Rate(1, 3600, 1))])
    assert before <= int(client.get("gatehouse:b")) - 3600 * gcra.SECOND <= now()


def test_all_that_is_asked_in_one_tick_is_one_script_call(shared_redis: Any) -> None:
    """Limits of every kind, of many callers: one message to the server and one back."""
    client = shared_redis.client
    client.flushall()
    state = BatchingState(RedisBackend(shared_redis.url))
    window, rate = Window(1000, 60), Rate(1000, 60, 1000)

    async def allowed(ask: Callable[[], Awaitable[Allowance]]) -> bool:
        return (await ask()).allowed

    async def play() -> list[bool]:
        await state.read("warm")  # the script is there, and so is the connection
        client.config_resetstat()
        asked = [partial(state.consume, f"g{n % 9}", rate) for n in range(100)]
        asked += [partial(state.slide, f"s{n % 9}", window) for n in range(100)]
        asked += [partial(state.count, f"c{n % 9}", window) for n in range(100)]
        asked += [partial(state.occupy, f"o{n % 9}", "me", 1000, 60) for n in range(100)]
        return await asyncio.gather(*map(allowed, asked))

    assert asyncio.run(play()) == [True] * 400
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def retried(ask: Callable[[], object], watch: Watch) -> object:
    """Ask with the product's own short time-outs, on a machine that may be busy."""
    for _ in range(50):
        try:
            return ask()
        except StateUnavailable:
            watch.now += 0.51
    return ask()


def test_H4_a_server_that_was_restarted_is_not_the_one_that_remembers(
    own_redis: Any, watch: Watch
) -> None:
    backend = RedisBackend(own_redis.url)

    def remembers() -> bool:
        return retried(lambda: backend.execute([RememberOnce("n", 600)]), watch) == [False]

    assert not remembers()
    own_redis.client.client_kill_filter(skipme=True)  # a new connection to the same server
    assert remembers()
    assert backend.unbroken_since == float("-inf")

    own_redis.stop()
    own_redis.start()
    assert not remembers()
    assert backend.unbroken_since == watch.time()
