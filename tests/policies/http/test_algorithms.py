"""Keys are of the type and strength that their algorithm takes, or are refused."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from policies.http.algorithms import ALGORITHMS, load_public_key, sign_p256, verify


def _pem(key: Any) -> str:
    public = key if hasattr(key, "verify") else key.public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "rsa2048": rsa.generate_private_key(65537, 2048),
    "rsa1024": rsa.generate_private_key(65537, 1024),
    "exponent3": rsa.generate_private_key(3, 2048),
}
TAKES = {
    "ed25519": {"ed25519"},
    "ecdsa-p256-sha256": {"p256"},
    "rsa-pss-sha512": {"rsa2048"},
    "rsa-v1_5-sha256": {"rsa2048"},
    "hmac-sha256": set(),
}


def test_the_five_algorithms() -> None:
    assert set(ALGORITHMS) == set(TAKES)


@pytest.mark.parametrize("algorithm", sorted(TAKES))
@pytest.mark.parametrize("name", sorted(KEYS))
def test_H2_a_key_serves_one_type_of_algorithm(algorithm: str, name: str) -> None:
    if name in TAKES[algorithm]:
        assert load_public_key(algorithm, _pem(KEYS[name])) is not None
        return
    with pytest.raises(ValueError):  # noqa: PT011
        load_public_key(algorithm, _pem(KEYS[name]))


@pytest.mark.parametrize(
    "pem", ["", "text", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"]
)
def test_what_is_no_key_is_refused_without_being_repeated(pem: str) -> None:
    with pytest.raises(ValueError, match="give a public key in PEM form"):
        load_public_key("ed25519", pem)


def test_a_private_key_is_refused() -> None:
    pem = KEYS["ed25519"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="give a public key"):
        load_public_key("ed25519", pem.decode())


def test_a_signature_of_the_gateway_verifies() -> None:
    key = KEYS["p256"]
    signature = sign_p256(key, b"message")
    assert len(signature) == 64
    assert verify("ecdsa-p256-sha256", key.public_key(), signature, b"message")
    assert not verify("ecdsa-p256-sha256", key.public_key(), signature, b"another")


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 72])
def test_a_degenerate_ecdsa_signature_fails(signature: bytes) -> None:
    assert not verify("ecdsa-p256-sha256", KEYS["p256"].public_key(), signature, b"message")
