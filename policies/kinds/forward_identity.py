"""``forward_identity``: tell the upstream who is calling, in header lines of the route's choice.

The header names are reserved: whatever a client sends under them is stripped on
every route, so an upstream sees our value or none (P2). A claim that is absent makes no line.
A value that cannot stand in a header line is refused, never altered: it decides who somebody
is, and a changed identity is another identity.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny, Identity
from policies.core.values import Field as HeaderField
from policies.http.fields import CREDENTIALS, HOP_BY_HOP, SAID_UPSTREAM, fits, request_name
from policies.http.templates import claim_text

# Lines that frame the message, carry credentials, or are set by the gateway on every request.
_TAKEN = HOP_BY_HOP | SAID_UPSTREAM | CREDENTIALS


def _free(name: str) -> str:
    lower = request_name(name)
    if lower in _TAKEN or lower.startswith(b"proxy-"):
        raise ValueError(f"{name} cannot carry an identity: it has a meaning of its own")
    return name


HeaderName = Annotated[str, AfterValidator(_free)]
ClaimName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ForwardIdentityConfig(PolicyConfig):
    """Options of ``forward_identity``."""

    headers: dict[HeaderName, ClaimName] = Field(
        default={"X-Subject": "sub"},
        max_length=32,
        title="Header lines",
        description=(
            "Header name to claim name. Besides the token's claims: subject, issuer, client "
            "and scopes. Lists and objects are written as JSON."
        ),
    )
    authorization: Literal["strip", "pass"] = Field(
        default="strip",
        title="Authorization header",
        description="pass: the upstream also gets the client's own Authorization header.",
    )


class ForwardIdentity(Policy):
    """Runs in SHAPE: after every check, so that no check sees our own lines."""

    kind = "forward_identity"
    phase = Phase.SHAPE
    Config: ClassVar[type[PolicyConfig]] = ForwardIdentityConfig
    summary = "Tells the upstream who is calling, in header lines."

    def __init__(self, config: ForwardIdentityConfig, services: Services) -> None:
        self._lines = [(name.lower().encode(), claim) for name, claim in config.headers.items()]
        self.sets = frozenset(name for name, _ in self._lines)
        self.passes = frozenset([b"authorization"] if config.authorization == "pass" else [])
        if len(self.sets) < len(self._lines):
            raise ValueError("headers: the same header is named twice")
        self._name = f"{self.kind} {self._lines!r}"

    def check(self, call: Call) -> Decision:
        identity = call.identity
        if identity is None:
            return PASS
        told = identity.prepared(self._name, self._tell)
        if isinstance(told, Deny):
            return told
        call.upstream_fields += told
        return PASS

    def _tell(self, identity: Identity) -> tuple[HeaderField, ...] | Deny:
        """The lines that tell who this is, or why they cannot be written."""
        lines = []
        for name, claim in self._lines:
            value = claim_text(identity, claim)
            if value is None:
                continue
            if not fits(value):
                return Deny("claim_refused", f"The claim {claim!r} cannot be told to the upstream.")
            lines.append((name, value.encode()))
        return tuple(lines)

    def describe(self, call: Call) -> str:
        told = [name.decode() for name, _ in call.upstream_fields if name in self.sets]
        return f"the upstream is told {', '.join(told)}" if told else "nothing to tell the upstream"
