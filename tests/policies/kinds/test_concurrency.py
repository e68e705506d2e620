"""``concurrency`` as traffic: slots are taken, held until calls end, and given back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from policies.core.phase import Phase
from policies.core.values import PASS, Call, Deny, Identity
from policies.kinds.concurrency import Concurrency, ConcurrencyConfig
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.peek import PeekState

ALICE = Identity(kind="jwt", subject="alice", issuer="https://op")
BOB = Identity(kind="jwt", subject="bob", issuer="https://op")


@pytest.fixture
def concurrency(make_services: Callable[..., Any]) -> Callable[..., Concurrency]:
    services = make_services(scope="api:orders")
    return lambda **options: Concurrency(ConcurrencyConfig(**{"limit": 2, **options}), services)


def end(call: Call) -> None:
    for ending in call.ending:
        ending()


def test_R1_no_more_than_the_limit_are_under_way_and_an_ended_one_makes_room(
    concurrency: Any, make_call: Any
) -> None:
    async def play() -> None:
        policy = concurrency()
        calls = [make_call(identity=ALICE) for _ in range(50)]
        decisions = await asyncio.gather(*[policy.check(call) for call in calls])
        passed = [c for c, decision in zip(calls, decisions, strict=True) if decision is PASS]
        refused = [decision for decision in decisions if decision is not PASS]
        assert (len(passed), len(refused)) == (2, 48)
        assert {type(decision) for decision in refused} == {Deny}
        assert (refused[0].code, refused[0].refusal.status) == ("too_many_concurrent", 429)
        assert refused[0].fields == ((b"retry-after", b"1"),)
        end(passed[0])
        assert await policy.check(make_call(identity=ALICE)) is PASS
        assert (await policy.check(make_call(identity=ALICE))).code == "too_many_concurrent"

    asyncio.run(play())


def test_R2_one_identity_does_not_take_anothers_slots(concurrency: Any, make_call: Any) -> None:
    async def play() -> None:
        policy = concurrency(limit=1)
        for who in (ALICE, BOB):
            assert await policy.check(make_call(identity=who)) is PASS
        assert (await policy.check(make_call(identity=BOB))).code == "too_many_concurrent"

    asyncio.run(play())


def test_a_refused_call_gives_nothing_back(concurrency: Any, make_call: Any) -> None:
    async def play() -> None:
        policy = concurrency(limit=1)
        held, refused = make_call(), make_call()
        await policy.check(held)
        await policy.check(refused)
        assert refused.ending == []
        end(refused)
        assert (await policy.check(make_call())).code == "too_many_concurrent"
        end(held)
        assert await policy.check(make_call()) is PASS

    asyncio.run(play())


def test_a_policy_that_was_compiled_anew_counts_the_calls_of_the_old_one(
    concurrency: Any, make_call: Any
) -> None:
    async def play() -> None:
        old, call = concurrency(limit=1), make_call()
        await old.check(call)
        new = concurrency(limit=1)
        assert (await new.check(make_call())).code == "too_many_concurrent"
        end(call)
        assert await new.check(make_call()) is PASS

    asyncio.run(play())


def test_by_address_it_runs_before_credentials_are_looked_at(concurrency: Any) -> None:
    assert concurrency(by="ip").phase is Phase.ADMIT
    assert concurrency(by="identity").phase is Phase.LIMIT


def test_explain_says_how_many_are_in_use_and_takes_none(
    make_services: Any, make_call: Any, clock: Any
) -> None:
    async def play() -> None:
        state = MemoryState(MemoryBackend(clock))
        config = ConcurrencyConfig(limit=1)
        looking = Concurrency(config, make_services(state=PeekState(state)))
        using = Concurrency(config, make_services(state=state))
        for _ in range(2):
            call = make_call()
            assert await looking.check(call) is PASS
            assert looking.describe(call) == "0 of 1 used, resets in 0 s"
        await using.check(make_call())
        assert (await looking.check(make_call())).code == "too_many_concurrent"

    asyncio.run(play())
