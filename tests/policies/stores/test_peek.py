"""State for ``explain``: it tells what would be answered and changes nothing."""

import asyncio

from policies.core.state import Rate, State
from policies.stores.peek import PeekState

RATE = Rate(limit=2, per=3600, burst=2)


def test_explain_counts_nothing(state: State) -> None:
    peek = PeekState(state)

    async def play() -> None:
        for _ in range(3):
            assert (await peek.consume("k", RATE)).allowed
            assert await peek.increment("n", 5, 60) == 5
            assert await peek.remember_once("o", 60)
            assert await peek.lease("l", "me", 60)
            await peek.publish("p", b"v", 60)
            assert await peek.read("p") is None
        assert (await state.consume("k", RATE, 2)).allowed
        assert await state.increment("n", 1, 60) == 1
        assert await state.remember_once("o", 60)
        assert await state.lease("l", "other", 60)

    asyncio.run(play())


def test_explain_sees_what_is_there(state: State) -> None:
    peek = PeekState(state)

    async def play() -> None:
        await state.consume("k", RATE, 1)
        seen = await peek.consume("k", RATE)
        assert (seen.allowed, seen.remaining) == (True, 1)
        await state.consume("k", RATE, 1)
        refused = await peek.consume("k", RATE)
        assert not refused.allowed
        assert 1700 < refused.retry_after <= 1800
        await state.increment("n", 3, 60)
        assert await peek.increment("n", 2, 60) == 5
        await state.remember_once("o", 60)
        assert not await peek.remember_once("o", 60)
        await state.publish("p", b"v", 60)
        await peek.delete("p")
        assert await peek.read("p") == b"v"
        await state.lease("l", "me", 60)
        await peek.release("l", "me")
        assert not await state.lease("l", "other", 60)

    asyncio.run(play())
