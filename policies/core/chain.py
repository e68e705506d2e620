"""A route's chain: its policies sorted once, run for each call.

Theory of operation. ``compile_chain`` receives ready policies with their modes and builds
flat tuples; ``Chain.begin`` walks them, and becomes a coroutine only when a policy has to wait
or objects. The rules:

1. Order is ``Phase``; within a phase, configuration order.
2. The identity policies in force become one step: exactly one of them must be presented.
   They must exist: a chain without one does not compile (``public`` says "nobody"). Those that
   are ``additional`` (a signature) follow, a step each, and are required whatever else there is.
3. The first ``Deny`` or ``Answer`` of an enforced policy ends the run.
4. A policy in report mode runs, is recorded when it would have refused or answered, and does
   neither. One that only shapes the message changes nothing, and is recorded as not applied.
5. Fail closed: an exception leaves ``run``, and what is not a Decision is an exception.
6. A body or an answer is held only for the policies that ask for it, and never beyond a bound.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from policies.core.config import Mode
from policies.core.identify import Additional, Identify, awaited
from policies.core.phase import Phase
from policies.core.policy import BodyWatch, IdentityPolicy, Policy
from policies.core.values import PASS, Answer, Call, Decision, Deny, Field, Pass

Check = Callable[[Call], Decision | Awaitable[Decision]]


class Reported(Protocol):
    """What a policy in report mode would have done."""

    @property
    def code(self) -> str: ...


OnReport = Callable[[str, Call, Reported], None]

HELD_BODY = 1024 * 1024  # bytes that are held of a body where the route has no limit of its own
MAX_HELD_BODY = 64 * 1024 * 1024

_TOO_LARGE = Deny("upstream_invalid", "The API server's answer is too large to be examined.")


class ChainError(ValueError):
    """The policies do not make a chain; the message is for the administrator."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A ready policy, its name in the configuration, and whether it is enforced."""

    policy: Policy
    name: str
    mode: Mode = "enforce"


@dataclass(frozen=True, slots=True)
class _NotApplied:
    """What is reported of a policy that refuses nothing, and changed nothing either."""

    code: str = "not_applied"


_NOT_APPLIED = _NotApplied()


class Verdict(NamedTuple):
    """What one policy said about one call; collected by ``explain``."""

    name: str
    kind: str
    phase: Phase
    mode: Mode
    decision: Decision
    reason: str


_Step = tuple[Check, Attached]


class _ReportingWatch:
    """A watch of a policy in report mode: its first objection is reported, none is raised."""

    def __init__(self, watch: BodyWatch, report: Callable[[Deny], None]) -> None:
        self._watch: BodyWatch | None = watch
        self._report = report

    def feed(self, chunk: bytes) -> Deny | None:
        self._note(self._watch.feed(chunk) if self._watch else None)
        return None

    def end(self) -> Deny | None:
        self._note(self._watch.end() if self._watch else None)
        return None

    def _note(self, deny: Deny | None) -> None:
        if deny is not None:
            self._watch = None
            self._report(deny)


