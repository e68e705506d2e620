"""Sender-constrained tokens: one that is bound to a key or a certificate is taken only from who
holds it (RFC 9449 DPoP, RFC 8705 mTLS, RFC 7800 ``cnf``).

A token says itself that it is bound, in ``cnf``, and then it is never a bearer token: not in
another scheme, not in a cookie, not on a route that asks for no binding. What a proof says is
compared with the request as the gateway understood it; that it holds is for ``Services.proofs``
to say, the certificate is the one that the door believed, and that a proof is used once is
kept in shared state, for all workers together.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from policies.core.callers import Proof
from policies.core.config import OnFailure, PolicyConfig
from policies.core.credentials import challenge
from policies.core.replay import Nonces
from policies.core.services import Services
from policies.core.values import Call, Deny, Identity
from policies.core.values import Field as HeaderField

DPOP_SCHEME = DPOP_HEADER = b"dpop"
AHEAD = 30.0
"""Seconds by which a caller's clock may be ahead of ours."""

_UNDERSTOOD = frozenset({"jkt", "x5t#S256"})
_PORTS = {"http": 80, "https": 443}
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ALGORITHMS = "ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"


class SenderConfig(PolicyConfig):
    """Options of every kind whose tokens may be bound to their sender."""

    sender_constraint: Literal["optional", "required", "dpop", "mtls"] = Field(
        default="optional",
        title="Sender constraint",
        description="Whether a token must be bound to its sender: by DPoP (RFC 9449), by a client "
        "certificate (RFC 8705), or required by either. A token that is bound is never accepted "
        "from anybody else, whatever is said here.",
    )
    dpop_max_age: int = Field(
        default=60,
        ge=5,
        le=300,
        title="Age of DPoP proofs",
        description="Seconds for which a DPoP proof may be used after it was made; it is used "
        "once.",
    )
    dpop_nonce: bool = Field(
        default=False,
        title="DPoP nonces",
        description="Ask for a nonce of the gateway in every proof (use_dpop_nonce), so that "
        "proofs cannot be made in advance.",
    )
    on_failure: OnFailure = Field(
        default="deny",
        title="When shared state fails",
        description="Whether DPoP proofs are refused (deny), remembered in each worker alone "
        "(local), or not remembered (allow) while shared state cannot answer.",
    )


def _challenge(error: str = "", description: str = "") -> tuple[HeaderField, ...]:
    """``WWW-Authenticate`` of the scheme DPoP (RFC 9449 7.1)."""
    said = {"error": error, "error_description": description, "algs": _ALGORITHMS}
    return challenge("DPoP", **said)


def _bad_proof(code: str, detail: str) -> Deny:
    return Deny(code, detail, fields=_challenge("invalid_dpop_proof", detail))


def _bad_token(detail: str) -> Deny:
    """The token is good, but not for use in this way."""
    said = {"error": "invalid_token", "error_description": detail}
    return Deny("token_type", detail, fields=challenge("Bearer", **said))


NO_PROOF = _bad_proof("signature_missing", "Present exactly one DPoP proof with the token.")
_BAD_PROOF = _bad_proof("signature_invalid", "The DPoP proof is not valid.")
_OTHER_REQUEST = _bad_proof("signature_invalid", "The DPoP proof is for another request.")
_OTHER_TOKEN = _bad_proof("signature_invalid", "The DPoP proof is for another token.")
_OTHER_KEY = _bad_proof("signature_invalid", "The token is bound to another key than this proof's.")
_OUTSIDE = _bad_proof("timestamp_outside_window", "The DPoP proof is too old, or from the future.")
_USED = _bad_proof("nonce_replayed", "The DPoP proof was used before.")

_AS_BEARER = replace(
    _bad_token("The token is bound to a key: present it in the scheme DPoP, with a proof."),
    fields=_challenge("invalid_token", "The token is bound to a key."),
)
_NOT_BOUND = _bad_token("The token is bound to no key: present it in the scheme Bearer.")
_BOUND_OTHERWISE = _bad_token("The token is bound in a way that is not understood here.")
_OTHER_CERTIFICATE = _bad_token(
    "The token is bound to a client certificate: use it over a connection that presents that one."
)
_UNBOUND = {
    "required": _bad_token("This route takes only tokens that are bound to their sender."),
    "dpop": _bad_token("This route takes only tokens that are bound to a key (DPoP)."),
    "mtls": _bad_token("This route takes only tokens that are bound to a client certificate."),
}
_WANTED = {
    "required": _UNDERSTOOD,
    "dpop": frozenset({"jkt"}),
    "mtls": frozenset({"x5t#S256"}),
}


