"""Declarations of providers and clients: what each value may be."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import ValidationError

from oidc_clients.client_config import ApiKeyConfig, SigningKeyConfig
from oidc_clients.provider_config import ProviderConfig
from policies.core.config import problems_of

MINIMAL = {
    "name": "acme",
    "issuer": "https://op.example.org",
    "audiences": ["urn:a"],
    "algorithms": ["RS256"],
}


def provider(**members):
    return ProviderConfig.model_validate({**MINIMAL, **members})


def refused(config, **members):
    with pytest.raises(ValidationError) as error:
        config.model_validate(members)
    return {problem.path: problem.message for problem in problems_of(error.value)}


def test_the_defaults_are_those_of_the_contract():
    assert provider().model_dump() == {
        **MINIMAL,
        "audiences": ("urn:a",),
        "algorithms": ("RS256",),
        "shared_secret": None,
        "former_shared_secret": None,
        "jwks_uri": None,
        "keys": (),
        "enabled": True,
        "audience_claim": "aud",
        "scope_claim": "scope",
        "token_types": ("at+jwt", "JWT"),
        "leeway": 30,
        "insecure_http": False,
        "client": None,
        "grants": (),
        "scopes": (),
        "sign_in_parameters": {},
        "session_idle": 1800,
        "session_lifetime": 28800,
    }


@pytest.mark.parametrize("name", ["state", "redirect_uri", "code_challenge", "request", "a b", ""])
def test_D6_what_makes_a_sign_in_safe_is_not_for_the_configuration(name):
    assert provider(sign_in_parameters={"audience": "urn:a"}).sign_in_parameters
    with pytest.raises(ValidationError):
        provider(sign_in_parameters={name: "x"})


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"name": "Acme"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"issuer": "op.example.org"}, "issuer"),
        ({"issuer": "http://op.example.org"}, "issuer"),
        ({"issuer": "http://op.example.org", "insecure_http": True}, "issuer"),
        ({"issuer": "http://127.0.0.1:9101"}, "issuer"),
        ({"issuer": "https://u:p@op.example.org"}, "issuer"),
        ({"issuer": "https://op.example.org/?x=1"}, "issuer"),
        ({"jwks_uri": "http://op.example.org/keys"}, "jwks_uri"),
        ({"audiences": []}, "audiences"),
        ({"audiences": [""]}, "audiences[0]"),
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": ["RS256", "none"]}, "algorithms[1]"),
        ({"algorithms": ["rs256"]}, "algorithms[0]"),
        ({"leeway": 121}, "leeway"),
        ({"leeway": -1}, "leeway"),
        ({"token_types": []}, "token_types"),
        ({"grants": ["implicit"]}, "grants[0]"),
        ({"client": {"id": "", "secret": "x"}}, "client.id"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_provider_is_refused_by_the_place_that_is_wrong(members, place):
    assert list(refused(ProviderConfig, **{**MINIMAL, **members})) == [place]


def test_plain_http_is_for_loopback_that_says_so():
    assert provider(issuer="http://127.0.0.1:9101", insecure_http=True).insecure_http


def test_J5_configured_keys_pass_the_same_admission_as_fetched_ones():
    numbers = generate_private_key(SECP256R1()).public_key().public_numbers()
    good = {"kty": "EC", "crv": "P-256", "kid": "1"} | {
        name: _base64url(getattr(numbers, name).to_bytes(32)) for name in "xy"
    }
    assert provider(keys=[good]).keys == (good,)
    keys = [good, {"kty": "oct", "k": "AAAA", "kid": "2"}, {**good, "kid": "3", "d": "AAAA"}]
    found = refused(ProviderConfig, **{**MINIMAL, "keys": keys})
    assert list(found) == ["keys[1]", "keys[2]"]
    both = {**MINIMAL, "keys": [good], "jwks_uri": "https://op.example.org/keys"}
    assert refused(ProviderConfig, **both) == {"keys": "give jwks_uri or keys, not both"}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "moment", "written"),
    [
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=UTC), "2027-01-01"),
        ("2027-01-01T12:00:00Z", datetime(2027, 1, 1, 12, tzinfo=UTC), "2027-01-01T12:00:00+00:00"),
        ("2027-01-01T01:00:00+01:00", datetime(2027, 1, 1, tzinfo=UTC), "2027-01-01"),
        ("2027-01-01T12:00:00", datetime(2027, 1, 1, 12, tzinfo=UTC), "2027-01-01T12:00:00+00:00"),
    ],
)
def test_an_expiry_is_a_day_or_a_moment_in_utc(text, moment, written):
    key = ApiKeyConfig.model_validate({"name": "k", "value": "v" * 8, "expires": text})
    assert key.expires == moment
    assert key.model_dump(mode="json")["expires"] == written


@pytest.mark.parametrize("text", ["2027-13-01", "tomorrow", "2027-1-1"])
def test_an_expiry_that_is_no_moment_is_refused(text):
    assert list(refused(ApiKeyConfig, name="k", value="v" * 8, expires=text)) == ["expires"]


def test_a_key_that_can_be_guessed_is_refused():
    assert refused(ApiKeyConfig, name="k", value="1234567") == {
        "value": "use at least 8 characters"
    }


ED25519 = Ed25519PrivateKey.generate()
PUBLIC = ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OTHER = (
    generate_private_key(SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def test_signing_keys_are_accepted():
    SigningKeyConfig.model_validate({"id": "a", "algorithm": "ed25519", "public_key": PUBLIC})
    SigningKeyConfig.model_validate({"id": "a", "algorithm": "hmac-sha256", "secret": "s" * 16})


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"algorithm": "ed25519"}, ["public_key"]),
        ({"algorithm": "ed25519", "public_key": PUBLIC, "secret": "s" * 16}, ["secret"]),
        ({"algorithm": "ed25519", "public_key": PRIVATE}, ["public_key"]),
        ({"algorithm": "ed25519", "public_key": OTHER}, ["public_key"]),
        ({"algorithm": "ed25519", "public_key": "-----BEGIN"}, ["public_key"]),
        ({"algorithm": "hmac-sha256"}, ["secret"]),
        ({"algorithm": "hmac-sha256", "public_key": PUBLIC}, ["secret", "public_key"]),
        ({"algorithm": "hmac-sha256", "secret": "short"}, ["secret"]),
        ({"algorithm": "rsa", "secret": "s" * 16}, ["algorithm"]),
    ],
)
def test_a_signing_key_has_what_its_algorithm_needs(members, places):
    found = refused(SigningKeyConfig, id="a", **members)
    assert list(found) == places
    assert "PRIVATE" not in str(found)
