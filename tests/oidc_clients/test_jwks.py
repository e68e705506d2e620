"""Which published keys are admitted, and which one a token may use."""

from math import gcd
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from oidc_clients.jwks import MAX_KEYS, KeySet
from policies.rsa import has_roca_fingerprint
from tests.oidc_clients.conftest import ALGORITHMS, Keys, SigningKey, b64


def admitted(*jwks: Any) -> list[str | None]:
    return [key.kid for key in KeySet.parse({"keys": list(jwks)}).keys]


def reason(*jwks: Any) -> str:
    (refused,) = KeySet.parse({"keys": list(jwks)}).refused
    return refused.reason


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8)).decode()


def test_J5_the_kinds_of_keys_that_are_admitted(keys: Keys) -> None:
    signing = (keys.rsa, keys.p256, keys.p384, keys.p521, keys.ed)
    found = KeySet.parse({"keys": [key.jwk for key in signing]})
    assert found.refused == ()
    assert [(key.kid, set(key.algorithms)) for key in found.keys] == [
        (key.kid, {key.algorithm}) for key in signing
    ]


def test_J1_a_key_without_alg_fits_the_algorithms_of_its_type_and_curve(keys: Keys) -> None:
    fits = {
        key.kid: set(key.algorithms)
        for key in KeySet.parse(
            {"keys": [without(k.jwk, "alg") for k in (keys.rsa, keys.p256, keys.ed)]}
        ).keys
    }
    rsa_names = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert fits == {"rsa-1": rsa_names, "ec-1": {"ES256"}, "ed-1": {"EdDSA"}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"use": "enc"}, "use"),
        ({"use": None}, "use"),
        ({"key_ops": ["sign"]}, "key_ops"),
        ({"key_ops": []}, "key_ops"),
        ({"key_ops": "verify"}, "key_ops"),
        ({"alg": "ES256"}, "alg"),
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": "RSA-OAEP"}, "alg"),
        ({"alg": ["RS256"]}, "alg"),
        ({"kty": "rsa"}, "type"),
        ({"kty": "EC"}, "type"),
        ({"kty": None}, "type"),
        ({"d": "AQAB"}, "private"),
        ({"p": ""}, "private"),
        ({"k": "AQAB"}, "private"),
        ({"kid": 1}, "kid"),
        ({"kid": "k" * 257}, "kid"),
        ({"kid": "k\x00"}, "kid"),
        ({"kid": "k\r\nX: y"}, "kid"),
        ({"n": "AQAB"}, "modulus"),
        ({"n": None}, "member n"),
        ({"n": "A+B="}, "member n"),
        ({"e": "Aw"}, "exponent"),
        ({"e": "AQ"}, "exponent"),
        ({"e": "AQAA"}, "exponent"),
        ({"e": number(2**17)}, "exponent"),
        ({"e": number(2**65 + 1)}, "exponent"),
    ],
)
def test_J5_a_key_that_says_something_else_is_refused(
    keys: Keys, change: dict[str, Any], why: str
) -> None:
    assert why in reason(keys.rsa.jwk | change)


def test_J5_key_ops_with_verify_is_admitted(keys: Keys) -> None:
    assert admitted(keys.rsa.jwk | {"key_ops": ["verify", "encrypt"]}) == ["rsa-1"]


def test_J5_moduli_of_the_wrong_size(keys: Keys) -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "modulus" in reason(SigningKey("small", "RS256", small).jwk)
    assert "modulus" in reason(keys.rsa.jwk | {"n": number(2**8192 + 1)})
    assert "small factor" in reason(keys.rsa.jwk | {"n": number(2**4095)})
    assert "small factor" in reason(keys.rsa.jwk | {"n": number(3 * (2**2047 + 1))})


def test_J5_roca_moduli(keys: Keys) -> None:
    """Made as the flawed generator makes its primes: k * M + (65537**a mod M)."""
    primorial = 1
    for prime in (2, *range(3, 702, 2)):
        if gcd(prime, primorial) == 1:
            primorial *= prime
    half = [2**53 * primorial + pow(65537, exponent, primorial) for exponent in (1234, 98765)]
    n = half[0] * half[1]
    assert n.bit_length() >= 2040
    assert has_roca_fingerprint(n)
    shift = primorial << (2048 - primorial.bit_length())
    assert "ROCA" in reason(keys.rsa.jwk | {"n": number(n + shift * primorial)})
    assert not has_roca_fingerprint(keys.rsa.private.public_key().public_numbers().n)


@pytest.mark.parametrize("curve", ["P-384", "secp256k1", "", None, ["P-256"]])
def test_J5_curves_that_do_not_match_the_point(keys: Keys, curve: Any) -> None:
    assert reason(without(keys.p256.jwk, "alg") | {"crv": curve})