class Chain:
    """The compiled policies of one route. Immutable; shared by all calls of the route."""

    __slots__ = (
        "_answer_holders",
        "_body_holders",
        "_editors",
        "_sealers",
        "_steps",
        "_too_large",
        "_watchers",
        "answers_preflight",
        "body_bound",
        "on_report",
        "reads_answer",
        "reads_body",
        "seals",
    )

    def __init__(self, ordered: Sequence[Attached], on_report: OnReport) -> None:
        """``ordered``: the policies in running order, the identity alternatives as one."""

        def those(method: str) -> tuple[Attached, ...]:
            return tuple(item for item in ordered if _overrides(item.policy, method))

        steps = (i for i in ordered if _overrides(i.policy, "check") or _only_shapes(i))
        self._steps = tuple(_step(item, on_report) for item in steps)
        self._editors = _enforced(those("edit"))
        self._watchers = those("watch")
        self._body_holders = those("holds_body")
        self._answer_holders = tuple(
            item for item in those("holds_answer") if item.policy.answer_mode != "off"
        )
        self._sealers = _enforced(those("seal"))
        self.on_report = on_report
        self.reads_body = bool(self._watchers or self._body_holders)
        self.reads_answer = bool(self._answer_holders)
        self.seals = bool(self._sealers)
        self.answers_preflight = any(
            item.policy.answers_preflight for item in ordered if item.mode == "enforce"
        )
        bounds = [i.policy.body_bound for i in ordered if i.mode == "enforce"]
        self.body_bound = min((b for b in bounds if b is not None), default=HELD_BODY)
        self._too_large = Deny(
            "body_too_large", f"The body may hold at most {self.body_bound} bytes to be examined."
        )
        if self._body_holders and self.body_bound > MAX_HELD_BODY:
            name = self._body_holders[0].name
            raise ChainError(
                f"{name} needs the whole body: at most {MAX_HELD_BODY} bytes can be held, "
                "so lower body_limit"
            )

    def begin(self, call: Call) -> Pass | Coroutine[None, None, Decision]:
        """PASS when every policy says so at once, as they nearly always do; else what remains of
        the run, to be awaited."""
        steps = iter(self._steps)
        for check, attached in steps:
            decision = check(call)
            if decision is not PASS:
                return self._go_on(decision, attached, steps, call)
        return PASS

    async def run(self, call: Call) -> Decision:
        """PASS, or the first refusal or answer."""
        decision = self.begin(call)
        return PASS if isinstance(decision, Pass) else await decision

    async def _go_on(
        self,
        decision: Decision | Awaitable[Decision],
        attached: Attached,
        rest: Iterator[_Step],
        call: Call,
    ) -> Decision:
        """The run from the step of ``attached``, which has given ``decision``."""
        if hasattr(decision, "__await__"):
            decision = await decision
        ended = self._settle(decision, attached, call)
        if ended is not None:
            return ended
        for check, following in rest:
            decision = check(call)
            if decision is not PASS:
                return await self._go_on(decision, following, rest, call)
        return PASS

    async def explain(self, call: Call) -> list[Verdict]:
        """Run and record every policy's verdict, up to and including the first refusal."""
        verdicts = []
        for check, attached in self._steps:
            decision = _decided(await awaited(check(call)), attached)
            verdicts.append(_verdict(attached, decision, call))
            if decision is not PASS and attached.mode == "enforce":
                break
        return verdicts

    def watch(self, call: Call) -> list[BodyWatch]:
        """The observers that want this call's body, in order."""
        watches: list[BodyWatch] = []
        for item in self._watchers:
            watch = item.policy.watch(call)
            if watch is not None:
                watches.append(watch if item.mode == "enforce" else self._muted(watch, item, call))
        return watches

    def body_holders(self, call: Call) -> list[Attached]:
        """The policies that must see this call's whole body, in order."""
        return [item for item in self._body_holders if item.policy.holds_body(call)]

    async def check_body(self, call: Call, holders: Sequence[Attached], content: bytes) -> Decision:
        """PASS, or the first refusal or answer of ``holders``."""
        for item in holders:
            decision = await awaited(item.policy.check_body(call, content))
            ended = self._settle(decision, item, call)
            if ended is not None:
                return ended
        return PASS

    def unseen_body(self, call: Call, holders: Sequence[Attached]) -> Deny | None:
        """Why a body is not forwarded of which more would have to be held than may be."""
        for item in holders:
            if item.mode == "enforce":
                return self._too_large
            self.on_report(item.name, call, self._too_large)
        return None

    async def explain_body(self, call: Call, content: bytes) -> list[Verdict]:
        """The verdict of every policy that must see the whole body, as ``explain`` gives them."""
        verdicts = []
        for item in self.body_holders(call):
            decision = _decided(await awaited(item.policy.check_body(call, content)), item)
            verdicts.append(_verdict(item, decision, call))
            if decision is not PASS and item.mode == "enforce":
                break
        return verdicts

    def answer_holders(
        self, call: Call, status: int, fields: list[Field]
    ) -> list[tuple[Attached, int]]:
        """The policies that must see the whole content of an answer, and how much they take."""
        asked = [(i, i.policy.holds_answer(call, status, fields)) for i in self._answer_holders]
        return [(item, bound) for item, bound in asked if bound > 0]

    def check_answer(
        self,
        call: Call,
        holders: Sequence[tuple[Attached, int]],
        status: int,
        fields: list[Field],
        content: bytes | None,
    ) -> Deny | None:
        """Why an upstream's answer must not be sent. ``content`` is None when it is larger than
        any of them takes."""
        for item, bound in holders:
            deny: Deny | None = _TOO_LARGE
            if content is not None and len(content) <= bound:
                deny = item.policy.check_answer(call, status, fields, content)
            if deny is None:
                continue
            if item.mode == "enforce" and item.policy.answer_mode == "enforce":
                return deny
            self.on_report(item.name, call, deny)
        return None

    def seal(self, call: Call, status: int, fields: list[Field], content: bytes) -> list[Field]:
        """The header lines of an answer about which nothing else will change."""
        for policy in self._sealers:
            fields = policy.seal(call, status, fields, content)
        return fields

    def edit(self, call: Call, status: int, fields: list[Field]) -> list[Field]:
        """The answer's header lines after every RESPOND policy."""
        for policy in self._editors:
            fields = policy.edit(call, status, fields)
        return fields

    def _muted(self, watch: BodyWatch, item: Attached, call: Call) -> BodyWatch:
        return _ReportingWatch(watch, lambda deny: self.on_report(item.name, call, deny))

    def _settle(self, decision: Decision, attached: Attached, call: Call) -> Decision | None:
        """What a decision means: nothing, the end of the run, or a line in the report."""
        if decision is PASS:
            return None
        decision = _decided(decision, attached)
        if attached.mode == "enforce":
            return decision
        self.on_report(attached.name, call, cast(Deny | Answer, decision))
        return None


