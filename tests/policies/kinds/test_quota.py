"""``quota`` as traffic: calendar periods, what is written down, and shared state that was lost."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import PASS, Call, Deny, Identity
from policies.kinds.quota import Quota, QuotaConfig, period_of
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.peek import PeekState
from tests.policies.kinds.asking import ask

ALICE = Identity(kind="jwt", subject="alice", issuer="https://op", client="web")


class Ledger:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.complete = "all there"
        self.told: list[tuple[str, int, float]] = []

    def spent(self, key: str, units: int, ends: float) -> None:
        self.told.append((key, units, ends))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def state(clock: Any) -> MemoryState:
    made = MemoryState(MemoryBackend(clock))
    asyncio.run(made.publish("all there", b"1", 10**8))
    return made


@pytest.fixture
def quota(
    make_services: Callable[..., Any], ledger: Ledger, state: MemoryState
) -> Callable[..., Quota]:
    services = make_services(scope="api:orders", ledger=ledger, state=state)
    return lambda **options: Quota(QuotaConfig(**{"limit": 2, "per": "day", **options}), services)


@pytest.fixture
def call(make_call: Callable[..., Call], clock: Any) -> Callable[..., Call]:
    """A call at a moment of the test's clock."""

    def make(when: str, **request: Any) -> Call:
        clock.now = at(when)
        made = make_call(**{"identity": ALICE, **request})
        made.now = clock.now
        return made

    return make


@pytest.mark.parametrize(
    ("span", "moment", "name", "begins", "ends"),
    [
        ("day", "2026-11-27T15:00", "2026-11-27", "2026-11-27", "2026-11-28"),
        ("day", "2026-12-31T23:59:59.999", "2026-12-31", "2026-12-31", "2027-01-01"),
        ("week", "2026-11-27T15:00", "2026-W48", "2026-11-23", "2026-11-30"),
        ("week", "2027-01-03T23:59", "2026-W53", "2026-12-28", "2027-01-04"),
        ("week", "2027-01-04T00:00", "2027-W01", "2027-01-04", "2027-01-11"),
        ("month", "2026-11-27T15:00", "2026-11", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-01T00:00", "2026-12", "2026-12-01", "2027-01-01"),
        ("month", "2028-02-29T12:00", "2028-02", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_period_is_one_of_the_calendar_in_utc(
    span: Any, moment: str, name: str, begins: str, ends: str
) -> None:
    assert period_of(span, at(moment)) == (name, at(begins), at(ends))


@pytest.mark.parametrize(
    ("per", "last", "first"),
    [
        ("day", "2026-11-27T23:59:59", "2026-11-28T00:00"),
        ("week", "2026-11-29T23:59:59", "2026-11-30T00:00"),
        ("month", "2026-11-30T23:59:59", "2026-12-01T00:00"),
    ],
)
def test_R1_a_quota_is_used_up_until_its_period_ends(
    quota: Any, call: Any, per: str, last: str, first: str
) -> None:
    policy = quota(per=per)
    assert [ask(policy, call("2026-11-27T09:00")) for _ in range(2)] == [PASS, PASS]
    for moment in ("2026-11-27T09:00", last):
        refused = ask(policy, call(moment))
        assert isinstance(refused, Deny)
        assert (refused.code, refused.refusal.status) == ("quota_exhausted", 429)
    assert refused.fields == ((b"retry-after", b"1"),)
    fresh = call(first)
    assert ask(policy, fresh) is PASS
    assert fresh.response_fields[0][1].startswith(b'"quota";r=1;')


def test_a_quota_tells_its_period_and_the_time_until_it_ends(quota: Any, call: Any) -> None:
    asked = call("2028-02-29T23:00")
    ask(quota(per="month"), asked)
    assert asked.response_fields == [
        (b"ratelimit", b'"quota";r=1;t=3600'),
        (b"ratelimit-policy", b'"quota";q=2;w=%d' % (29 * 86400)),
    ]


def test_what_was_used_is_written_down_and_refusals_are_not(
    quota: Any, call: Any, ledger: Ledger
) -> None:
    policy = quota()
    for _ in range(4):
        ask(policy, call("2026-11-27T09:00"))
    key = "quota 10:api:orders  2026-11-27 identity:3:jwt10:https://op5:alice"
    assert ledger.told == [(key, 1, at("2026-11-28"))] * 2


def test_R6_while_the_count_is_lost_on_failure_holds_and_nothing_is_counted(
    quota: Any, call: Any, ledger: Ledger, state: MemoryState
) -> None:
    asyncio.run(state.delete("all there"))
    decisions = {
        choice: ask(quota(on_failure=choice), call("2026-11-27T09:00"))
        for choice in ("deny", "local", "allow")
    }
    assert decisions["deny"].code == "state_unavailable"
    assert decisions["local"] is decisions["allow"] is PASS
    assert ledger.told == []
    asyncio.run(state.publish("all there", b"1", 10**8))
    policy = quota()
    assert [ask(policy, call("2026-11-27T09:00")) is PASS for _ in range(3)] == [True, True, False]


def test_R4_a_quota_by_address_runs_before_credentials_are_looked_at(quota: Any) -> None:
    assert quota(by="ip").phase is Phase.ADMIT
    assert quota(by="client").phase is Phase.LIMIT


def test_a_clock_that_is_set_back_counts_in_its_own_period(quota: Any, call: Any) -> None:
    policy = quota(limit=1)
    assert ask(policy, call("2026-11-28T00:00")) is PASS
    assert ask(policy, call("2026-11-27T23:59")) is PASS
    assert ask(policy, call("2026-11-28T00:00:30")).code == "quota_exhausted"


def test_explain_says_how_much_is_used_and_takes_nothing(
    make_services: Any, call: Any, clock: Any
) -> None:
    state = MemoryState(MemoryBackend(clock))
    config = QuotaConfig(limit=2, per="day")
    looking = Quota(config, make_services(state=PeekState(state)))
    using = Quota(config, make_services(state=state))
    for used in range(2):
        asked = call("2026-11-27T23:00")
        assert ask(looking, asked) is PASS
        assert looking.describe(asked).startswith(f"{used} of 2 used, resets in ")
        ask(using, call("2026-11-27T23:00"))
    assert ask(looking, call("2026-11-27T23:00")).code == "quota_exhausted"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"limit": 0}, "greater than or equal to 1"),
        ({"per": "hour"}, "'day', 'week' or 'month'"),
        ({"by": "user"}, "identity, ip, client"),
        ({"accuracy": "eventual"}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        QuotaConfig(**{"limit": 1, "per": "day", **options})
