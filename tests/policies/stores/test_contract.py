"""What every store promises: one suite, played against memory, SQLite and Redis."""

import asyncio
import time
from collections.abc import Callable

from policies.core.state import Allowance, Rate, State
from policies.stores.operations import (
    Backend,
    Consume,
    Delete,
    Increment,
    Lease,
    Publish,
    Read,
    Release,
    RememberOnce,
    Replace,
    Touch,
)

HOURLY = Rate(limit=3, per=3600, burst=3)


def eventually(question: Callable[[], object]) -> None:
    """Ask until the answer is true: what is short-lived ends by the store's own clock."""
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_bucket_gives_its_burst_and_then_refuses(state: State) -> None:
    async def play() -> list[Allowance]:
        return [await state.consume("k", HOURLY) for _ in range(4)]

    *allowed, refused = asyncio.run(play())
    assert [a.allowed for a in allowed] == [True, True, True]
    assert [a.remaining for a in allowed] == [2, 1, 0]
    assert not refused.allowed
    assert refused.remaining == 0
    assert 1100 < refused.retry_after <= 1200
    assert 3500 < refused.reset_after <= 3600


def test_cost_takes_several_units_or_none(state: State) -> None:
    async def play() -> None:
        assert (await state.consume("k", HOURLY, 2)).allowed
        assert not (await state.consume("k", HOURLY, 2)).allowed
        assert (await state.consume("k", HOURLY, 1)).allowed

    asyncio.run(play())


def test_cost_0_looks_without_taking(state: State) -> None:
    async def play() -> None:
        for _ in range(5):
            seen = await state.consume("k", HOURLY, 0)
            assert seen == Allowance(True, 3, 0.0, 0.0)
        await state.consume("k", HOURLY, 1)
        assert (await state.consume("k", HOURLY, 0)).remaining == 2

    asyncio.run(play())


def test_buckets_are_apart(state: State) -> None:
    async def play() -> None:
        assert (await state.consume("a", HOURLY, 3)).allowed
        assert (await state.consume("b", HOURLY, 3)).allowed

    asyncio.run(play())


def test_a_drained_bucket_gives_again(backend: Backend) -> None:
    rate = Rate(limit=50, per=1, burst=1)
    assert backend.execute([Consume("k", rate)])[0].allowed
    eventually(lambda: backend.execute([Consume("k", rate)])[0].allowed)


def test_R1_many_at_once_get_no_more_than_the_burst(state: State) -> None:
    async def play() -> list[Allowance]:
        return await asyncio.gather(*[state.consume("k", HOURLY) for _ in range(200)])

    assert sum(a.allowed for a in asyncio.run(play())) == 3


def test_a_counter_starts_adds_and_ends(state: State, backend: Backend) -> None:
    async def play() -> None:
        assert await state.increment("n", 2, 60) == 2
        assert await state.increment("n", 3, 60) == 5
        assert await state.increment("n", -5, 60) == 0
        assert await state.read("n") == b"0"

    asyncio.run(play())
    backend.execute([Increment("short", 1, 0.05)])
    # Adding does not move a counter's end, however often it happens.
    eventually(lambda: backend.execute([Increment("short", 1, 0.05)])[0] == 1)


def test_a_counter_is_not_started_without_a_ttl(backend: Backend) -> None:
    assert backend.execute([Increment("n", 1, None), Read("n")]) == [None, None]
    assert backend.execute([Increment("n", 1, 60), Increment("n", 1, None)]) == [1, 2]


def test_H4_only_the_first_of_100_is_the_first(state: State) -> None:
    async def play() -> list[bool]:
        return await asyncio.gather(*[state.remember_once("nonce", 60) for _ in range(100)])

    assert sum(asyncio.run(play())) == 1


def test_what_was_remembered_is_forgotten_in_time(backend: Backend) -> None:
    assert backend.execute([RememberOnce("nonce", 0.05)]) == [True]
    eventually(lambda: backend.execute([RememberOnce("nonce", 60)]) == [True])
    assert backend.execute([RememberOnce("nonce", 60)]) == [False]


def test_a_lease_has_one_holder(state: State) -> None:
    async def play() -> None:
        assert await state.lease("l", "a", 60)
        assert not await state.lease("l", "b", 60)
        assert await state.lease("l", "a", 60)
        await state.release("l", "b")
        assert not await state.lease("l", "b", 60)
        await state.release("l", "a")
        assert await state.lease("l", "b", 60)

    asyncio.run(play())


