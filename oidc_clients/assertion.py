"""Signed client assertions (RFC 7523 2.2, ``private_key_jwt``): how a client proves itself with
a key that only it has. Pure.

An assertion is good for one minute and for one audience; its ``jti`` is random, so that the
provider can refuse a second use.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from oidc_clients.jose import signed
from policies import rsa

LIFETIME = 60
"""Seconds for which an assertion is good."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A private key, the algorithms it can sign with (the usual one first), and its ``kid``."""

    private: PrivateKey = field(repr=False, compare=False)
    fingerprint: str  # of the public key: two objects with one key are equal
    algorithms: tuple[str, ...]
    kid: str | None = None

    @classmethod
    def load(cls, pem: str, kid: str | None = None) -> Self:
        """The key of a PEM text. Raises ``ValueError`` with a message that holds nothing of it."""
        try:
            private = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("give a private key in PEM form, without a pass phrase") from error
        algorithms = _algorithms(private)
        if not algorithms:
            raise ValueError(
                f"use an RSA key of at least {rsa.MIN_BITS} bits, an EC key on P-256, P-384 or "
                "P-521, or an Ed25519 key"
            )
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private, hashlib.sha256(public).hexdigest(), algorithms, kid)  # type: ignore[arg-type]

    def narrowed(self, accepted: Collection[str] | None) -> Self:
        """The same key for those algorithms alone; None: nothing is known about them.

        Raises ``ValueError`` when none of its own is among them.
        """
        if accepted is None:
            return self
        algorithms = tuple(name for name in self.algorithms if name in accepted)
        if not algorithms:
            raise ValueError(
                f"the provider takes client assertions signed with {', '.join(sorted(accepted))}, "
                f"and this key signs with {', '.join(self.algorithms)}"
            )
        return replace(self, algorithms=algorithms)

    def sign(self, client_id: str, audience: str, now: float) -> str:
        """An assertion of the client for ``audience``; ``now`` in seconds since the epoch."""
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(24),
            "iat": int(now),
            "exp": int(now) + LIFETIME,
        }
        return signed(claims, self.algorithms[0], self.private, self.kid)


def _algorithms(private: object) -> tuple[str, ...]:
    """What a key signs with, the usual algorithm first; nothing for one that is not taken."""
    if isinstance(private, Ed25519PrivateKey):
        return ("EdDSA",)
    if isinstance(private, RSAPrivateKey) and private.key_size >= rsa.MIN_BITS:
        return ("RS256", "PS256")
    if isinstance(private, EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return (_CURVES[private.curve.name],)
    return ()