def test_J5_points_and_lengths(keys: Keys) -> None:
    assert "curve" in reason(keys.p256.jwk | {"y": keys.p256.jwk["x"]})
    assert "length" in reason(keys.p256.jwk | {"x": b64(bytes(33)).decode()})
    assert "32" in reason(keys.ed.jwk | {"x": b64(bytes(31)).decode()})
    other = SigningKey("k", "ES256K", ec.generate_private_key(ec.SECP256K1()))
    assert "type and curve" in reason(other.jwk)
    x = ALGORITHMS["EdDSA"].to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)
    assert "type and curve" in reason(x)


@pytest.mark.parametrize("entry", [None, 1, "key", [], {}, {"kty": "oct", "k": "AQAB"}])
def test_J5_entries_that_are_no_public_keys(keys: Keys, entry: Any) -> None:
    assert admitted(entry, keys.rsa.jwk) == ["rsa-1"]


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_J5_documents_that_are_no_key_set(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no list of keys"):
        KeySet.parse(document)


def test_J5_the_number_of_keys_is_bounded(keys: Keys) -> None:
    KeySet.parse({"keys": [{}] * MAX_KEYS})
    with pytest.raises(ValueError, match="more than 100"):
        KeySet.parse({"keys": [{}] * (MAX_KEYS + 1)})


def test_J6_of_two_keys_with_one_kid_neither_is_admitted(keys: Keys) -> None:
    found = KeySet.parse({"keys": [keys.rsa.jwk, keys.p256.jwk, keys.rsa_2.named("rsa-1").jwk]})
    assert [key.kid for key in found.keys] == ["ec-1"]
    assert [(refused.kid, "more than one key" in refused.reason) for refused in found.refused] == [
        ("rsa-1", True),
        ("rsa-1", True),
    ]
    assert not found.knows("rsa-1")


def test_J6_a_refused_key_counts_as_a_duplicate_too(keys: Keys) -> None:
    encryption = keys.rsa_2.named("rsa-1").jwk | {"use": "enc"}
    assert admitted(keys.rsa.jwk, encryption) == []


def test_J6_kids_are_compared_exactly_and_never_interpreted(keys: Keys) -> None:
    strange = "../../etc/passwd?x=' OR 1=1 http://127.0.0.1"
    found = KeySet.parse({"keys": [keys.rsa.named(strange).jwk]})
    assert found.select(strange, "RS256") is not None
    for kid in ("", "../../etc/passwd", strange.upper(), strange + " "):
        assert found.select(kid, "RS256") is None


def test_J6_what_is_kept_of_an_admitted_key_is_admitted_again(keys: Keys) -> None:
    odd = {"key_ops": ["verify", "\x00"], "x5c": ["\x00"], "note": "\x1b[31m"}
    found = KeySet.parse({"keys": [keys.rsa.jwk | odd, keys.ed.jwk, {"kty": "oct"}, 7]})
    assert [set(jwk) for jwk in found.document["keys"]] == [
        {"kty", "kid", "use", "alg", "n", "e"},
        {"kty", "kid", "use", "alg", "crv", "x"},
    ]
    assert KeySet.parse(found.document) == found


def test_J6_private_members_of_a_refused_key_are_not_kept(keys: Keys) -> None:
    private = ALGORITHMS["RS256"].to_jwk(keys.rsa.private, as_dict=True)
    for jwk in (private, {"kty": "oct", "k": "canary", "kid": "s"}):
        (entry,) = KeySet.parse({"keys": [jwk]}).entries
        assert entry.key is None
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & entry.jwk.keys()


def test_J1_select_needs_the_kid_and_an_algorithm_that_fits(keys: Keys) -> None:
    found = KeySet.parse({"keys": [keys.rsa.jwk | {"alg": "PS256"}, keys.p256.jwk]})
    assert found.select("rsa-1", "RS256") is None  # CVE-2026-48523
    assert found.select("rsa-1", "PS256") is not None
    assert found.select("ec-1", "RS256") is None
    assert found.select("nobody", "ES256") is None


def test_J1_without_a_kid_exactly_one_key_must_fit(keys: Keys) -> None:
    found = KeySet.parse({"keys": [keys.rsa.jwk, keys.rsa_2.jwk, keys.p256.jwk]})
    assert found.select(None, "RS256") is None
    one = found.select(None, "ES256")
    assert one is not None
    assert one.kid == "ec-1"
    assert found.select(None, "EdDSA") is None


def test_equal_sets_admit_the_same_keys(keys: Keys) -> None:
    one = KeySet.parse({"keys": [keys.rsa.jwk, {"kty": "oct"}]})
    assert one == KeySet.parse({"keys": [keys.rsa.jwk]})
    assert one != KeySet.parse({"keys": [keys.rsa.jwk, keys.p256.jwk]})
    assert hash(one) == hash(KeySet.parse({"keys": [keys.rsa.jwk]}))


def test_J1_a_shared_secret_is_a_set_of_its_own() -> None:
    (key,) = KeySet.of_secrets([b"x" * 48]).keys
    assert key.algorithms == {"HS256", "HS384"}
    assert "xxx" not in repr(key)
    with pytest.raises(ValueError, match="fewer than 32 bytes"):
        KeySet.of_secrets([b"x" * 31])