def test_a_lease_ends_by_itself(backend: Backend) -> None:
    assert backend.execute([Lease("l", "a", 0.05)]) == [True]
    eventually(lambda: backend.execute([Lease("l", "b", 60)]) == [True])
    assert backend.execute([Lease("l", "a", 60), Release("l", "a")]) == [False, False]


def test_published_bytes_come_back_as_they_are(state: State) -> None:
    value = bytes(range(256)) * 300

    async def play() -> None:
        assert await state.read("keys") is None
        await state.publish("keys", value, 60)
        assert await state.read("keys") == value
        await state.publish("keys", b"", 60)
        assert await state.read("keys") == b""
        await state.delete("keys")
        assert await state.read("keys") is None

    asyncio.run(play())


def test_published_values_end(backend: Backend) -> None:
    backend.execute([Publish("k", b"v", 0.05)])
    eventually(lambda: backend.execute([Read("k")]) == [None])


def test_adding_keeps_what_is_there(backend: Backend) -> None:
    added = [Publish("k", b"1", 60, absent_only=True), Publish("k", b"2", 60, absent_only=True)]
    assert backend.execute([*added, Read("k")]) == [True, False, b"1"]
    assert backend.execute([Increment("k", 4, None), Read("k")]) == [5, b"5"]


def test_swapping_needs_what_is_there(state: State) -> None:
    first, second = bytes(range(256)), b"\x00" * 300

    async def play() -> None:
        assert not await state.swap("k", b"", first, 60)
        assert await state.swap("k", None, first, 60)
        assert not await state.swap("k", None, second, 60)
        assert not await state.swap("k", first[:-1], second, 60)
        assert await state.read("k") == first
        assert await state.swap("k", first, second, 60)
        assert not await state.swap("k", first, first, 60)
        assert await state.read("k") == second
        assert await state.touch("k", 60)
        assert not await state.touch("absent", 60)

    asyncio.run(play())


def test_one_of_many_swaps_succeeds(state: State) -> None:
    async def play() -> list[bool]:
        await state.publish("k", b"0", 60)
        return await asyncio.gather(*[state.swap("k", b"0", b"%d" % n, 60) for n in range(1, 50)])

    assert sum(asyncio.run(play())) == 1


def test_what_has_ended_is_not_replaced(backend: Backend) -> None:
    backend.execute([Publish("k", b"v", 0.05)])
    eventually(lambda: backend.execute([Read("k")]) == [None])
    assert backend.execute([Replace("k", b"v", b"w", 60), Read("k")]) == [False, None]
    assert backend.execute([Replace("n", b"1", b"2", 60), Read("n")]) == [False, None]


def test_touching_moves_the_end(backend: Backend) -> None:
    assert backend.execute([Touch("k", 60)]) == [False]
    backend.execute([Publish("k", b"v", 60)])
    assert backend.execute([Touch("k", 0.05)]) == [True]
    eventually(lambda: backend.execute([Read("k")]) == [None])


def test_deleting_says_whether_there_was_something(backend: Backend) -> None:
    assert backend.execute([Delete("k")]) == [False]
    assert backend.execute([Publish("k", b"v", 60), Delete("k"), Delete("k")]) == [
        True,
        True,
        False,
    ]
    assert backend.execute([Consume("c", HOURLY, 3), Delete("c"), Consume("c", HOURLY, 3)])[
        2
    ].allowed


def test_an_operation_on_another_kind_of_entry_spoils_nothing(backend: Backend) -> None:
    backend.execute([Publish("k", b"no number", 60)])
    results = backend.execute(
        [Consume("k", HOURLY, 0), Increment("k", 2, 60), Read("fresh"), RememberOnce("k", 60)]
    )
    assert results == [Allowance(True, 3, 0.0, 0.0), 2, None, False]


def test_keys_may_be_long_and_of_any_script(backend: Backend) -> None:
    keys = ["x" * 5000, "naïve ключ 鍵", "with\x00zero", "with 'quotes'"]
    for key in keys:
        assert backend.execute([RememberOnce(key, 60), RememberOnce(key, 60)]) == [True, False]


def test_an_empty_batch_has_no_results(backend: Backend) -> None:
    assert backend.execute([]) == []
