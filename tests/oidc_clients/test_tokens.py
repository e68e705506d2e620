"""Tokens of real keys and a real provider: which ones are refused, and with which code."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oidc_clients.provider import ProviderSpec, key_document
from policies.core.values import Deny, Identity
from tests.oidc_clients.conftest import Clock, Keys, Provider, Verifier, b64

Verifiers = Callable[..., Verifier]


def hs256(claims: dict[str, Any], secret: bytes, **header: Any) -> bytes:
    head = b64(json.dumps({"alg": "HS256", "typ": "at+jwt"} | header).encode())
    signing_input = head + b"." + b64(json.dumps(claims).encode())
    return signing_input + b"." + b64(hmac.digest(secret, signing_input, hashlib.sha256))


def twisted(token: bytes, part: int, text: bytes) -> bytes:
    parts = token.split(b".")
    parts[part] = text
    return b".".join(parts)


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "p521", "ed"])
def test_J1_tokens_of_every_admitted_kind_of_key(
    verifiers: Verifiers, provider: Provider, keys: Keys, name: str
) -> None:
    key = getattr(keys, name)
    provider.keys = [key.jwk]
    verifier = verifiers(provider.spec(algorithms=frozenset({key.algorithm})))
    identity = verifier.identity(key.mint(verifier.claims()))
    assert (identity.provider, identity.subject, identity.scopes) == ("acme", "user-1", {"read"})
    forged = key.mint(verifier.claims())
    assert verifier.code(twisted(forged, 2, b64(bytes(len(key.sign(b"")))))) == "token_signature"
    assert verifier.code(twisted(forged, 2, b"")) == "token_signature"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_J1_every_rsa_algorithm_of_the_provider(
    verifiers: Verifiers, provider: Provider, keys: Keys, algorithm: str
) -> None:
    provider.keys = [keys.rsa.jwk | {"alg": algorithm}]
    verifier = verifiers(provider.spec(algorithms=frozenset({algorithm})))
    other = type(keys.rsa)("rsa-1", algorithm, keys.rsa.private)
    verifier.identity(other.mint(verifier.claims()))
    assert verifier.code(keys.rsa.mint(verifier.claims())) == "token_algorithm"


def public_spellings(keys: Keys) -> list[bytes]:
    """What an attacker may take for the secret: every serialisation of the public key."""
    public = keys.rsa.private.public_key()
    pems = [
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ]
    ders = [
        public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ]
    ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    jwk = json.dumps(keys.rsa.jwk).encode()
    return [*pems, *(pem.strip() for pem in pems), *ders, ssh, jwk, b""]


def test_J1_a_public_key_is_no_shared_secret(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    """CVE-2022-29217, CVE-2024-33663, CVE-2024-37568, CVE-2026-39999."""
    verifier = verifiers(provider.spec())
    for secret in public_spellings(keys):
        for kid in ({"kid": "rsa-1"}, {}):
            token = hs256(verifier.claims(), secret, **kid)
            assert verifier.code(token) == "token_algorithm"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "NONE", "", "rs256", "RS256 ", "RSA"]
)
def test_J1_algorithms_that_nobody_configured(
    verifiers: Verifiers, provider: Provider, keys: Keys, algorithm: str
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(), {"alg": algorithm})
    assert verifier.code(token) == "token_algorithm"
    assert verifier.code(twisted(token, 2, b"")) == "token_algorithm"


def test_J1_the_header_cannot_choose_another_algorithm_of_the_provider(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    """CVE-2026-48523: allowed by the list, but not by the key."""
    every = frozenset({"RS256", "PS256", "ES256", "ES384"})
    provider.keys = [keys.rsa.jwk | {"alg": "PS256"}, keys.p256.jwk]
    verifier = verifiers(provider.spec(algorithms=every))
    claims = verifier.claims()
    assert verifier.code(keys.rsa.mint(claims)) == "token_algorithm"
    assert verifier.code(keys.p256.mint(claims, {"alg": "ES384"})) == "token_algorithm"
    assert verifier.code(keys.p256.mint(claims, {"alg": "RS256"})) == "token_algorithm"


def test_J1_a_shared_secret_where_one_is_configured(verifiers: Verifiers, keys: Keys) -> None:
    secret = b"a secret of at least thirty-two bytes"
    spec = ProviderSpec(
        "acme", "https://op.example", frozenset({"urn:test:api"}), frozenset({"HS256"}),
        shared_secrets=(secret,),
    )  # fmt: skip
    verifier = verifiers(spec)
    assert verifier.identity(hs256(verifier.claims(), secret)).subject == "user-1"
    verifier.identity(hs256(verifier.claims(), secret, kid="whatever"))
    assert verifier.code(hs256(verifier.claims(), secret + b"x")) == "token_signature"
    assert verifier.code(keys.rsa.mint(verifier.claims())) == "token_algorithm"


def test_J2_keys_in_the_header_are_neither_used_nor_fetched(
    verifiers: Verifiers, provider: Provider, other_provider: Provider, keys: Keys
) -> None:
    """CVE-2026-27962: also with an unknown kid, and with a key set that is empty."""
    claims = verifiers(provider.spec()).claims()
    own = keys.rsa_2
    offers: list[dict[str, Any]] = [
        {"jwk": own.jwk},
        {"jku": other_provider.url("/jwks")},
        {"x5u": other_provider.url("/x5u")},
        {"x5c": ["AAAA"]},
    ]
    for published in ([keys.rsa.jwk, keys.p256.jwk], []):
        provider.keys = published
        verifier = verifiers(provider.spec())
        for offer in offers:
            token = own.mint(claims, offer | {"kid": "rsa-1"})
            assert verifier.code(token) == ("token_signature" if published else "key_unknown")
            assert verifier.code(own.mint(claims, offer | {"kid": None})) in (
                "token_signature",
                "key_unknown",
            )
            assert verifier.code(own.mint(claims, offer | {"kid": "own"})) == "key_unknown"
    assert not other_provider.hits


@pytest.mark.parametrize(
    "header",
    [{"crit": ["x"], "x": 1}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}],
)
def test_J3_extensions_are_refused_though_correctly_signed(
    verifiers: Verifiers, provider: Provider, keys: Keys, header: dict[str, Any]
) -> None:
    verifier = verifiers(provider.spec())
    assert verifier.code(keys.rsa.mint(verifier.claims(), header)) == "token_malformed"


def test_J3_encrypted_tokens_are_refused(verifiers: Verifiers, provider: Provider) -> None:
    verifier = verifiers(provider.spec())
    assert verifier.code(b"e30.e30.e30.e30.e30") == "token_malformed"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"%s","iss":"x"}',
        b'{"iss":"%s","exp":1,"exp":9999999999}',
        b'{"iss":"%s","a":{"b":1,"b":2}}',
        b'{"iss":"%s","exp":NaN}',
        b'{"iss":"%s","exp":1e400}',
        b'{"iss":"%s","sub":"\\ud800"}',
        b'["%s"]',
        b"%s",
        b"\xff",
        b"",
    ],
)
def test_J4_claims_that_could_be_read_in_two_ways(
    verifiers: Verifiers, provider: Provider, keys: Keys, payload: bytes
) -> None:
    verifier = verifiers(provider.spec())
    payload = payload.replace(b"%s", provider.issuer.encode())
    assert verifier.code(keys.rsa.mint(payload)) == "token_malformed"


def test_J4_a_token_beyond_the_limit_is_not_even_hashed(
    verifiers: Verifiers, provider: Provider, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = verifiers(provider.spec())
    verifier.identity(keys.rsa.mint(verifier.claims(padding="x" * 5000)))
    large = keys.rsa.mint(verifier.claims(padding="x" * 7000))
    monkeypatch.setattr("oidc_clients.tokens.sha256", lambda data: pytest.fail("hashed"))
    assert verifier.code(large) == "token_malformed"


def test_J9_the_issuer_is_compared_exactly(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    """CVE-2024-53861: no substring, prefix, slash or case folding."""
    verifier = verifiers(provider.spec())
    issuer = provider.issuer
    others = [
        issuer + "/", issuer[:-1], issuer[1:], issuer.upper(), issuer + " ", "", "h", "http://",
        [issuer], {"iss": issuer}, None, 7, ...,
    ]  # fmt: skip
    for other in others:
        assert verifier.code(keys.rsa.mint(verifier.claims(iss=other))) == "token_issuer", other
    slash = verifiers(provider.spec(issuer=issuer + "/", jwks_uri=provider.url("/jwks")))
    assert slash.code(keys.rsa.mint(verifier.claims())) == "token_issuer"
    slash.identity(keys.rsa.mint(verifier.claims(iss=issuer + "/")))


def test_J9_a_token_is_verified_with_its_own_issuers_keys(
    verifiers: Verifiers, provider: Provider, other_provider: Provider, keys: Keys
) -> None:
    """Mix-up: both providers have a key named rsa-1, each of its own."""
    verifier = verifiers(provider.spec("one"), other_provider.spec("two"))
    foreign = keys.rsa_2.named("rsa-1")
    claims = verifier.claims()
    assert verifier.code(foreign.mint(claims), "one", "two") == "token_signature"
    assert verifier.code(foreign.mint(claims), "two") == "token_issuer"
    theirs = foreign.mint(claims | {"iss": other_provider.issuer})
    assert verifier.identity(theirs, "one", "two").provider == "two"
    assert verifier.code(theirs, "one") == "token_issuer"
    assert verifier.identity(keys.rsa.mint(claims), "two", "one").provider == "one"


def test_J9_a_provider_that_is_switched_off_or_unknown_accepts_nothing(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec(enabled=False))
    token = keys.rsa.mint(verifier.claims())
    assert verifier.code(token) == "token_issuer"
    assert verifier.code(token, "nobody") == "token_issuer"
    assert verifier.code(token, *()) == "token_issuer"
    assert verifier.tokens.provider("acme") is None
    with pytest.raises(KeyError):
        verifier.tokens.provider("nobody")
    assert not provider.hits


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": ...}, "token_malformed"),
        ({"exp": "9999999999"}, "token_malformed"),
        ({"exp": True}, "token_malformed"),
        ({"exp": -1}, "token_malformed"),
        ({"exp": 1}, "token_expired"),
        ({"nbf": 9_999_999_999}, "token_not_yet_valid"),
        ({"iat": 9_999_999_999}, "token_not_yet_valid"),
        ({"aud": ...}, "token_audience"),
        ({"aud": ["urn:other"]}, "token_audience"),
        ({"sub": ...}, "token_malformed"),
        ({"nonce": "n"}, "token_type"),
        ({"at_hash": "h"}, "token_type"),
        ({"events": {}}, "token_type"),
    ],
)
def test_J10_J11_J12_claims_of_a_correctly_signed_token(
    verifiers: Verifiers, provider: Provider, keys: Keys, changes: dict[str, Any], code: str
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(**changes))
    assert verifier.code(token) == code
    assert verifier.code(token) == code  # also from memory


@pytest.mark.parametrize("typ", [None, "", "logout+jwt", "JOSE"])
def test_J12_the_type_of_the_token(
    verifiers: Verifiers, provider: Provider, keys: Keys, typ: str | None
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(), {"typ": typ})
    assert verifier.code(token) == "token_type"
    lax = verifiers(provider.spec(token_types=frozenset({"", "jose", "logout+jwt"})))
    lax.identity(token)


def test_J6_a_token_without_kid_needs_a_key_that_is_alone(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(), {"kid": None})
    verifier.identity(token)
    provider.keys.append(keys.rsa_2.jwk)
    assert verifiers(provider.spec()).code(token) == "key_unknown"


def test_J15_cheap_refusals_cost_no_signature_and_no_fetch(
    verifiers: Verifiers, provider: Provider, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = verifiers(provider.spec())
    monkeypatch.setattr(
        "oidc_clients.tokens.signature_refusal", lambda *a: pytest.fail("verified a signature")
    )
    claims = verifier.claims()
    for token in (
        b"not a token",
        keys.rsa.mint(claims | {"iss": "https://other.example"}),
        keys.rsa.mint(claims, {"alg": "ES512"}),
        keys.rsa.mint(claims, {"typ": "logout+jwt"}),
        keys.rsa.mint(claims, {"kid": 7}),
    ):
        verifier.code(token)
    assert not provider.hits


def test_J15_nothing_of_an_unverified_token_is_logged(
    verifiers: Verifiers, provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    verifier = verifiers(provider.spec())
    claims = verifier.claims(sub="canary-sub", scope="canary-scope")
    for token in (
        keys.rsa.mint(claims),
        keys.rsa_2.mint(claims, {"kid": "canary-kid"}),
        keys.rsa_2.mint(claims, {"kid": "rsa-1"}),
        keys.rsa.mint(claims | {"iss": "canary-iss"}),
    ):
        verifier.verdict(token)
        assert token.decode() not in caplog.text
    assert "canary" not in caplog.text


def test_J5_a_provider_without_keys_that_can_be_admitted(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    provider.keys = [keys.rsa.jwk | {"use": "enc"}, {"kty": "oct", "k": "AAAA", "kid": "s"}]
    verifier = verifiers(provider.spec())
    assert verifier.code(keys.rsa.mint(verifier.claims())) == "key_unknown"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]),
        st.sampled_from(["RS256", "ES256", "rsa-1", "ec-1", "at+jwt", "", 1, None, [], {}]),
    ),
    payload=st.binary(max_size=20) | st.just(b"good"),
    signature=st.binary(max_size=300),
)
def test_J4_hostile_tokens_are_refused_never_anything_else(
    keys: Keys, clock: Clock, header: dict[str, Any], payload: bytes, signature: bytes
) -> None:
    document = key_document([keys.rsa.jwk, keys.p256.jwk])
    verifier = Verifier(clock, static_spec(document))
    text = json.dumps(verifier.claims()).encode() if payload == b"good" else payload
    token = b".".join((b64(json.dumps(header).encode()), b64(text), b64(signature)))
    assert isinstance(verifier.verdict(token), Deny)
    assert isinstance(verifier.verdict(base64.b64encode(signature)), Deny)


def static_spec(document: str) -> ProviderSpec:
    return ProviderSpec(
        "acme",
        "https://op.example",
        frozenset({"urn:test:api"}),
        frozenset({"RS256", "ES256"}),
        static_keys=document,
    )


def test_replacing_providers_shows_what_is_in_force(
    verifiers: Verifiers, provider: Provider, other_provider: Provider
) -> None:
    verifier = verifiers(provider.spec())
    spec = verifier.tokens.provider("acme")
    assert spec is not None
    assert (spec.name, spec.issuer, spec.audiences) == ("acme", provider.issuer, {"urn:test:api"})
    verifier.tokens.replace([replace(spec, enabled=False), other_provider.spec("two")])
    assert [one.name for one in verifier.tokens.specs] == ["acme", "two"]
    assert verifier.tokens.provider("acme") is None
    assert isinstance(verifier.tokens.provider("two"), ProviderSpec)


def test_identities_are_the_same_from_memory(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    first = verifier.verdict(token)
    assert isinstance(first, Identity)
    assert verifier.verdict(token) is first
