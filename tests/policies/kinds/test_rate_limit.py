"""``rate_limit`` as traffic: who shares a bucket, what answers carry, and a store that fails."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.errors import StateUnavailable
from policies.core.phase import Phase
from policies.core.services import Services, State
from policies.core.values import ANONYMOUS, PASS, Call, Decision, Deny, Identity
from policies.kinds.rate_limit import RateLimit, RateLimitConfig
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.peek import PeekState

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "ratelimit" / "draft_examples.json"

ALICE = Identity(kind="jwt", subject="alice", issuer="https://op", client="web")
BOB = Identity(kind="jwt", subject="bob", issuer="https://op", client="web")


def ask(policy: RateLimit, call: Call) -> Decision:
    return asyncio.run(policy.check(call))


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
        ({"algorithm": "fixed_window"}, "'gcra'"),
        ({"on_failure": "pass"}, "'deny', 'local' or 'allow'"),
        ({"accuracy": "exact"}, "Extra inputs"),
        ({"limit": 1, "per": 86400, "burst": 1000}, "366 days"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RateLimitConfig(**{"limit": 1, "per": 60, **options})


# What answers carry


def test_R3_a_limited_answer_tells_the_policy_and_what_is_left(limit: Any, make_call: Any) -> None:
    call = make_call()
    assert ask(limit(limit=100, per=60), call) is PASS
    assert call.response_fields == [
        (b"ratelimit", b'"default";r=99;t=1'),
        (b"ratelimit-policy", b'"default";q=100;w=60'),
    ]


def test_R3_a_refusal_says_when_to_come_back(limit: Any, make_call: Any, clock: Any) -> None:
    policy = limit(limit=1, per=90)
    ask(policy, make_call())
    clock.now += 30.5
    call = make_call()
    refused = ask(policy, call)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("rate_limited", 429)
    assert refused.fields == ((b"retry-after", b"60"),)
    assert call.response_fields[0] == (b"ratelimit", b'"default";r=0;t=60')
    clock.now += 59.4
    assert ask(policy, make_call()).fields == ((b"retry-after", b"1"),)
    clock.now += 0.1
    assert ask(policy, make_call()) is PASS


def test_R3_each_limit_of_a_route_is_a_member_of_its_own(limit: Any, make_call: Any) -> None:
    call = make_call()
    for policy in (limit(limit=10, per=1, name="second"), limit(limit=5000, per=86400, name="day")):
        ask(policy, call)
    lines = {
        name: [v for n, v in call.response_fields if n == name] for name, _ in call.response_fields
    }
    policies = parsed(b", ".join(lines[b"ratelimit-policy"]).decode())
    assert policies == [("second", {"q": 10, "w": 1}), ("day", {"q": 5000, "w": 86400})]
    left = parsed(b", ".join(lines[b"ratelimit"]).decode())
    assert left == [("second", {"r": 9, "t": 1}), ("day", {"r": 4999, "t": 18})]


def test_R3_the_name_of_a_limit_is_a_string_whatever_stands_in_it(
    limit: Any, make_call: Any
) -> None:
    call = make_call()
    name = 'a "b" \\ 100%d;r=9, c'
    ask(limit(name=name, limit=5), call)
    assert [parsed(value.decode())[0][0] for _, value in call.response_fields] == [name, name]
    with pytest.raises(ValueError, match="printable ASCII"):
        limit(name="tägl\nich")


def test_R3_our_lines_have_the_shape_of_the_drafts_examples(limit: Any, make_call: Any) -> None:
    if not VECTORS.exists():
        pytest.skip("the vectors of ratelimit-headers are not beside the project")
    examples = re.findall(
        r"^ *(RateLimit|RateLimit-Policy): ?(.+)$",
        "\n".join(json.loads(VECTORS.read_text())["blocks"]),
        re.MULTILINE,
    )
    assert len(examples) == 44
    shapes: dict[str, set[str]] = {"RateLimit": set(), "RateLimit-Policy": set()}
    for name, value in examples:
        for _, parameters in parsed(value):
            shapes[name].update(f"{key}:{type(item).__name__}" for key, item in parameters.items())
    call = make_call()
    ask(limit(), call)
    for (name, value), key in zip(call.response_fields, shapes, strict=True):
        assert name == key.lower().encode()
        ((_, parameters),) = parsed(value.decode())
        assert {f"{k}:{type(v).__name__}" for k, v in parameters.items()} <= shapes[key]


ITEM = re.compile(
    r"""(?P<name>"(?:[ !#-\[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^`|~:/\w-]*)
        (?P<parameters>(?:;[ ]*[a-z*][a-z0-9_.*-]*
          =(?:-?\d{1,15}|"(?:[ !#-\[\]-~]|\\["\\])*"|:[A-Za-z0-9+/=]*:))*)""",
    re.VERBOSE,
)
PARAMETER = re.compile(r';[ ]*([a-z0-9_.*-]+)=(-?\d+|"[^"]*"|:[^:]*:)')


def parsed(text: str) -> list[tuple[str, dict[str, object]]]:
    """A Structured Fields list (RFC 9651, 4.2.1) of strings or tokens with parameters."""
    members, at = [], 0
    while True:
        item = ITEM.match(text, at)
        assert item, f"no list member at {at} of {text!r}"
        name = (
            re.sub(r"\\(.)", r"\1", item["name"].strip('"'))
            if '"' in item["name"]
            else item["name"]
        )
        parameters = {
            key: int(value) if value.lstrip("-").isdigit() else value.encode()
            for key, value in PARAMETER.findall(item["parameters"])
        }
        members.append((name, parameters))
        at = item.end()
        if at == len(text):
            return members
        comma = re.compile(r"[ \t]*,[ \t]*").match(text, at)
        assert comma, f"rubbish at {at} of {text!r}"
        at = comma.end()


# When shared state fails


class Failing(MemoryState):
    """State that can be switched off."""

    down = True

    async def consume(self, *arguments: Any) -> Any:
        if self.down:
            raise StateUnavailable("off")
        return await super().consume(*arguments)


@pytest.fixture
def failing(make_services: Callable[..., Services], clock: Any) -> Callable[..., RateLimit]:
    def make(on_failure: str) -> RateLimit:
        services = make_services(state=Failing(MemoryBackend(clock)), scope="global")
        return RateLimit(RateLimitConfig(limit=2, per=3600, on_failure=on_failure), services)

    return make


def test_R6_by_default_a_limit_that_cannot_be_checked_refuses_with_503(
    failing: Any, make_call: Any
) -> None:
    assert RateLimitConfig(limit=1, per=1).on_failure == "deny"
    call = make_call()
    refused = ask(failing("deny"), call)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("state_unavailable", 503)
    assert refused.fields == ((b"retry-after", b"1"),)
    assert call.response_fields == []


def test_R6_local_counts_in_this_process(failing: Any, make_call: Any) -> None:
    policy = failing("local")
    call = make_call()
    assert passes(policy, call, make_call(), make_call()) == [True, True, False]
    assert call.response_fields[0] == (b"ratelimit", b'"default";r=1;t=1800')


def test_R6_allow_passes(failing: Any, make_call: Any) -> None:
    assert passes(failing("allow"), *[make_call() for _ in range(9)]) == [True] * 9


@pytest.mark.parametrize("on_failure", ["deny", "local", "allow"])
def test_R6_failing_is_never_silent(
    failing: Any, make_call: Any, on_failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    policy = failing(on_failure)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            call = make_call()
            ask(policy, call)
        assert policy.failures == 3
        assert policy.describe(call) == (
            "shared state cannot be reached; 3 calls so far went by on_failure: " + on_failure
        )
        policy._state.down = False
        ask(policy, make_call())
        ask(policy, make_call())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert f"cannot be reached, on_failure: {on_failure}" in said[0]
    assert "is back" in said[1]


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
