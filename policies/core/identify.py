"""Who is calling, as steps of a chain: one made of all the identity alternatives of a route, and
one for each identity policy that is required beside them."""

from collections.abc import Awaitable, Sequence
from typing import cast

from policies.core.credentials import all_missing
from policies.core.phase import Phase
from policies.core.policy import BodyWatch, IdentityPolicy, Policy, Proven
from policies.core.values import PASS, Answer, Call, Decision, Deny, Identity

_AMBIGUOUS = Deny(
    "credentials_ambiguous",
    "Present exactly one credential: several were found, and none of them was used.",
    fields=((b"www-authenticate", b'Bearer realm="gatehouse", error="invalid_request"'),),
)
_OTHER_CLIENT = Deny("client_refused", "The credentials belong to different clients.")


class Identify(Policy):
    """The one step made of a route's identity alternatives."""

    kind = "identity"
    phase = Phase.IDENTIFY

    def __init__(self, alternatives: Sequence[IdentityPolicy], invites: bool = True) -> None:
        """``invites``: an alternative may show the way to a credential instead of refusing."""
        self._alternatives = tuple(alternatives)
        self._sole = alternatives[0] if len(alternatives) == 1 else None
        self._inviting = tuple(p for p in alternatives if invites and _can_invite(p))
        missing = [policy.missing() for policy in alternatives]
        anonymous = [answer for answer in missing if isinstance(answer, Identity)]
        refusals = [answer for answer in missing if isinstance(answer, Deny)]
        self._nothing_presented = anonymous[0] if anonymous else all_missing(refusals)

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        chosen: IdentityPolicy | None = self._sole
        if chosen is not None:
            found = chosen.credential(call)
        else:
            chosen, found = self._choose(call)
        proven: Proven | Awaitable[Proven]
        if isinstance(found, bytes):
            proven = chosen.identify(call, found)
        elif found is None:
            chosen, proven = None, self._nothing_presented
        else:
            return _refused(found)
        if isinstance(proven, Identity):
            call.identity = proven
            return PASS
        if hasattr(proven, "__await__"):
            return self._later(proven, call, chosen)
        return self._turned_away(proven, call, chosen)

    def _choose(self, call: Call) -> tuple[IdentityPolicy, bytes | Deny | None]:
        """The alternative that is presented and its credential, or why there is none to use."""
        chosen, credential = self._alternatives[0], None
        for policy in self._alternatives:
            found = policy.credential(call)
            if found is None:
                continue
            if not isinstance(found, bytes):
                return policy, found
            if credential is not None:
                return policy, _AMBIGUOUS
            chosen, credential = policy, found
        return chosen, credential

    async def _later(
        self, proof: Awaitable[Proven], call: Call, chosen: IdentityPolicy | None
    ) -> Decision:
        proven = await proof
        if isinstance(proven, Identity):
            call.identity = proven
            return PASS
        return self._turned_away(proven, call, chosen)

    def _turned_away(
        self, answer: object, call: Call, chosen: IdentityPolicy | None
    ) -> Deny | Answer:
        """The refusal, or the invitation of the alternative that was chosen; of the first one
        that has any, where none was."""
        deny = _refused(answer)
        for policy in self._inviting:
            invitation = policy.invite(call, deny) if chosen in (policy, None) else None
            if invitation is not None:
                return invitation
        return deny

    def describe(self, call: Call) -> str:
        identity = call.identity
        if identity is None or identity.kind == "public":
            return "anyone may call this route"
        issuer = f" of {identity.issuer}" if identity.issuer else ""
        return f"{identity.kind} credential of subject {identity.subject!r}{issuer} is valid"


class Additional(Identify):
    """The step of an identity policy that is required beside the alternatives."""

    def __init__(self, policy: IdentityPolicy) -> None:
        super().__init__([policy])
        self.kind = policy.kind  # type: ignore[misc]
        self._policy = policy

    async def check(self, call: Call) -> Decision:
        proven = call.identity
        decision = await awaited(super().check(call))
        if decision is not PASS or proven is None or proven.kind == "public":
            return decision
        proven_too, call.identity = call.identity, proven
        return _OTHER_CLIENT if _are_two_clients(proven, cast(Identity, proven_too)) else PASS

    def watch(self, call: Call) -> BodyWatch | None:
        return self._policy.watch(call)

    def describe(self, call: Call) -> str:
        return self._policy.describe(call)


def _are_two_clients(one: Identity, other: Identity) -> bool:
    """Whether two credentials are of different clients of this gateway (they have no issuer)."""
    return not one.issuer and not other.issuer and one.client != other.client


def _refused(answer: object) -> Deny:
    """What an identity policy says that is neither a credential nor an identity must refuse."""
    if isinstance(answer, Deny):
        return answer
    raise TypeError(f"an identity policy returned {type(answer).__name__}")


def _can_invite(policy: IdentityPolicy) -> bool:
    return type(policy).invite is not IdentityPolicy.invite


async def awaited(decision: Decision | Awaitable[Decision]) -> Decision:
    """The decision, when it is there."""
    return await decision if hasattr(decision, "__await__") else decision
