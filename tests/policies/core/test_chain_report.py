"""Report mode: what would have happened is counted, and does not happen."""

import asyncio
from typing import Any

import pytest

from policies.core.chain import Attached, Chain, compile_chain
from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.values import PASS, Answer, Call, Decision, Deny
from policies.kinds.public import Public


class Shapes(Policy):
    """Adds a line for the upstream and one for the client."""

    kind = "shapes"
    phase = Phase.SHAPE

    def __init__(self, decision: Decision = PASS) -> None:
        self._decision = decision

    def check(self, call: Call) -> Decision:
        call.upstream_fields.append((b"x-told", b"1"))
        return self._decision

    def edit(self, call: Call, status: int, fields: list[Any]) -> list[Any]:
        return [*fields, (b"x-edited", b"1")]


class ShapesLater(Shapes):
    """The same, after giving up the loop."""

    async def check(self, call: Call) -> Decision:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().check(call)


class Edits(Policy):
    kind = "edits"
    phase = Phase.RESPOND

    def edit(self, call: Call, status: int, fields: list[Any]) -> list[Any]:
        return []


class Answers(Policy):
    kind = "answers"
    phase = Phase.ADMIT
    answers_preflight = True

    def check(self, call: Call) -> Decision:
        return Answer(204, code="preflight")


class Reports(list[tuple[str, str]]):
    def __call__(self, name: str, call: Call, would: Any) -> None:
        self.append((name, would.code))


def chain_of(policy: Policy, mode: Any, reports: Reports) -> Chain:
    public = Attached(Public(PolicyConfig(), None), "public")  # type: ignore[arg-type]
    return compile_chain([public, Attached(policy, "it", mode)], reports)


@pytest.mark.parametrize("policy", [Shapes(), ShapesLater()], ids=["def", "async def"])
def test_a_policy_that_shapes_changes_nothing_and_is_recorded(
    make_call: Any, policy: Policy
) -> None:
    reports = Reports()
    chain = chain_of(policy, "report", reports)
    call = make_call()
    call.upstream_fields.append((b"x-kept", b"1"))
    assert asyncio.run(chain.run(call)) is PASS
    assert call.upstream_fields == [(b"x-kept", b"1")]
    assert chain.edit(call, 200, [(b"a", b"b")]) == [(b"a", b"b")]
    assert reports == [("it", "not_applied")]


def test_what_it_would_have_refused_is_recorded_instead(make_call: Any) -> None:
    reports = Reports()
    call = make_call()
    chain = chain_of(Shapes(Deny("claim_refused", "No.")), "report", reports)
    assert asyncio.run(chain.run(call)) is PASS
    assert call.upstream_fields == []
    assert reports == [("it", "claim_refused")]


def test_a_policy_that_edits_the_answer_alone_is_recorded_too(make_call: Any) -> None:
    reports = Reports()
    chain = chain_of(Edits(PolicyConfig(), None), "report", reports)
    assert asyncio.run(chain.run(make_call())) is PASS
    assert chain.edit(make_call(), 200, [(b"a", b"b")]) == [(b"a", b"b")]
    assert reports == [("it", "not_applied")]


def test_enforced_they_are_not_recorded(make_call: Any) -> None:
    reports = Reports()
    call = make_call()
    chain = chain_of(Shapes(), "enforce", reports)
    assert asyncio.run(chain.run(call)) is PASS
    assert call.upstream_fields == [(b"x-told", b"1")]
    assert chain.edit(call, 200, []) == [(b"x-edited", b"1")]
    assert reports == []


def test_an_answer_is_recorded_and_not_given(make_call: Any) -> None:
    reports = Reports()
    chain = chain_of(Answers(PolicyConfig(), None), "report", reports)
    assert asyncio.run(chain.run(make_call())) is PASS
    assert reports == [("it", "preflight")]


def test_B6_only_a_policy_in_force_takes_the_preflights_of_its_route() -> None:
    assert chain_of(Answers(PolicyConfig(), None), "enforce", Reports()).answers_preflight
    assert not chain_of(Answers(PolicyConfig(), None), "report", Reports()).answers_preflight
