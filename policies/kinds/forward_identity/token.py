"""The signed identity token (JWT, RFC 7519) that tells one upstream who is calling.

It is short-lived, meant for one audience, and signed with the gateway's own key (ES256), so that
an upstream that knows ``/.well-known/jwks.json`` need not trust its network. One token serves
the calls of one identity until half of its life is over, or another key signs.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any

from policies.core.gateway_identity import Signer, SigningKey
from policies.core.values import Call, Deny, Identity

MAX_BYTES = 4096  # of a token: what every server takes in a header line

# Said by the gateway itself: no claim of a credential may pose as one of them.
OWN_CLAIMS = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "idp"}
)

_NO_KEY = Deny("misconfigured", "The identity of callers cannot be signed at the moment.")
_TOO_LARGE = Deny("claim_refused", "The claims to be told to the upstream are too large.")


class _Minted:
    """The newest token of one identity."""

    __slots__ = ("key_id", "renew_at", "token")

    def __init__(self) -> None:
        self.token: bytes | Deny = b""
        self.key_id = ""
        self.renew_at = float("-inf")


class IdentityTokens:
    """The tokens that one policy mints."""

    def __init__(
        self,
        signer: Signer,
        *,
        issuer: str | None,
        audience: str | None,
        lifetime: int,
        token_type: str,
        claims: Iterable[str],
    ) -> None:
        """``audience`` None: the name of the API that is called. ``lifetime`` is in seconds."""
        self._signer = signer
        self._issuer = issuer or signer.issuer
        self._audience = audience
        self._lifetime = lifetime
        self._type = token_type
        self._claims = tuple(claims)
        parts = (self._issuer, audience, lifetime, token_type, self._claims)
        self._name = f"identity token {parts!r} "

    def token(self, call: Call, identity: Identity) -> bytes | Deny:
        """The token for a call, or why there is none."""
        key = self._signer.current(call.now)
        if key is None:
            return _NO_KEY
        audience = self._audience or call.route.partition(" ")[0]
        minted: _Minted = identity.prepared(self._name + audience, lambda _: _Minted())
        if call.now >= minted.renew_at or key.id != minted.key_id:
            minted.token = self._mint(key, identity, audience, int(call.now))
            minted.key_id = key.id
            minted.renew_at = call.now + self._lifetime / 2
        return minted.token

    def _mint(self, key: SigningKey, identity: Identity, audience: str, now: int) -> bytes | Deny:
        told: dict[str, Any] = {
            "client_id": identity.client,
            "scope": " ".join(sorted(identity.scopes)),
            "idp": identity.issuer,
        }
        claims = {name: identity.claims[name] for name in self._claims if name in identity.claims}
        claims |= {name: value for name, value in told.items() if value}
        claims |= {"iss": self._issuer, "sub": identity.subject, "aud": audience}
        claims |= {"iat": now, "exp": now + self._lifetime}
        header = {"alg": "ES256", "kid": key.id, "typ": self._type}
        signed = _encoded(header) + b"." + _encoded(claims)
        token = signed + b"." + _base64url(key.sign(signed))
        return token if len(token) <= MAX_BYTES else _TOO_LARGE


def _encoded(value: dict[str, Any]) -> bytes:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