def _decided(decision: object, attached: Attached) -> Decision:
    """The decision, if it is one. Anything else is a defect, and nothing passes by a defect."""
    if decision is PASS or isinstance(decision, Deny | Answer):
        return decision
    raise TypeError(f"policy {attached.name!r} returned {type(decision).__name__}")


def _verdict(attached: Attached, decision: Decision, call: Call) -> Verdict:
    policy = attached.policy
    match decision:
        case Pass():
            reason = policy.describe(call)
        case Deny(detail=detail):
            reason = detail
        case Answer(status=status):
            reason = f"answered by the policy itself with {status}"
    return Verdict(attached.name, policy.kind, policy.phase, attached.mode, decision, reason)


def compile_chain(attached: Sequence[Attached], on_report: OnReport) -> Chain:
    """Sort the policies of one route into a chain.

    Raises ``ChainError`` when no identity policy is enforced, or more than ``MAX_HELD_BODY``
    would have to be held.
    """
    active = [item for item in attached if item.mode != "off"]
    proving = [
        item
        for item in active
        if isinstance(item.policy, IdentityPolicy) and item.mode == "enforce"
    ]
    if not proving:
        raise ChainError(
            "the route has no identity policy: attach jwt or another one, or say public: {}"
        )
    others = [item for item in active if item not in proving]
    ordered = sorted([*_identifying(proving), *others], key=lambda item: item.policy.phase)
    return Chain(ordered, on_report)


def _identifying(proving: Sequence[Attached]) -> list[Attached]:
    """The steps that the identity policies of a route make: the alternatives, what else is
    required."""
    policies = [(item, cast(IdentityPolicy, item.policy)) for item in proving]
    alternatives = [(item, policy) for item, policy in policies if not policy.additional]
    steps = []
    if alternatives:
        name = "+".join(item.name for item, _ in alternatives)
        steps.append(Attached(Identify([policy for _, policy in alternatives]), name))
    steps += [Attached(Additional(policy), i.name) for i, policy in policies if policy.additional]
    return steps


def _enforced(items: Sequence[Attached]) -> tuple[Policy, ...]:
    return tuple(item.policy for item in items if item.mode == "enforce")


def _step(item: Attached, on_report: OnReport) -> _Step:
    policy = item.policy
    if isinstance(policy, IdentityPolicy):  # in report mode: shown, but proves nothing
        policy = Identify([policy], invites=False)
        check: Check = _without_identity(policy)
    elif _only_shapes(item):
        check = _not_applied(item, on_report)
    else:
        check = policy.check
    return check, item


def _without_identity(identify: Identify) -> Check:
    async def check(call: Call) -> Decision:
        proven = call.identity, call.token
        decision = await awaited(identify.check(call))
        call.identity, call.token = proven
        return decision

    return check


def _only_shapes(item: Attached) -> bool:
    """Whether all that report mode can say of a policy is that it was not applied."""
    policy = item.policy
    shapes = policy.phase >= Phase.SHAPE and (
        _overrides(policy, "check") or _overrides(policy, "edit")
    )
    return shapes and item.mode != "enforce"


def _not_applied(item: Attached, on_report: OnReport) -> Check:
    async def check(call: Call) -> Decision:
        before = len(call.upstream_fields)
        decision = await awaited(item.policy.check(call))
        del call.upstream_fields[before:]
        if decision is PASS:
            on_report(item.name, call, _NOT_APPLIED)
        return decision

    return check


def _overrides(policy: Policy, method: str) -> bool:
    if method == "check" and isinstance(policy, IdentityPolicy):
        return True
    return getattr(type(policy), method) is not getattr(Policy, method)
