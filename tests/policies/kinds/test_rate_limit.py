"""``rate_limit`` as traffic: who shares a bucket, and what each algorithm allows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.services import Services
from policies.core.state import State
from policies.core.values import ANONYMOUS, PASS, Call, Deny, Identity
from policies.kinds.rate_limit import RateLimit, RateLimitConfig
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.peek import PeekState
from tests.policies.kinds.asking import ask

ALICE = Identity(kind="jwt", subject="alice", issuer="https://op", client="web")
BOB = Identity(kind="jwt", subject="bob", issuer="https://op", client="web")


@pytest.fixture
def limit(make_services: Callable[..., Services]) -> Callable[..., RateLimit]:
    """A policy that allows one call an hour, all of one test over the same state."""
    services = make_services()

    def make(scope: str = "api:orders", name: str = "", **options: Any) -> RateLimit:
        config = RateLimitConfig(**{"limit": 1, "per": 3600, **options})
        return RateLimit(config, replace(services, scope=scope, name=name))

    return make


def passes(policy: RateLimit, *calls: Call) -> list[bool]:
    return [ask(policy, call) is PASS for call in calls]


# Whom it counts


def test_R2_the_identity_is_counted_wherever_it_calls_from(limit: Any, make_call: Any) -> None:
    policy = limit()
    first = make_call(identity=ALICE, client="192.0.2.1")
    again = make_call(identity=ALICE, client="192.0.2.2", route="orders GET /other")
    other = make_call(identity=BOB, client="192.0.2.1")
    assert passes(policy, first, again, other) == [True, False, True]


def test_R2_anonymous_callers_are_counted_by_address_not_together(
    limit: Any, make_call: Any
) -> None:
    for nobody in (None, ANONYMOUS):
        policy = limit(name="n" if nobody else "")
        calls = [make_call(identity=nobody, client=f"192.0.2.{n}") for n in (1, 2, 1)]
        assert passes(policy, *calls) == [True, True, False]


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"])
@pytest.mark.parametrize("by", ["identity", "ip", "client", "claim:team"])
def test_R2_no_header_of_the_client_buys_another_bucket(
    limit: Any, make_call: Any, by: str, name: str
) -> None:
    policy = limit(by=by)
    calls = [make_call(fields=[(name.encode(), b"203.0.113.%d" % n)]) for n in range(3)]
    assert passes(policy, *calls) == [True, False, False]


def test_R4_a_limit_by_address_runs_before_credentials_are_looked_at(limit: Any) -> None:
    assert limit(by="ip").phase is Phase.ADMIT
    for by in ("identity", "client", "route", "claim:team", "header:X-Tenant"):
        assert limit(by=by).phase is Phase.LIMIT
    assert Phase.ADMIT < Phase.IDENTIFY < Phase.LIMIT


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2:0::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_R5_ipv6_is_counted_by_64_and_mapped_addresses_as_ipv4(
    limit: Any, make_call: Any, one: str, other: str, same: bool
) -> None:
    policy = limit(by="ip")
    assert passes(policy, make_call(client=one), make_call(client=other)) == [True, not same]


def test_by_client_counts_the_clients_of_an_issuer(limit: Any, make_call: Any) -> None:
    policy = limit(by="client")
    elsewhere = replace(ALICE, issuer="https://other")
    calls = [make_call(identity=who) for who in (ALICE, BOB, elsewhere)]
    assert passes(policy, *calls) == [True, False, True]


def test_by_route_has_one_bucket_for_each_route(limit: Any, make_call: Any) -> None:
    policy = limit(by="route")
    calls = [make_call(identity=ALICE, route="a"), make_call(identity=BOB, route="a")]
    assert passes(policy, *calls, make_call(route="b")) == [True, False, True]


def test_by_claim_counts_values_and_without_the_claim_the_identity(
    limit: Any, make_call: Any
) -> None:
    policy = limit(by="claim:team")
    values = ["red", "red", "blue", 1, "1", ["red"], None]
    calls = [make_call(identity=replace(ALICE, claims={"team": value})) for value in values]
    assert passes(policy, *calls) == [True, False, True, True, True, True, True]
    assert passes(policy, make_call(identity=ALICE)) == [False]  # as the last one: no claim
    assert passes(policy, make_call(identity=BOB)) == [True]


def test_by_header_counts_what_was_asked_for(limit: Any, make_call: Any) -> None:
    policy = limit(by="header:X-Tenant")
    calls = [make_call(fields=[(b"x-tenant", value)]) for value in (b"a", b"b", b"a", b"\xff" * 9)]
    assert passes(policy, *calls) == [True, True, False, True]
    assert passes(policy, make_call(), make_call()) == [True, False]


def test_a_subject_that_looks_like_another_key_is_another_bucket(
    limit: Any, make_call: Any
) -> None:
    policy = limit()
    names = ["x", "x" * 5000, "x" * 5001, "ünï", "\ud800", "ip:192.0.2.7", "3:jwt0:"]
    calls = [make_call(identity=replace(ALICE, subject=name)) for name in names]
    assert passes(policy, make_call(), *calls, *calls) == [True] * 8 + [False] * 7


def test_two_policies_never_share_a_bucket_by_accident(limit: Any, make_call: Any) -> None:
    policies = [limit(), limit(scope="global"), limit(name="hourly"), limit(scope="api:orders h")]
    assert [passes(policy, make_call()) for policy in policies] == [[True]] * 4
    assert passes(limit(), make_call()) == [False]


def test_a_policy_counts_on_after_it_was_compiled_anew(limit: Any, make_call: Any) -> None:
    assert passes(limit(), make_call()) == [True]
    assert passes(limit(), make_call()) == [False]


# What it allows


def test_R1_the_limit_at_once_and_then_evenly(limit: Any, make_call: Any, clock: Any) -> None:
    policy = limit(limit=60, per=60)
    assert sum(passes(policy, *[make_call() for _ in range(100)])) == 60
    clock.now += 10
    assert sum(passes(policy, *[make_call() for _ in range(100)])) == 10


def test_burst_is_the_capacity(limit: Any, make_call: Any, clock: Any) -> None:
    policy = limit(limit=60, per=60, burst=5)
    assert sum(passes(policy, *[make_call() for _ in range(100)])) == 5
    clock.now += 3600
    assert sum(passes(policy, *[make_call() for _ in range(100)])) == 5


def test_R1_a_fixed_window_allows_its_limit_until_it_ends(
    limit: Any, make_call: Any, clock: Any
) -> None:
    policy = limit(limit=5, per=60, algorithm="fixed_window")
    assert passes(policy, make_call()) == [True]
    clock.now += 59
    assert sum(passes(policy, *[make_call() for _ in range(10)])) == 4
    clock.now += 1  # a minute after the first call
    assert sum(passes(policy, *[make_call() for _ in range(10)])) == 5


def test_R1_a_sliding_window_allows_its_limit_in_any_stretch(
    limit: Any, make_call: Any, clock: Any
) -> None:
    policy = limit(limit=5, per=60, algorithm="sliding_window")
    admitted = []
    for _ in range(600):
        clock.now += 1.25
        admitted += [clock.now] * sum(passes(policy, make_call(), make_call()))
    for moment in admitted:
        assert sum(1 for other in admitted if moment <= other < moment + 60) <= 5
    assert len(admitted) >= 5 * 600 * 1.25 / 60 - 5


def test_another_algorithm_or_period_counts_anew(limit: Any, make_call: Any) -> None:
    for algorithm in ("gcra", "fixed_window", "sliding_window"):
        assert passes(limit(algorithm=algorithm), make_call()) == [True]
        assert passes(limit(algorithm=algorithm), make_call()) == [False]
    assert passes(limit(algorithm="fixed_window", per=60), make_call()) == [True]
    assert passes(limit(algorithm="sliding_window", per=60), make_call()) == [True]


def test_R1_eventual_workers_together_stay_within_the_bound(
    make_services: Any, make_call: Any, clock: Any
) -> None:
    """Never more than the limit and what the workers took in advance; nobody is starved."""
    for algorithm in ("gcra", "fixed_window", "sliding_window"):
        state = MemoryState(MemoryBackend(clock))
        options = {"limit": 1000, "per": 100, "algorithm": algorithm, "accuracy": "eventual"}
        workers = [
            RateLimit(RateLimitConfig(**options), make_services(state=state)) for _ in range(4)
        ]
        calls = [make_call() for _ in range(400)]
        assert sum(sum(passes(worker, *calls)) for worker in workers) == 1000


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"limit": 0}, "greater than or equal to 1"),
        ({"per": 0}, "greater than or equal to 1"),
        ({"burst": 0}, "greater than or equal to 1"),
        ({"by": "user"}, "identity, ip, client, route, claim:NAME or header:NAME"),
        ({"by": "header:"}, "identity, ip, client, route, claim:NAME or header:NAME"),
        ({"by": "header:x_y"}, "identity, ip, client, route, claim:NAME or header:NAME"),
        ({"by": "claim:"}, "identity, ip, client, route, claim:NAME or header:NAME"),
        ({"algorithm": "leaky"}, "'gcra', 'sliding_window' or 'fixed_window'"),
        ({"algorithm": "fixed_window", "burst": 5}, "burst is for gcra"),
        ({"algorithm": "sliding_window", "burst": 5}, "burst is for gcra"),
        ({"on_failure": "pass"}, "'deny', 'local' or 'allow'"),
        ({"accuracy": "roughly"}, "'exact' or 'eventual'"),
        ({"unknown": 1}, "Extra inputs"),
        ({"limit": 1, "per": 86400, "burst": 1000}, "366 days"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RateLimitConfig(**{"limit": 1, "per": 60, **options})


# What explain says


def test_explain_says_how_much_is_used(limit: Any, make_call: Any) -> None:
    policy = limit(limit=100, per=60)
    call = make_call()
    for _ in range(3):
        call = make_call()
        ask(policy, call)
    assert policy.describe(call) == "3 of 100 used, resets in 2 s"


def test_explain_takes_nothing(make_services: Any, make_call: Any, clock: Any) -> None:
    state: State = MemoryState(MemoryBackend(clock))
    config = RateLimitConfig(limit=1, per=60)
    looking = RateLimit(config, make_services(state=PeekState(state)))
    for _ in range(3):
        call = make_call()
        assert ask(looking, call) is PASS
        assert looking.describe(call) == "0 of 1 used, resets in 0 s"
    assert ask(RateLimit(config, make_services(state=state)), make_call()) is PASS
    refused = ask(looking, make_call())
    assert isinstance(refused, Deny)
    assert refused.fields == ((b"retry-after", b"60"),)
