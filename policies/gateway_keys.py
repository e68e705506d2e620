"""The gateway's own signing keys: who signs at a moment, and what is published. Pure.

A key is of the curve P-256: its signatures are ``ecdsa-p256-sha256`` to RFC 9421 and ``ES256`` to
JOSE, which both know nearly everywhere. The life of a key:

1. published, and not used yet, for ``AHEAD``: whoever caches the key set for ``MAX_AGE`` has
   seen it before its first signature;
2. signing for ``PERIOD``, until its successor does;
3. published, and not used any more, for ``KEEP``: what it signed can still be verified.

The first key has nothing to wait for, and a key that replaces a revoked one must not wait.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from policies.http.algorithms import p256_jwk, sign_p256

DAY = 24 * 3600.0
PERIOD = 30 * DAY
AHEAD = 3600.0
KEEP = 7 * DAY
MAX_AGE = 300
"""Seconds for which the published key set may be cached."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A key, and the moment (seconds since the epoch) from which it signs."""

    id: str
    signs_from: float
    private: EllipticCurvePrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """See ``policies.core.gateway_identity.SigningKey``."""
        return sign_p256(self.private, message)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half (RFC 7517)."""
        use = {"kid": self.id, "use": "sig", "alg": "ES256"}
        return {**p256_jwk(self.private.public_key()), **use}


def make_private_key() -> EllipticCurvePrivateKey:
    """A new key. It exists nowhere else."""
    return generate_private_key(SECP256R1())


def as_pem(key: EllipticCurvePrivateKey) -> str:
    """How a key is stored, sealed."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def from_pem(pem: str) -> EllipticCurvePrivateKey:
    """Raises ``ValueError``."""
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("a signing key of the gateway is on the curve P-256")
    return key


class GatewaySigner:
    """``policies.core.gateway_identity.Signer`` over the keys in force."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.jwks = _key_set(())
        self._keys: tuple[GatewayKey, ...] = ()

    def replace(self, keys: Iterable[GatewayKey]) -> None:
        """Put other keys in force: all that are published, and no others."""
        newest_first = sorted(keys, key=lambda key: key.signs_from, reverse=True)
        self._keys = tuple(newest_first)
        self.jwks = _key_set(reversed(newest_first))

    def current(self, now: float) -> GatewayKey | None:
        """See ``policies.core.gateway_identity.Signer``."""
        for key in self._keys:
            if key.signs_from <= now:
                return key
        return None


def _key_set(keys: Iterable[GatewayKey]) -> bytes:
    document: dict[str, Any] = {"keys": [key.jwk for key in keys]}
    return json.dumps(document, separators=(",", ":")).encode()
