"""The gateway's own keys: who signs at a moment, and what is published."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from policies.gateway_keys import GatewaySigner, as_pem, from_pem, make_private_key
from policies.http.algorithms import p256_jwk, thumbprint, verify
from tests.policies.gateway_signer import ISSUER, made_key, made_signer


def test_without_keys_nothing_is_published_and_nobody_signs() -> None:
    signer = GatewaySigner(ISSUER)
    assert json.loads(signer.jwks) == {"keys": []}
    assert signer.current(1e12) is None


def test_the_newest_key_whose_time_has_come_signs() -> None:
    old, new = made_key("old", 100.0), made_key("new", 200.0)
    signer = made_signer(new, old)
    assert signer.current(99.9) is None
    assert signer.current(100.0) is old
    assert signer.current(199.9) is old
    assert signer.current(200.0) is new


def test_a_key_is_published_before_and_after_it_signs() -> None:
    signer = made_signer(made_key("old", 100.0), made_key("new", 200.0))
    published = json.loads(signer.jwks)["keys"]
    assert [key["kid"] for key in published] == ["old", "new"]
    for key in published:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["use"], key["alg"]) == ("sig", "ES256")


def test_others_verify_with_what_is_published() -> None:
    key = made_key()
    (published,) = json.loads(made_signer(key).jwks)["keys"]
    signature = key.sign(b"message")
    public = jwt.PyJWK(published).key
    assert verify("ecdsa-p256-sha256", public, signature, b"message")
    assert jwt.get_algorithm_by_name("ES256").verify(b"message", public, signature)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    rsa = {
        "e": "AQAB",
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo"
        "c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2"
        "QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6W"
        "eZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    }
    assert thumbprint(rsa) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_key_survives_being_stored_and_no_other_curve_does() -> None:
    key = make_private_key()
    assert p256_jwk(from_pem(as_pem(key)).public_key()) == p256_jwk(key.public_key())
    with pytest.raises(ValueError, match="P-256"):
        from_pem(as_pem(ec.generate_private_key(ec.SECP384R1())))


def test_a_key_does_not_show_itself() -> None:
    assert "private" not in repr(made_key())
