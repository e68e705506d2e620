"""R6: limits of every kind while shared state is down, and what shows it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from policies.core.errors import StateUnavailable
from policies.core.services import Services
from policies.core.values import PASS, Deny
from policies.registry import KINDS
from policies.stores.memory import MemoryBackend, MemoryState
from tests.policies.kinds.asking import ask

LIMITS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limit", {"per": 3600}),
    ("rate_limit", {"per": 3600, "algorithm": "fixed_window"}),
    ("rate_limit", {"per": 3600, "algorithm": "sliding_window"}),
    ("rate_limit", {"per": 3600, "accuracy": "eventual"}),
    ("quota", {"per": "month"}),
    ("concurrency", {}),
]


class Failing(MemoryBackend):
    """A store that can be switched off."""

    down = True

    def execute(self, batch: Any) -> Any:
        if self.down:
            raise StateUnavailable("off")
        return super().execute(batch)

    def consume(self, *arguments: Any) -> Any:
        if self.down:
            raise StateUnavailable("off")
        return super().consume(*arguments)


@pytest.fixture
def failing(clock: Any) -> Failing:
    return Failing(clock)


@pytest.fixture(params=LIMITS, ids=lambda item: "-".join([item[0], *map(str, item[1].values())]))
def limit(
    request: pytest.FixtureRequest, make_services: Callable[..., Services], failing: Failing
) -> Callable[..., Any]:
    kind, options = request.param
    policy = KINDS[kind]

    def make(**more: Any) -> Any:
        told: list[tuple[str, str]] = []
        services = make_services(
            state=MemoryState(failing),
            scope="global",
            on_outage=lambda *outage: told.append(outage),
        )
        config = policy.Config.model_validate({"limit": 120, **options, **more})
        made = policy(config, services)
        made.told = told
        return made

    return make


def test_R6_by_default_a_limit_that_cannot_be_checked_refuses_with_503(
    limit: Any, make_call: Any
) -> None:
    policy, call = limit(), make_call()
    assert policy.on_failure == "deny"
    refused = ask(policy, call)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("state_unavailable", 503)
    assert refused.fields == ((b"retry-after", b"1"),)
    assert call.response_fields == []


def test_R6_local_counts_in_this_process(limit: Any, make_call: Any) -> None:
    policy = limit(limit=2, on_failure="local")
    calls = [make_call() for _ in range(3)]
    decisions = [ask(policy, call) for call in calls]
    assert [decision is PASS for decision in decisions] == [True, True, False]
    assert decisions[2].code == policy.code
    assert [call.response_fields[0][1].split(b";")[1] for call in calls] == [b"r=1", b"r=0", b"r=0"]


def test_R6_allow_passes(limit: Any, make_call: Any) -> None:
    policy = limit(limit=1, on_failure="allow")
    assert [ask(policy, make_call()) for _ in range(9)] == [PASS] * 9


@pytest.mark.parametrize("on_failure", ["deny", "local", "allow"])
def test_R6_failing_is_never_silent(
    limit: Any, failing: Any, make_call: Any, on_failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    policy = limit(on_failure=on_failure)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            call = make_call()
            ask(policy, call)
        assert policy.failures == 3
        assert policy.told == [(policy.kind, on_failure)] * 3
        assert policy.describe(call) == (
            "shared state cannot be reached; 3 calls so far went by on_failure: " + on_failure
        )
        failing.down = False
        ask(policy, make_call())
        ask(policy, make_call())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert f"cannot be reached, on_failure: {on_failure}" in said[0]
    assert "is back" in said[1]
