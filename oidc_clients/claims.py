"""From the claims of a token whose signature holds to an identity, or to a refusal. Pure.

The rules of RFC 7519 4.1, RFC 8725 3.8 to 3.12 and RFC 9068 4 that a provider's description
decides. What one route asks beyond them (scopes, further audiences, claims) is its policy's.
Texts are compared as they are: no case, prefix or Unicode folding anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from oidc_clients.compact import Compact
from oidc_clients.provider import ProviderSpec, media_type
from policies.core.values import Deny, Identity

MALFORMED = Deny("token_malformed", "The token is not a well-formed signed JWT.")
TOO_LARGE = Deny("token_malformed", "The token is too large.")
ISSUER = Deny("token_issuer", "The token's issuer is not accepted here.")
ALGORITHM = Deny("token_algorithm", "The token's algorithm is not accepted for its key.")
KEY_UNKNOWN = Deny("key_unknown", "The issuer publishes no key that the token names.")
SIGNATURE = Deny("token_signature", "The token's signature is not valid.")
EXPIRED = Deny("token_expired", "The token has expired.")
NOT_YET_VALID = Deny("token_not_yet_valid", "The token is not valid yet.")
TYPE = Deny("token_type", "The token is not an access token.")
AUDIENCE = Deny("token_audience", "The token is not meant for this audience.")
REVOKED = Deny("token_revoked", "The token has been taken back.")
UNAVAILABLE = Deny("provider_unavailable", "The keys of the token's issuer cannot be had now.")
_NO_EXPIRY = Deny("token_malformed", "The token has no valid exp claim.")
_BAD_TIME = Deny("token_malformed", "A time in the token is not a valid number.")
_NO_SUBJECT = Deny("token_malformed", "The token names no subject.")

# An ID token (OpenID Connect Core 2, 3.3.2.11) and a logout token (Back-Channel Logout 2.4)
# of the same provider verify with the same keys, whatever typ they carry.
NOT_FOR_ACCESS = frozenset({"nonce", "at_hash", "c_hash", "events"})
_MAX_TIME = 2**53


@dataclass(frozen=True, slots=True)
class Accepted:
    """An identity and when it holds: ``begins <= now < ends``, leeway included."""

    identity: Identity
    begins: float
    ends: float


def type_refusal(spec: ProviderSpec, token: Compact, claims: Mapping[str, Any]) -> Deny | None:
    """Whether this is an access token at all."""
    typ = "" if token.typ is None else media_type(token.typ)
    if typ not in spec.token_types or not NOT_FOR_ACCESS.isdisjoint(claims):
        return TYPE
    return None


def accept(
    spec: ProviderSpec, claims: dict[str, Any], now: float, kind: str = "jwt"
) -> Accepted | Deny:
    """What verified claims prove at ``now`` (seconds since the epoch). ``kind`` of credential:
    see ``Identity``."""
    if not is_time(claims.get("exp")):
        return _NO_EXPIRY
    begins = 0.0
    for name in ("nbf", "iat"):
        if name in claims:
            if not is_time(claims[name]):
                return _BAD_TIME
            begins = max(begins, claims[name])
    ends = claims["exp"] + spec.leeway
    if now >= ends:
        return EXPIRED
    if now < begins - spec.leeway:
        return NOT_YET_VALID
    audiences = _audiences(claims.get(spec.audience_claim))
    if spec.audiences.isdisjoint(audiences):
        return AUDIENCE
    client = _name(claims.get("client_id")) or _name(claims.get("azp"))
    subject = _name(claims.get("sub", client))
    if not subject:
        return _NO_SUBJECT
    identity = Identity(
        kind=kind,
        subject=subject,
        issuer=spec.issuer,
        provider=spec.name,
        client=client,
        scopes=_scopes(claims.get(spec.scope_claim)),
        audiences=audiences,
        claims=MappingProxyType(claims),
    )
    return Accepted(identity, begins - spec.leeway, ends)


def is_time(value: Any) -> bool:
    """A NumericDate (RFC 7519 2) that can be meant: no bool, not negative, exact as a float."""
    return type(value) in (int, float) and 0 <= value < _MAX_TIME


def _audiences(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset((value,))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return frozenset(value)
    return frozenset()


def _scopes(value: Any) -> frozenset[str]:
    """Scopes of a space-separated text (RFC 6749 3.3), or of a list, each as it is."""
    if isinstance(value, str):
        return frozenset(scope for scope in value.split(" ") if scope)
    return _audiences(value)


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""
