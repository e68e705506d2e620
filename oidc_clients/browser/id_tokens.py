"""ID tokens and logout tokens: what a provider says to the gateway itself about a person. Pure.

Both are taken apart as strictly as access tokens, verify by the algorithms and keys that the
provider is configured with, and must be meant for the gateway's client; and neither is ever
taken for the other, nor for an access token.

Sources: OpenID Connect Core 1.0, 3.1.3.7 (ID token validation) and 3.1.3.8 (at_hash); OpenID
Connect Back-Channel Logout 1.0, 2.4 and 2.6.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from oidc_clients.compact import Compact, parse
from oidc_clients.keystore import KeySlot, KeyStore
from oidc_clients.provider import ProviderSpec, media_type
from oidc_clients.strict import NotStrict, json_object
from oidc_clients.tokens import keys_for, signed_refusal
from policies.core.values import Deny

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE = 300
"""Seconds since the iat of a token that is taken the moment it is made."""
_MAX_TIME = 2**53
_MAX_NAME = 255  # characters of a subject (OpenID Connect Core 2) and of a sid


class TokenRefused(Exception):
    """The token is not what it has to be; the message says why, and repeats nothing of it."""


class TokenUndecided(Exception):
    """The provider's keys cannot be had now."""


class Person(NamedTuple):
    """Who signed in, as an ID token says it. ``sid`` is empty where the provider names none."""

    subject: str
    sid: str
    name: str


class Logout(NamedTuple):
    """Whom a logout token signs out: a subject, one of its sessions, or both are named."""

    subject: str
    sid: str
    token_id: str
    expires: float


class Verifier:
    """Verifies with the keys of one provider."""

    def __init__(self, spec: ProviderSpec, client_id: str, store: KeyStore, slot: KeySlot) -> None:
        self._spec = spec
        self._client_id = client_id
        self._store = store
        self._slot = slot

    async def id_token(self, token: str, nonce: str, access_token: str, now: float) -> Person:
        """Who signed in. Raises ``TokenRefused`` and ``TokenUndecided``."""
        parts, claims = await self._verified(token, now)
        typ = media_type(parts.typ or "jwt")
        if typ != "jwt" or "events" in claims:
            raise TokenRefused("it is a token of another type")
        self._check_parties(claims)
        self._check_times(claims, now)
        given = claims.get("nonce")
        if not isinstance(given, str) or not _same(given, nonce):
            raise TokenRefused("its nonce is another one")
        _check_access_token(parts.algorithm, claims.get("at_hash"), access_token)
        name = claims.get("preferred_username") or claims.get("email") or claims.get("name")
        shown = name if isinstance(name, str) else ""
        return Person(_required(claims, "sub"), _optional(claims, "sid"), shown[:_MAX_NAME])

    async def logout_token(self, token: str, now: float) -> Logout:
        """Whom it signs out. Raises ``TokenRefused`` and ``TokenUndecided``."""
        parts, claims = await self._verified(token, now)
        if media_type(parts.typ or "logout+jwt") not in ("logout+jwt", "jwt"):
            raise TokenRefused("it is a token of another type")
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise TokenRefused("it names no logout")
        if "nonce" in claims:
            raise TokenRefused("it has a nonce, as ID tokens do")
        self._check_parties(claims)
        self._check_times(claims, now)
        subject, sid = _optional(claims, "sub"), _optional(claims, "sid")
        if not subject and not sid:
            raise TokenRefused("it names neither a subject nor a session")
        return Logout(subject, sid, _required(claims, "jti"), float(claims["exp"]))

    async def _verified(self, token: str, now: float) -> tuple[Compact, dict[str, Any]]:
        """The parts and claims of a token whose signature holds."""
        try:
            parts = parse(token.encode())
            claims = json_object(parts.payload)
        except (NotStrict, UnicodeEncodeError) as error:
            raise TokenRefused("it is no well-formed signed JWT") from error
        if parts.algorithm not in self._spec.algorithms:
            raise TokenRefused("its algorithm is not one of the provider's")
        if claims.get("iss") != self._spec.issuer:
            raise TokenRefused("its issuer is another one")
        keys = await keys_for(self._store, self._slot, parts, now)
        refusal = keys if isinstance(keys, Deny) else signed_refusal(self._spec, parts, keys)
        if refusal is None:
            return parts, claims
        if refusal.refusal.status == 503:
            raise TokenUndecided("the provider's keys cannot be had now")
        raise TokenRefused(refusal.detail)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        """``aud`` and ``azp`` (Core 3.1.3.7, 3 to 5): for this client, and issued to it."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._client_id not in audiences:
            raise TokenRefused("it is not meant for the gateway")
        party = claims.get("azp")
        if party is None and len(audiences) > 1:
            raise TokenRefused("it is meant for several, and does not say to whom it was issued")
        if party is not None and party != self._client_id:
            raise TokenRefused("it was issued to another client")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires, issued, leeway = _time(claims, "exp"), _time(claims, "iat"), self._spec.leeway
        if now >= expires + leeway:
            raise TokenRefused("it has expired")
        if not issued - leeway <= now < issued + MAX_AGE + leeway:
            raise TokenRefused("it was not issued now")


def _check_access_token(algorithm: str, given: Any, access_token: str) -> None:
    """``at_hash`` (Core 3.1.3.8), where there is one: the tokens belong together."""
    if given is None:
        return
    if algorithm == "EdDSA":  # over Ed25519, whose hash is SHA-512
        digest = hashlib.sha512
    else:
        digest = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}[
            algorithm[-3:]
        ]
    value = digest(access_token.encode()).digest()
    half = urlsafe_b64encode(value[: len(value) // 2]).rstrip(b"=").decode()
    if not isinstance(given, str) or not _same(given, half):
        raise TokenRefused("it belongs to another access token")


def _required(claims: Mapping[str, Any], name: str) -> str:
    value = _optional(claims, name)
    if not value:
        raise TokenRefused(f"its {name} is missing")
    return value


def _optional(claims: Mapping[str, Any], name: str) -> str:
    """A claim that is a text; empty when it is absent."""
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise TokenRefused(f"its {name} is no text, or too long")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value: Any = claims.get(name)
    if type(value) not in (int, float) or not 0 <= value < _MAX_TIME:
        raise TokenRefused(f"its {name} is missing, or no time")
    return float(value)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