class SenderConstraint:
    """Whether a token comes from who it was given to, on one route."""

    def __init__(self, config: SenderConfig, services: Services, header: bytes) -> None:
        """``header`` is the lower-case name of the header that carries tokens."""
        self._header = header
        self._wanted = config.sender_constraint
        self.demands = self._wanted != "optional"
        """Whether every token is to be asked about; else it is those with ``cnf`` and all calls
        with a DPoP proof that ``refusal`` has to judge."""
        self._max_age = config.dpop_max_age
        self._asks_nonce = config.dpop_nonce
        self._proofs = services.proofs
        self._used = Nonces(services, "dpop", config.on_failure)

    def challenge(self) -> tuple[HeaderField, ...]:
        """How a call without a token is asked for one."""
        return _challenge() if self._wanted == "dpop" else challenge("Bearer")

    async def refusal(self, call: Call, token: bytes, identity: Identity) -> Deny | None:
        """Why the token is not accepted from this caller."""
        cnf = identity.claims.get("cnf")
        bound = cnf if isinstance(cnf, dict) else {}
        if "cnf" in identity.claims and _UNDERSTOOD.isdisjoint(bound):
            return _BOUND_OTHERWISE
        if self.demands and _WANTED[self._wanted].isdisjoint(bound):
            return _UNBOUND[self._wanted]
        if "x5t#S256" in bound and not _is_of(call.request.certificate, bound["x5t#S256"]):
            return _OTHER_CERTIFICATE
        in_dpop = self._is_dpop(call)
        if "jkt" not in bound:
            return _NOT_BOUND if in_dpop else None
        return await self._proven(call, token, bound["jkt"]) if in_dpop else _AS_BEARER

    def _is_dpop(self, call: Call) -> bool:
        """Whether the token was presented in the scheme DPoP."""
        value = call.request.headers.get(self._header)
        return value is not None and value[:5].lower() == b"dpop "

    async def _proven(self, call: Call, token: bytes, jkt: object) -> Deny | None:
        """RFC 9449 4.3: the checks of a proof."""
        lines = call.request.headers.all(DPOP_HEADER)
        if len(lines) != 1:
            return NO_PROOF
        proof = self._proofs.read(lines[0])
        if proof is None:
            return _BAD_PROOF
        if proof.method != call.request.method or not _is_for(proof.uri, call):
            return _OTHER_REQUEST
        if proof.token_hash != digest(token):
            return _OTHER_TOKEN
        if proof.thumbprint != jkt:
            return _OTHER_KEY
        if self._asks_nonce and (refusal := self._nonce_refusal(call, proof)) is not None:
            return refusal
        age = call.now - proof.issued_at
        if not -AHEAD <= age <= self._max_age:
            return _OUTSIDE
        refusal = await self._used.accept(
            proof.thumbprint, proof.id, proof.issued_at, self._max_age - age
        )
        return _USED if refusal is not None and refusal.code == _USED.code else refusal

    def _nonce_refusal(self, call: Call, proof: Proof) -> Deny | None:
        """RFC 9449 9: a proof without a nonce that holds is answered with one that does."""
        current = self._proofs.nonce(call.now)
        supply: HeaderField = (b"dpop-nonce", current.encode())
        if proof.nonce == current:
            return None
        if proof.nonce is not None and self._proofs.takes_nonce(proof.nonce, call.now):
            call.response_fields.append(supply)  # RFC 9449 8.2: the next one, in time
            return None
        detail = "Use the nonce of DPoP-Nonce in a new proof."
        fields = (*_challenge("use_dpop_nonce", detail), supply)
        return Deny("nonce_missing", detail, fields=fields)


def digest(data: bytes) -> str:
    """SHA-256 in base64url without padding, as ``ath`` and ``x5t#S256`` are written."""
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _is_of(certificate: bytes | None, thumbprint: object) -> bool:
    """RFC 8705 3.1: whether this certificate has that thumbprint."""
    return certificate is not None and digest(certificate) == thumbprint


def _is_for(uri: str, call: Call) -> bool:
    """Whether an ``htu`` is the address of the request, both in normal form (RFC 3986 6.2.2 and
    6.2.3), without query and fragment."""
    request = call.request
    scheme = "https" if request.secure else "http"
    host = (request.headers.get(b"host") or b"").decode("latin-1")
    try:
        told, ours = urlsplit(uri), urlsplit(f"{scheme}://{host}")
        return (
            told.scheme == scheme
            and "@" not in told.netloc
            and _authority(told) == _authority(ours)
            and _path(told.path) == request.path
        )
    except ValueError:
        return False


def _authority(url: SplitResult) -> tuple[str, int]:
    """Host and port. Raises ``ValueError``."""
    return (url.hostname or "").rstrip("."), url.port or _PORTS[url.scheme]


def _path(path: str) -> str:
    """A path as the gateway's canonical ones are written; dot segments make it no such path."""

    def spelled(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if _UNRESERVED.match(character) else match[0].upper()

    return _ENCODED.sub(spelled, path) or "/"
