"""Providers that verify with a shared secret (RFC 7518 3.2): only when named, never beside keys."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from oidc_clients.jose import is_key
from oidc_clients.provider import ProviderSpec
from oidc_clients.provider_config import ProviderConfig
from oidc_clients.specs import provider_spec
from policies.core.config import problems_of
from tests.oidc_clients.conftest import Keys, Verifier, b64
from tests.oidc_clients.loopback import AUDIENCE, Provider

Verifiers = Callable[..., Verifier]
SECRET, FORMER = b"present secret of thirty-two byte", b"a former secret of 32 bytes or so"
HS = {"name": "acme", "issuer": "https://op.example.org", "audiences": [AUDIENCE]}


def spec(*secrets: bytes, algorithms: tuple[str, ...] = ("HS256",)) -> ProviderSpec:
    return ProviderSpec(
        "acme", HS["issuer"], frozenset({AUDIENCE}), frozenset(algorithms), shared_secrets=secrets
    )


def minted(claims: dict[str, Any], secret: bytes, algorithm: str = "HS256", **header: Any) -> bytes:
    head = json.dumps({"alg": algorithm, "typ": "at+jwt", **header}).encode()
    content = b64(head) + b"." + b64(json.dumps(claims).encode())
    return content + b"." + b64(hmac.digest(secret, content, f"sha{algorithm[2:]}"))


def spellings(keys: Keys) -> dict[str, bytes]:
    """A public key in every way it may be written down."""
    public = keys.rsa.private.public_key()
    found = {
        f"{encoding}-{form}{ending}": text
        for encoding in (Encoding.PEM, Encoding.DER)
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
        for ending, text in _endings(encoding, public.public_bytes(encoding, form))
    }
    found["ssh"] = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    found["jwk"] = json.dumps(keys.rsa.jwk).encode()
    found["jwks"] = json.dumps({"keys": [keys.rsa.jwk]}, indent=2).encode()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found["base64"] = base64.b64encode(der)
    found["base64url"] = base64.urlsafe_b64encode(der).rstrip(b"=")
    found["base64-lines"] = base64.encodebytes(der)
    return found


def _endings(encoding: Encoding, text: bytes) -> list[tuple[str, bytes]]:
    if encoding is Encoding.DER:
        return [("", text)]
    return [("", text), ("-stripped", text.strip()), ("-crlf", text.replace(b"\n", b"\r\n"))]


def config(**members: Any) -> ProviderConfig:
    return ProviderConfig.model_validate({**HS, "algorithms": ["HS256"], **members})


def problems(**members: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        config(**members)
    return {problem.path: problem.message for problem in problems_of(error.value)}


def test_two_secrets_are_valid_during_a_rotation(verifiers: Verifiers) -> None:
    verifier = verifiers(spec(SECRET, FORMER))
    claims = verifier.claims()
    for secret in (SECRET, FORMER):
        assert verifier.identity(minted(claims, secret)).subject == "user-1"
        verifier.identity(minted(claims, secret, kid="whatever"))
    assert verifier.code(minted(claims, SECRET + b"x")) == "token_signature"
    after = verifiers(spec(SECRET))
    assert after.code(minted(claims, FORMER)) == "token_signature"


def test_J14_a_token_of_the_former_secret_is_forgotten_with_it(verifiers: Verifiers) -> None:
    verifier = verifiers(spec(SECRET, FORMER))
    token = minted(verifier.claims(), FORMER)
    verifier.identity(token)
    verifier.tokens.replace([spec(SECRET)])
    assert verifier.code(token) == "token_signature"


def test_J1_the_hash_is_one_that_was_named(verifiers: Verifiers) -> None:
    verifier = verifiers(spec(SECRET * 2))
    claims = verifier.claims()
    for algorithm in ("HS384", "HS512"):
        assert verifier.code(minted(claims, SECRET * 2, algorithm)) == "token_algorithm"


def test_J1_no_spelling_of_a_public_key_is_a_secret_that_verifies(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    """Neither where public keys are configured, nor where another secret is."""
    for verifier, code in (
        (verifiers(provider.spec()), "token_algorithm"),
        (verifiers(spec(SECRET, FORMER)), "token_signature"),
    ):
        for name, text in spellings(keys).items():
            for header in ({}, {"kid": "rsa-1"}):
                assert verifier.code(minted(verifier.claims(), text, **header)) == code, name


def test_J1_no_spelling_of_a_public_key_can_be_configured_as_a_secret(keys: Keys) -> None:
    for name, text in spellings(keys).items():
        assert is_key(text), name
        with pytest.raises(ValueError, match="a public key is no shared secret"):
            spec(SECRET, text)
        if "DER" in name:
            continue  # no text
        found = problems(shared_secret=text.decode())
        assert "public key or certificate" in found["shared_secret"], name


def test_an_ordinary_secret_is_no_key() -> None:
    for secret in (SECRET, base64.b64encode(bytes(range(64))), b"{}", b"[1, 2]", b"AAAA"):
        assert not is_key(secret)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_J1_a_secret_has_as_many_bytes_as_the_hash(algorithm: str) -> None:
    least = {"HS256": 32, "HS384": 48, "HS512": 64}[algorithm]
    assert config(algorithms=[algorithm], shared_secret="é" * (least // 2)).symmetric
    found = problems(algorithms=[algorithm], shared_secret="x" * (least - 1))
    assert f"at least {least} bytes" in found["shared_secret"]
    former = problems(
        algorithms=[algorithm], shared_secret="x" * least, former_shared_secret="y" * (least - 1)
    )
    assert list(former) == ["former_shared_secret"]
    own = problems(algorithms=[algorithm], client={"id": "gw", "secret": "x" * (least - 1)})
    assert list(own) == ["client.secret"]


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"algorithms": ["HS256", "RS256"]}, "algorithms[0]"),
        ({"algorithms": ["ES256", "HS256"]}, "algorithms[1]"),
        ({"jwks_uri": "https://op.example.org/jwks"}, "jwks_uri"),
        ({"algorithms": ["RS256"]}, "shared_secret"),
        ({"shared_secret": None, "former_shared_secret": "y" * 32}, "shared_secret"),
    ],
)
def test_J1_a_shared_secret_stands_alone(members: dict[str, Any], place: str) -> None:
    assert place in problems(**{"shared_secret": "x" * 32, **members})


def test_J1_a_shared_secret_never_stands_beside_keys(keys: Keys) -> None:
    assert "keys" in problems(shared_secret="x" * 32, keys=[keys.rsa.jwk])


def test_the_client_secret_is_the_shared_one_where_none_is_named() -> None:
    """OpenID Connect Core 10.1."""
    own = config(client={"id": "gw", "secret": "c" * 32})
    named = config(client={"id": "gw", "secret": "c" * 32}, shared_secret="x" * 32)
    assert provider_spec(own, _Nothing(), ()).shared_secrets == (b"c" * 32,)
    assert provider_spec(named, _Nothing(), ()).shared_secrets == (b"x" * 32,)


class _Nothing:
    def open(self, stored: str, context: str) -> str:
        raise AssertionError("nothing is sealed here")
