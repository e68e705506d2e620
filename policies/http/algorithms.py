"""The signature algorithms of RFC 9421 3.3: loading a key, and verifying with it.

A key is loaded for one algorithm and is of the only type that the algorithm takes; so the
algorithm is a property of the key's record, never a choice of whoever sends a signature.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Literal, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from policies import rsa

Algorithm = Literal[
    "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256", "hmac-sha256"
]
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)

_COORDINATE = 32  # octets of each half of an ECDSA signature over P-256 (RFC 9421 3.3.4)
_PSS_SALT = 64  # octets (RFC 9421 3.3.1)


def load_public_key(algorithm: str, pem: str) -> Any:
    """The public key of a PEM text, of the type that the algorithm takes.

    Raises ``ValueError`` with a message that holds nothing of the text.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("give a public key in PEM form (BEGIN PUBLIC KEY)") from error
    match algorithm:
        case "ed25519":
            fits = isinstance(key, Ed25519PublicKey)
            wanted = "an Ed25519 key"
        case "ecdsa-p256-sha256":
            fits = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
            wanted = "a key on the curve P-256"
        case "rsa-pss-sha512" | "rsa-v1_5-sha256":
            fits = isinstance(key, RSAPublicKey)
            wanted = "an RSA key"
        case _:
            raise ValueError(f"{algorithm} takes no public key")
    if not fits:
        raise ValueError(f"the public key is not {wanted}, which {algorithm} takes")
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        weakness = rsa.weakness(numbers.n, numbers.e)
        if weakness is not None:
            raise ValueError(f"the RSA key is not admitted: {weakness}")
    return key


def verify(algorithm: str, key: Any, signature: bytes, base: bytes) -> bool:
    """Whether ``signature`` over ``base`` was made with the private half of ``key``.

    For ``hmac-sha256`` the key is the shared secret's bytes. Raises ``KeyError`` for an unknown
    algorithm.
    """
    try:
        return _VERIFIERS[algorithm](key, signature, base)
    except InvalidSignature:
        return False


def _ed25519(key: Ed25519PublicKey, signature: bytes, base: bytes) -> bool:
    key.verify(signature, base)
    return True


def _ecdsa_p256(key: EllipticCurvePublicKey, signature: bytes, base: bytes) -> bool:
    if len(signature) != 2 * _COORDINATE:
        return False
    r, s = (int.from_bytes(half) for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
    key.verify(encode_dss_signature(r, s), base, ECDSA(SHA256()))
    return True


def _rsa_pss(key: RSAPublicKey, signature: bytes, base: bytes) -> bool:
    key.verify(signature, base, PSS(MGF1(SHA512()), _PSS_SALT), SHA512())
    return True


def _rsa_v1_5(key: RSAPublicKey, signature: bytes, base: bytes) -> bool:
    key.verify(signature, base, PKCS1v15(), SHA256())
    return True


def _hmac_sha256(key: bytes, signature: bytes, base: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(key, base, "sha256"), signature)


_VERIFIERS: dict[str, Callable[[Any, bytes, bytes], bool]] = {
    "ed25519": _ed25519,
    "ecdsa-p256-sha256": _ecdsa_p256,
    "rsa-pss-sha512": _rsa_pss,
    "rsa-v1_5-sha256": _rsa_v1_5,
    "hmac-sha256": _hmac_sha256,
}


def sign_p256(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """A signature of ``ecdsa-p256-sha256``, which is that of ES256 as well (RFC 7518 3.4)."""
    r, s = decode_dss_signature(key.sign(message, ECDSA(SHA256())))
    return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)


def p256_jwk(key: EllipticCurvePublicKey) -> dict[str, str]:
    """The members that make a public key of P-256 what it is (RFC 7518 6.2.1)."""
    numbers = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_COORDINATE)).rstrip(b"=").decode()


def thumbprint(jwk: dict[str, str]) -> str:
    """The JWK thumbprint by SHA-256 (RFC 7638) of a key's own members alone."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
