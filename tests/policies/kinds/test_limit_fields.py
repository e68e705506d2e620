"""What answers of limited calls carry: RateLimit, RateLimit-Policy, Retry-After."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import http_sf
import pytest

from policies.core.services import Services
from policies.core.values import PASS, Call, Deny
from policies.registry import KINDS
from tests.policies.kinds.asking import ask

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "ratelimit" / "draft_examples.json"
LIMITS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limit", {"per": 3600}),
    ("rate_limit", {"per": 3600, "algorithm": "fixed_window"}),
    ("rate_limit", {"per": 3600, "algorithm": "sliding_window"}),
    ("rate_limit", {"per": 3600, "accuracy": "eventual"}),
    ("quota", {"per": "day"}),
    ("quota", {"per": "week"}),
    ("quota", {"per": "month"}),
    ("concurrency", {}),
]
FIELD = re.compile(r"^ *(RateLimit|RateLimit-Policy): ?(.+)$", re.MULTILINE)

Member = tuple[str, dict[str, Any]]


def parsed(value: bytes) -> list[Member]:
    """A Structured Fields list (RFC 9651, 4.2.1)."""
    members = http_sf.parse(value, tltype="list")
    return [(str(name), parameters) for name, parameters in members]


def members(call: Call, name: bytes) -> list[Member]:
    return parsed(b", ".join(value for field, value in call.response_fields if field == name))


@pytest.fixture
def limit(make_services: Callable[..., Services]) -> Callable[..., Any]:
    services = make_services(scope="api:orders")

    def make(kind: str = "rate_limit", name: str = "", **options: Any) -> Any:
        policy = KINDS[kind]
        config = policy.Config.model_validate(options)
        return policy(config, replace(services, name=name))

    return make


@pytest.mark.parametrize(("kind", "options"), LIMITS)
def test_R3_what_is_left_falls_to_0_and_the_refusal_says_when_to_come_back(
    limit: Any, make_call: Any, kind: str, options: dict[str, Any]
) -> None:
    policy = limit(kind, limit=200, **options)
    left = []
    for _ in range(200):
        call = make_call()
        assert ask(policy, call) is PASS
        ((name, state),) = members(call, b"ratelimit")
        ((same, terms),) = members(call, b"ratelimit-policy")
        assert name == same == policy.unnamed
        assert set(state) == {"r", "t"}
        assert terms["q"] == 200
        assert ("w" in terms) is (kind != "concurrency")
        left.append(state["r"])
    assert left == list(range(199, -1, -1))
    call = make_call()
    refused = ask(policy, call)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == (policy.code, 429)
    ((name, wait),) = refused.fields
    assert name == b"retry-after"
    ((_, state),) = members(call, b"ratelimit")
    assert state["r"] == 0
    assert 1 <= int(wait) <= max(1, state["t"])


def test_R3_a_refusal_waits_exactly_as_long_as_it_must(
    limit: Any, make_call: Any, clock: Any
) -> None:
    policy = limit(limit=1, per=90)
    ask(policy, make_call())
    clock.now += 30.5
    call = make_call()
    assert ask(policy, call).fields == ((b"retry-after", b"60"),)
    assert call.response_fields == [
        (b"ratelimit", b'"default";r=0;t=60'),
        (b"ratelimit-policy", b'"default";q=1;w=90'),
    ]
    clock.now += 59.4
    assert ask(policy, make_call()).fields == ((b"retry-after", b"1"),)
    clock.now += 0.1
    assert ask(policy, make_call()) is PASS


def test_R3_each_limit_of_a_route_is_a_member_of_its_own(limit: Any, make_call: Any) -> None:
    call = make_call()
    for policy in (
        limit(limit=10, per=1, name="second"),
        limit(limit=5000, per=86400, name="day"),
        limit("quota", limit=7, per="week"),
        limit("concurrency", limit=3),
    ):
        ask(policy, call)
    assert members(call, b"ratelimit-policy") == [
        ("second", {"q": 10, "w": 1}),
        ("day", {"q": 5000, "w": 86400}),
        ("quota", {"q": 7, "w": 604800}),
        ("concurrency", {"q": 3, "qu": "concurrent-requests"}),
    ]
    left = members(call, b"ratelimit")
    assert [(name, state["r"]) for name, state in left] == [
        ("second", 9),
        ("day", 4999),
        ("quota", 6),
        ("concurrency", 2),
    ]


def test_R3_the_name_of_a_limit_is_a_string_whatever_stands_in_it(
    limit: Any, make_call: Any
) -> None:
    call = make_call()
    name = 'a "b" \\ 100%d;r=9, c'
    policy = limit(name=name, limit=5, per=60)
    ask(policy, call)
    assert [parsed(value)[0][0] for _, value in call.response_fields] == [name, name]
    assert policy.describe(call) == "1 of 5 used, resets in 12 s"
    with pytest.raises(ValueError, match="printable ASCII"):
        limit(name="tägl\nich", limit=5, per=60)


def test_R3_our_lines_have_the_shape_of_the_drafts_examples(limit: Any, make_call: Any) -> None:
    if not VECTORS.exists():
        pytest.skip("the vectors of ratelimit-headers are not beside the project")
    blocks = json.loads(VECTORS.read_text())["blocks"]
    assert len(blocks) == 46
    examples = [found for block in blocks for found in FIELD.findall(block)]
    assert len(examples) == 44
    shapes: dict[str, set[str]] = {"RateLimit": set(), "RateLimit-Policy": set()}
    for name, value in examples:
        for _, parameters in parsed(value.encode()):
            shapes[name].update(f"{key}:{type(item).__name__}" for key, item in parameters.items())
    limited = [block for block in blocks if block.startswith("HTTP/1.1 429")]
    assert len(limited) == 5
    for kind, options in LIMITS:
        call = make_call()
        ask(limit(kind, limit=100, **options), call)
        for (name, value), key in zip(call.response_fields, shapes, strict=True):
            assert name == key.lower().encode()
            ((_, parameters),) = parsed(value)
            assert {f"{k}:{type(v).__name__}" for k, v in parameters.items()} <= shapes[key]
