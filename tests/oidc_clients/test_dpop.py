"""DPoP proofs: which hold, by RFC 9449 4.3, and the nonces that may stand in them."""

import json
from typing import Any

import pytest

from oidc_clients.dpop import NONCE_SECONDS, DpopProofs, thumbprint
from tests.oidc_clients.conftest import Keys, SigningKey, b64

NOW = 1_800_000_000.0
CLAIMS = {"htm": "GET", "htu": "https://gw/a", "jti": "id-1", "iat": NOW, "ath": "hash"}

# RFC 7638 3.1 and RFC 9449 4.1, 6.1
RFC7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
    "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2"
    "QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6W"
    "eZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
RFC9449_PROOF = (
    b"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk"
    b"lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R"
    b"2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM"
    b"6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8"
    b"ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plem"
    b"AgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)


def public(key: SigningKey) -> dict[str, Any]:
    return {name: key.jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in key.jwk}


def proof(key: SigningKey, header: dict[str, Any] | None = None, **claims: Any) -> bytes:
    """A proof; ``...`` leaves a claim out."""
    members = {"typ": "dpop+jwt", "kid": None, "jwk": public(key), **(header or {})}
    said = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ...}
    return key.mint(said, members)


@pytest.fixture
def proofs() -> DpopProofs:
    return DpopProofs(b"a secret")


def test_D4_the_examples_of_the_rfcs(proofs: DpopProofs) -> None:
    assert thumbprint(RFC7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    found = proofs.read(RFC9449_PROOF)
    assert found is not None
    assert found.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert (found.method, found.uri) == ("GET", "https://resource.example.org/protectedresource")
    assert (found.id, found.issued_at) == ("e1j3V_bKic8-LAEB", 1562262618)
    assert found.token_hash == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "p521", "ed"])
def test_D4_a_proof_of_every_type_of_key_holds(proofs: DpopProofs, keys: Keys, name: str) -> None:
    key = getattr(keys, name)
    found = proofs.read(proof(key, nonce="n"))
    assert found is not None
    assert found == (thumbprint(public(key)), "GET", "https://gw/a", "id-1", NOW, "hash", "n")
    assert proofs.read(proof(key, jti="id-2")) is not None


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": None},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"crit": ["b64"], "b64": False},
    ],
)
def test_D4_a_header_that_is_no_proofs(
    proofs: DpopProofs, keys: Keys, header: dict[str, Any]
) -> None:
    assert proofs.read(proof(keys.p256)) is not None
    assert proofs.read(proof(keys.p256, header)) is None


def test_D4_the_algorithm_is_one_of_the_keys_own(proofs: DpopProofs, keys: Keys) -> None:
    crossed = SigningKey(None, "ES384", keys.p256.private)
    assert proofs.read(proof(crossed, {"jwk": public(keys.p256)})) is None
    narrowed = {**public(keys.rsa), "alg": "PS256"}
    assert proofs.read(proof(keys.rsa, {"jwk": narrowed})) is None


def test_D4_a_private_key_in_the_header_is_refused(proofs: DpopProofs, keys: Keys) -> None:
    jwk = {**public(keys.p256), "d": b64(bytes(32)).decode()}
    assert proofs.read(proof(keys.p256, {"jwk": jwk})) is None


def test_D4_a_signature_of_another_key_does_not_hold(proofs: DpopProofs, keys: Keys) -> None:
    assert proofs.read(proof(keys.rsa, {"jwk": public(keys.rsa_2)})) is None
    good = proof(keys.p256)
    assert proofs.read(good) is not None
    assert proofs.read(good[:-8] + b"AAAAAAAA") is None
    head, _, signature = good.split(b".")
    other = b64(json.dumps({**CLAIMS, "htm": "POST"}).encode())
    assert proofs.read(b".".join((head, other, signature))) is None


@pytest.mark.parametrize("value", [..., None, "", 1, True, ["GET"], "a b", "é", "x" * 5000])
@pytest.mark.parametrize("name", ["htm", "htu", "jti", "ath"])
def test_D4_what_a_proof_must_claim(
    proofs: DpopProofs, keys: Keys, name: str, value: object
) -> None:
    assert proofs.read(proof(keys.p256, **{name: value})) is None


@pytest.mark.parametrize("value", [..., None, "1800000000", True, -1, 2**60])
def test_D4_a_proof_says_when_it_was_made(proofs: DpopProofs, keys: Keys, value: object) -> None:
    assert proofs.read(proof(keys.p256, iat=value)) is None


@pytest.mark.parametrize("value", [b"", b"a", b"a.b.c", b"....", b"x" * 10000, b"\xff.\xff.\xff"])
def test_D4_what_is_no_jwt_is_no_proof(proofs: DpopProofs, value: bytes) -> None:
    assert proofs.read(value) is None


def test_D4_a_nonce_is_taken_as_long_as_it_is_given_out_and_once_as_long_again() -> None:
    ours, theirs = DpopProofs(b"a secret"), DpopProofs(b"another")
    nonce = ours.nonce(NOW)
    start = NOW // NONCE_SECONDS * NONCE_SECONDS
    assert ours.takes_nonce(nonce, start)
    assert ours.takes_nonce(nonce, start + 2 * NONCE_SECONDS - 1)
    assert not ours.takes_nonce(nonce, start + 2 * NONCE_SECONDS)
    assert not ours.takes_nonce(nonce, start - 1)
    assert not theirs.takes_nonce(nonce, NOW)
    assert DpopProofs(b"a secret").takes_nonce(nonce, NOW)
    for wrong in ("", "é", "\ud800", nonce[:-1], nonce + "A"):
        assert not ours.takes_nonce(wrong, NOW)
