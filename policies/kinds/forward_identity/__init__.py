"""``forward_identity``: tell the upstream who is calling, in header lines of the route's choice.

The header names are reserved: whatever a client sends under them is stripped on
every route, so an upstream sees our value or none (P2). A claim that is absent makes no line.
A value that cannot stand in a header line is refused, never altered: it decides who somebody
is, and a changed identity is another identity. With ``token`` the upstream also gets a token
that it can verify by itself.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from policies.core.config import PolicyConfig
from policies.core.gateway_identity import Signer
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny, Identity
from policies.core.values import Field as HeaderField
from policies.http.fields import CREDENTIALS, HOP_BY_HOP, SAID_UPSTREAM, fits, request_name
from policies.http.templates import claim_text
from policies.kinds.forward_identity.token import OWN_CLAIMS, IdentityTokens

# Lines that frame the message, carry credentials, or are set by the gateway on every request.
_AUTHORIZATION = b"authorization"
_TAKEN = HOP_BY_HOP | SAID_UPSTREAM | CREDENTIALS


def _free(name: str) -> str:
    lower = request_name(name)
    if lower in _TAKEN or lower.startswith(b"proxy-"):
        raise ValueError(f"{name} cannot carry an identity: it has a meaning of its own")
    return name


def _free_for_token(name: str) -> str:
    return name if request_name(name) == _AUTHORIZATION else _free(name)


def _claim_of_credential(name: str) -> str:
    if name in OWN_CLAIMS:
        raise ValueError(f"{name} is said by the gateway itself")
    return name


HeaderName = Annotated[str, AfterValidator(_free)]
TokenHeaderName = Annotated[str, AfterValidator(_free_for_token)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
ClaimName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
ClaimOfCredential = Annotated[ClaimName, AfterValidator(_claim_of_credential)]


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
    token: TokenHeaderName | None = Field(
        default=None,
        title="Identity token",
        description="A header in which the upstream gets a signed token (JWT, ES256) that says "
        "who calls; /.well-known/jwks.json has the keys. In Authorization it follows the word "
        "Bearer. Empty: none.",
    )
    token_audience: Text | None = Field(
        default=None,
        title="Audience of the token",
        description="Its aud. Empty: the name of the API.",
    )
    token_issuer: Text | None = Field(
        default=None,
        title="Issuer of the token",
        description="Its iss. Empty: GATEHOUSE_PUBLIC_URL, or the name of the gateway in Via.",
    )
    token_lifetime: int = Field(
        default=60,
        ge=10,
        le=600,
        title="Lifetime of the token",
        description="Seconds between its iat and exp; at least half of them are left when the "
        "upstream gets it.",
    )
    token_type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+-]{1,64}$")] = Field(
        default="JWT", title="Type of the token", description="Its typ."
    )
    token_claims: tuple[ClaimOfCredential, ...] = Field(
        default=(),
        max_length=32,
        title="Claims of the token",
        description="Claims of the caller's own credential that it repeats.",
    )
    authorization: Literal["strip", "pass"] = Field(
        default="strip",
        title="Authorization header",
        description="pass: the upstream also gets the client's own Authorization header.",
    )

    @property
    def signs(self) -> bool:
        return self.token is not None


class ForwardIdentity(Policy):
    """Runs in SHAPE: after every check, so that no check sees our own lines."""

    kind = "forward_identity"
    phase = Phase.SHAPE
    Config: ClassVar[type[PolicyConfig]] = ForwardIdentityConfig
    summary = "Tells the upstream who is calling, in header lines."

    def __init__(self, config: ForwardIdentityConfig, services: Services) -> None:
        self._lines = [(name.lower().encode(), claim) for name, claim in config.headers.items()]
        self._token = config.token.lower().encode() if config.token is not None else b""
        self._scheme = b"Bearer " if self._token == _AUTHORIZATION else b""
        names = [name for name, _ in self._lines] + ([self._token] if self._token else [])
        self.sets = frozenset(names)
        self.passes = frozenset([_AUTHORIZATION] if config.authorization == "pass" else [])
        if len(self.sets) < len(names):
            raise ValueError("headers: the same header is named twice")
        if self.passes & self.sets:
            raise ValueError("token: Authorization cannot hold the client's and the gateway's")
        self._name = f"{self.kind} {self._lines!r}"
        self._tokens = _tokens(config, services.signer) if config.token is not None else None

    def check(self, call: Call) -> Decision:
        identity = call.identity
        if identity is None:
            return PASS
        told = identity.prepared(self._name, self._tell)
        if isinstance(told, Deny):
            return told
        call.upstream_fields += told
        if self._tokens is None or identity.kind == "public":
            return PASS
        token = self._tokens.token(call, identity)
        if isinstance(token, Deny):
            return token
        call.upstream_fields.append((self._token, self._scheme + token))
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


def _tokens(config: ForwardIdentityConfig, signer: Signer) -> IdentityTokens:
    return IdentityTokens(
        signer,
        issuer=config.token_issuer,
        audience=config.token_audience,
        lifetime=config.token_lifetime,
        token_type=config.token_type,
        claims=config.token_claims,
    )
