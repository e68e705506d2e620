"""The chain as traffic: order, identity alternatives, report mode, and failing closed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from policies.core.chain import Attached, Chain, ChainError, compile_chain
from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import IdentityPolicy, Policy
from policies.core.values import ANONYMOUS, PASS, Answer, Call, Decision, Deny, Identity, Pass

ALICE = Identity(kind="token", subject="alice", issuer="https://op")
REFUSAL = Deny("ip_refused", "Not from there.")
MISSING = Deny("credentials_missing", "Nothing was presented.")


class Says(Policy):
    """Decides as told, and writes its name into ``ran``."""

    kind = "says"
    phase = Phase.AUTHORIZE

    def __init__(
        self, name: str = "says", says: Any = PASS, phase: Phase = Phase.AUTHORIZE
    ) -> None:
        self.name, self.says, self.phase = name, says, phase
        self.ran: list[str] = []

    def check(self, call: Call) -> Decision:
        self.ran.append(self.name)
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says

    def describe(self, call: Call) -> str:
        return f"{self.name} has no objection"


class SaysLater(Says):
    """The same, after giving up the loop."""

    async def check(self, call: Call) -> Decision:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().check(call)


class Credential(IdentityPolicy):
    """An identity policy whose credential is one header."""

    kind = "credential"
    summary = "looks for its header"

    def __init__(self, header: bytes, proves: Any = ALICE, missing: Any = MISSING) -> None:
        self.header, self.proves, self._missing = header, proves, missing
        self.asked = 0

    def credential(self, call: Call) -> bytes | Deny | None:
        return call.request.headers.get(self.header)

    async def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        self.asked += 1
        if isinstance(self.proves, BaseException):
            raise self.proves
        return self.proves

    def missing(self) -> Deny | Identity:
        return self._missing


class Objects:
    """A watch that refuses every chunk from the second on, and the end."""

    def __init__(self) -> None:
        self.fed = 0

    def feed(self, chunk: bytes) -> Deny | None:
        self.fed += 1
        return Deny("body_too_large", "Too much.") if self.fed > 1 else None

    def end(self) -> Deny | None:
        return Deny("request_invalid", "Incomplete.")


class Watches(Policy):
    kind = "watches"
    phase = Phase.VALIDATE

    def __init__(self, watch: Objects | None) -> None:
        self._watch = watch

    def watch(self, call: Call) -> Objects | None:
        return self._watch


class Marks(Policy):
    """Adds its name to the answer."""

    kind = "marks"
    phase = Phase.RESPOND

    def __init__(self, name: str) -> None:
        self.name = name

    def edit(self, call: Call, status: int, fields: list[Any]) -> list[Any]:
        return [*fields, (b"x-mark", self.name.encode())]


PUBLIC = Credential(b"none", missing=ANONYMOUS)


class Reports(list[tuple[str, Deny]]):
    """What policies in report mode would have refused."""

    def __call__(self, name: str, call: Call, deny: Deny) -> None:
        self.append((name, deny))


@pytest.fixture
def reports() -> Reports:
    return Reports()


def chain_of(
    policies: Sequence[Policy | Attached], reports: Callable[..., None] = lambda *_: None
) -> Chain:
    attached = [
        policy if isinstance(policy, Attached) else Attached(policy, getattr(policy, "name", "p"))
        for policy in policies
    ]
    return compile_chain(attached, reports)


def run(chain: Chain, call: Call) -> Decision:
    return asyncio.run(chain.run(call))


# Order


def test_policies_run_by_phase_and_within_a_phase_as_configured(make_call: Any) -> None:
    ran: list[str] = []
    names = ["SHAPE a", "LIMIT a", "ADMIT a", "LIMIT b", "VALIDATE a", "AUTHORIZE a", "ADMIT b"]
    policies: list[Policy] = [PUBLIC]
    for number, name in enumerate(names):
        kind = Says if number % 2 else SaysLater
        policies.append(kind(name, phase=Phase[name.split()[0]]))
        policies[-1].ran = ran
    assert run(chain_of(policies), make_call()) is PASS
    assert ran == [
        *("ADMIT a", "ADMIT b", "AUTHORIZE a", "LIMIT a", "LIMIT b"),
        *("VALIDATE a", "SHAPE a"),
    ]


def test_a_policy_knows_the_identity_only_after_it_was_proven(make_call: Any) -> None:
    seen = []

    class Looks(Says):
        def check(self, call: Call) -> Decision:
            seen.append(call.identity)
            return PASS

    chain = chain_of([Looks(phase=Phase.ADMIT), Looks(phase=Phase.AUTHORIZE), Credential(b"a")])
    run(chain, make_call(fields=[(b"a", b"")]))
    assert seen == [None, ALICE]


def test_the_phase_of_an_instance_counts(make_call: Any) -> None:
    early = Says("early", says=REFUSAL)
    early.phase = Phase.ADMIT
    proof = Credential(b"a")
    assert run(chain_of([proof, early]), make_call(fields=[(b"a", b"")])) is REFUSAL
    assert proof.asked == 0


# The end of a run


@pytest.mark.parametrize("kind", [Says, SaysLater])
@pytest.mark.parametrize("end", [REFUSAL, Answer(204)])
def test_the_first_refusal_or_answer_ends_the_run(make_call: Any, kind: Any, end: Any) -> None:
    before, after = Says("before"), kind("after")
    chain = chain_of([PUBLIC, before, kind(says=end), after])
    assert run(chain, make_call()) is end
    assert (before.ran, after.ran) == (["before"], [])


@pytest.mark.parametrize("kind", [Says, SaysLater])
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("mode", ["enforce", "report"])
def test_F4_an_exception_leaves_the_run_in_every_phase_and_mode(
    make_call: Any, kind: Any, phase: Phase, mode: Any
) -> None:
    broken = Attached(kind(says=ZeroDivisionError(), phase=phase), "broken", mode)
    with pytest.raises(ZeroDivisionError):
        run(chain_of([PUBLIC, broken]), make_call())


@pytest.mark.parametrize("kind", [Says, SaysLater])
@pytest.mark.parametrize("mode", ["enforce", "report"])
@pytest.mark.parametrize("value", [None, True, False, 0, "pass", ALICE, Pass, Pass()])
def test_F4_what_is_no_decision_is_a_defect_not_a_pass(
    make_call: Any, kind: Any, mode: Any, value: Any
) -> None:
    with pytest.raises(TypeError, match="'odd' returned"):
        run(chain_of([PUBLIC, Attached(kind(says=value), "odd", mode)]), make_call())


@pytest.mark.parametrize("value", [REFUSAL, None, True, ALICE])
def test_F4_what_was_waited_for_is_judged_like_what_was_said_at_once(
    make_call: Any, value: Any
) -> None:
    class Waits(Says):
        def check(self, call: Call) -> Awaitable[Decision]:  # type: ignore[override]
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(self.says)
            return answer

    after = Says("after")
    chain = chain_of([PUBLIC, Waits(says=value), after])
    if value is REFUSAL:
        assert run(chain, make_call()) is REFUSAL
    else:
        with pytest.raises(TypeError, match="'says' returned"):
            run(chain, make_call())
    assert after.ran == []


@pytest.mark.parametrize("proves", [None, True, PASS])
def test_F4_an_identity_policy_that_proves_no_identity_lets_nobody_in(
    make_call: Any, proves: Any
) -> None:
    later = Says("later")
    call = make_call(fields=[(b"a", b"")])
    with pytest.raises(TypeError, match="an identity policy returned"):
        run(chain_of([Credential(b"a", proves=proves), later]), call)
    assert (call.identity, later.ran) == (None, [])


@pytest.mark.parametrize("found", [True, PASS, ALICE, 1])
def test_F4_what_is_no_credential_lets_nobody_in(make_call: Any, found: Any) -> None:
    class Odd(Credential):
        def credential(self, call: Call) -> bytes | Deny | None:
            return found

    with pytest.raises(TypeError, match="an identity policy returned"):
        run(chain_of([Odd(b"a")]), make_call())


def test_F4_an_exception_while_proving_leaves_the_run(make_call: Any) -> None:
    chain = chain_of([Credential(b"a", proves=KeyError("kid"))])
    with pytest.raises(KeyError):
        run(chain, make_call(fields=[(b"a", b"")]))


# Identity


def test_F4_a_route_without_an_identity_policy_does_not_compile() -> None:
    identity = Credential(b"a")
    for policies in (
        [],
        [Says()],
        [Attached(identity, "off", "off")],
        [Attached(identity, "report", "report")],
    ):
        with pytest.raises(ChainError, match="no identity policy"):
            chain_of(policies)


def test_the_presented_alternative_is_the_one_that_is_asked(make_call: Any) -> None:
    one, two = Credential(b"a", proves=REFUSAL), Credential(b"b")
    call = make_call(fields=[(b"b", b"")])
    assert run(chain_of([one, two]), call) is PASS
    assert call.identity is ALICE
    assert (one.asked, two.asked) == (0, 1)


def test_B2_two_credentials_are_ambiguous_and_neither_is_looked_at(make_call: Any) -> None:
    one, two = Credential(b"a"), Credential(b"b")
    call = make_call(fields=[(b"a", b""), (b"b", b"")])
    refused = run(chain_of([one, two]), call)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("credentials_ambiguous", 400)
    assert (one.asked, two.asked, call.identity) == (0, 0, None)


def test_B2_a_credential_that_is_ambiguous_in_itself_is_refused(make_call: Any) -> None:
    class Twice(Credential):
        def credential(self, call: Call) -> bytes | Deny | None:
            return Deny("credentials_ambiguous", "Two of them.")

    refused = run(chain_of([Twice(b"a")]), make_call())
    assert isinstance(refused, Deny)
    assert refused.code == "credentials_ambiguous"


def test_B1_without_a_credential_the_first_alternative_says_what_is_missing_and_all_how(
    make_call: Any,
) -> None:
    """RFC 9110 11.6.1: every scheme that would do has its challenge."""
    first = Deny("credentials_missing", "No token.", fields=((b"www-authenticate", b"Bearer"),))
    other = Deny("signature_missing", "Not signed.", fields=((b"www-authenticate", b"Other"),))
    alternatives = [Credential(bytes([at]), missing=deny) for at, deny in enumerate((first, other))]
    refused = run(chain_of([*alternatives, Credential(b"c", missing=first)]), make_call())
    assert isinstance(refused, Deny)
    assert (refused.code, refused.detail) == (first.code, first.detail)
    assert refused.fields == first.fields + other.fields


def test_public_beside_another_kind_makes_credentials_optional_not_ignored(
    make_call: Any,
) -> None:
    chain = chain_of([Credential(b"a", proves=REFUSAL), PUBLIC])
    call = make_call()
    assert run(chain, call) is PASS
    assert call.identity is ANONYMOUS
    assert run(chain, make_call(fields=[(b"a", b"")])) is REFUSAL


# Report and off


def test_a_policy_in_report_mode_reports_and_never_refuses(
    make_call: Any, reports: Reports
) -> None:
    later = Says("later")
    chain = chain_of([PUBLIC, Attached(Says(says=REFUSAL), "trial", "report"), later], reports)
    assert run(chain, make_call()) is PASS
    assert reports == [("trial", REFUSAL)]
    assert later.ran == ["later"]


def test_a_policy_that_is_off_does_not_run(make_call: Any, reports: Reports) -> None:
    policy = Says(says=REFUSAL)
    marks = Attached(Marks("off"), "marks", "off")
    watches = Attached(Watches(Objects()), "watches", "off")
    chain = chain_of([PUBLIC, Attached(policy, "off", "off"), marks, watches], reports)
    call = make_call()
    assert run(chain, call) is PASS
    assert chain.edit(call, 200, []) == []
    assert chain.watch(call) == []
    assert (policy.ran, reports) == ([], [])


@pytest.mark.parametrize("proves", [ALICE, REFUSAL])
def test_an_identity_policy_in_report_mode_proves_nothing(
    make_call: Any, reports: Reports, proves: Any
) -> None:
    trial = Attached(Credential(b"a", proves=proves), "trial", "report")
    call = make_call(fields=[(b"a", b"")])
    assert run(chain_of([trial, PUBLIC], reports), call) is PASS
    assert call.identity is ANONYMOUS
    assert reports == ([] if proves is ALICE else [("trial", REFUSAL)])


# Bodies and answers


def test_the_watch_of_an_enforced_policy_objects(make_call: Any) -> None:
    (watch,) = chain_of([PUBLIC, Watches(Objects()), Watches(None)]).watch(make_call())
    assert watch.feed(b"1") is None
    assert watch.feed(b"2").code == "body_too_large"
    assert watch.end().code == "request_invalid"


def test_the_watch_of_a_reporting_policy_objects_once_and_only_on_paper(
    make_call: Any, reports: Reports
) -> None:
    objects = Objects()
    chain = chain_of([PUBLIC, Attached(Watches(objects), "trial", "report")], reports)
    (watch,) = chain.watch(make_call())
    assert [watch.feed(b"x") for _ in range(5)] == [None] * 5
    assert watch.end() is None
    assert [(name, deny.code) for name, deny in reports] == [("trial", "body_too_large")]
    assert objects.fed == 2


def test_answers_are_edited_by_enforced_policies_in_order(make_call: Any) -> None:
    trial = Attached(Marks("trial"), "trial", "report")
    chain = chain_of([PUBLIC, Marks("one"), trial, Marks("two")])
    fields = chain.edit(make_call(), 200, [(b"a", b"b")])
    assert fields == [(b"a", b"b"), (b"x-mark", b"one"), (b"x-mark", b"two")]


# Explain


def test_explain_records_every_verdict_up_to_the_first_refusal(
    make_call: Any, reports: Reports
) -> None:
    chain = chain_of(
        [
            Credential(b"a"),
            Attached(Says("one"), "one"),
            Attached(Says("trial", says=REFUSAL), "trial", "report"),
            Attached(SaysLater("two", says=REFUSAL), "two"),
            Attached(Says("three"), "three"),
        ],
        reports,
    )
    verdicts = asyncio.run(chain.explain(make_call(fields=[(b"a", b"")])))
    assert [(v.name, v.kind, v.mode, v.decision, v.reason) for v in verdicts] == [
        (
            *("p", "identity", "enforce", PASS),
            "token credential of subject 'alice' of https://op is valid",
        ),
        ("one", "says", "enforce", PASS, "one has no objection"),
        ("trial", "says", "report", REFUSAL, "Not from there."),
        ("two", "says", "enforce", REFUSAL, "Not from there."),
    ]
    assert reports == []


def test_explain_tells_an_answer(make_call: Any) -> None:
    chain = chain_of([PUBLIC, Says(says=Answer(204))])
    verdicts = asyncio.run(chain.explain(make_call()))
    assert verdicts[-1].reason == "answered by the policy itself with 204"


def test_F4_explain_does_not_take_a_defect_for_a_pass(make_call: Any) -> None:
    with pytest.raises(TypeError, match="'odd' returned"):
        asyncio.run(chain_of([PUBLIC, Attached(Says(says=None), "odd")]).explain(make_call()))


def test_a_policy_that_overrides_nothing_passes(make_call: Any) -> None:
    class Plain(Policy):
        kind = "plain"
        phase = Phase.AUTHORIZE
        summary = "Does nothing."

    plain = Plain(PolicyConfig(), None)  # type: ignore[arg-type]
    call = make_call()
    assert run(chain_of([PUBLIC, plain]), call) is PASS
    assert plain.check(call) is PASS
    assert plain.edit(call, 200, [(b"a", b"b")]) == [(b"a", b"b")]
    assert plain.watch(call) is None
    assert plain.describe(call) == "Does nothing."
