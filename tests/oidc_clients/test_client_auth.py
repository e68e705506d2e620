"""How clients prove themselves: by header, by a signed assertion, and never by a form."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from oidc_clients.assertion import ASSERTION_TYPE, LIFETIME, AssertionKey
from oidc_clients.client_auth import ClientCredentials, ClientUnusable, Proof
from oidc_clients.metadata import Metadata
from oidc_clients.provider_config import ProviderClientConfig
from tests.oidc_clients.test_config import refused

NOW = 1_800_000_000
PRIVATE = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(private: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return private.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def metadata(**members: Any) -> Metadata:
    usual = {
        "token_endpoint": "https://op.example/token",
        "revocation_endpoint": "https://op.example/revoke",
    }
    return Metadata("https://op.example", **usual | members)


def proven(client: ClientCredentials, endpoint: str = "token_endpoint", **members: Any) -> Proof:
    return client.proof(metadata(**members), endpoint, lambda: NOW + 0.9)


def keyed(algorithm: str = "ES256", **members: Any) -> ClientCredentials:
    key = AssertionKey.load(pem(PRIVATE[algorithm]), "kid-1")
    return ClientCredentials("gw", key=key, **members)


def opened(proof: Proof, algorithm: str = "ES256") -> dict[str, Any]:
    """The claims of an assertion whose signature holds."""
    claims: dict[str, Any] = jwt.decode(
        proof.form["client_assertion"],
        PRIVATE[algorithm].public_key(),
        algorithms=[algorithm],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    return claims


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_an_assertion_says_who_for_whom_and_how_long(algorithm: str) -> None:
    proof = proven(keyed(algorithm))
    assert proof.headers == {}
    assert proof.form["client_id"] == "gw"
    assert proof.form["client_assertion_type"] == ASSERTION_TYPE
    claims = opened(proof, algorithm)
    assert len(claims.pop("jti")) >= 22
    assert claims == {
        "iss": "gw", "sub": "gw", "aud": "https://op.example", "iat": NOW, "exp": NOW + LIFETIME,
    }  # fmt: skip
    header = jwt.get_unverified_header(proof.form["client_assertion"])
    assert header == {"alg": algorithm, "kid": "kid-1", "typ": "JWT"}


def test_no_two_assertions_are_the_same() -> None:
    client = keyed()
    assert len({opened(proven(client))["jti"] for _ in range(20)}) == 20


def test_an_assertion_for_an_endpoint_is_for_the_one_it_is_sent_to() -> None:
    """Else a provider's metadata could have one made for another endpoint than gets it."""
    client = keyed(audience="endpoint")
    assert opened(proven(client))["aud"] == "https://op.example/token"
    assert opened(proven(client, "revocation_endpoint"))["aud"] == "https://op.example/revoke"


def test_a_key_without_kid_names_none() -> None:
    client = ClientCredentials("gw", key=AssertionKey.load(pem(PRIVATE["EdDSA"])))
    header = jwt.get_unverified_header(proven(client).form["client_assertion"])
    assert header == {"alg": "EdDSA", "typ": "JWT"}


def test_the_algorithm_is_one_that_the_provider_takes() -> None:
    taken = {"token_endpoint_auth_signing_alg_values_supported": ("ES256", "PS256")}
    proof = proven(keyed("RS256"), **taken, **signed_only())
    assert jwt.get_unverified_header(proof.form["client_assertion"])["alg"] == "PS256"
    with pytest.raises(ClientUnusable, match="signed with ES256, PS256, and this key signs with"):
        proven(keyed("EdDSA"), **taken, **signed_only())


def signed_only() -> dict[str, Any]:
    return {"token_endpoint_auth_methods_supported": ("private_key_jwt",)}


@pytest.mark.parametrize("client", [keyed(), ClientCredentials("gw", "s3cret")])
def test_D7_no_secret_and_no_key_stands_in_a_form(client: ClientCredentials) -> None:
    proof = proven(client)
    assert "client_secret" not in proof.form
    assert "s3cret" not in str(proof.form)
    if client.secret:
        expected = base64.b64encode(b"gw:s3cret").decode()
        assert proof == Proof({}, {"Authorization": f"Basic {expected}"})


@pytest.mark.parametrize(
    ("client", "accepted", "said"),
    [
        (ClientCredentials("gw", "s"), ("client_secret_post",), "never sends"),
        (ClientCredentials("gw", "s"), ("tls_client_auth",), "does not take client_secret_basic"),
        (ClientCredentials("gw", "s"), ("private_key_jwt", "none"), "client_secret_basic"),
        (keyed(), ("client_secret_basic",), "does not take private_key_jwt"),
        (keyed(), ("client_secret_post",), "does not take private_key_jwt"),
    ],
)
def test_D7_what_the_provider_excludes_is_not_sent(
    client: ClientCredentials, accepted: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ClientUnusable, match=said):
        proven(client, token_endpoint_auth_methods_supported=accepted)


def test_an_endpoint_may_have_methods_of_its_own() -> None:
    client = ClientCredentials("gw", "s")
    methods = {
        "token_endpoint_auth_methods_supported": ("client_secret_post",),
        "revocation_endpoint_auth_methods_supported": ("client_secret_basic",),
    }
    assert proven(client, "revocation_endpoint", **methods).headers
    with pytest.raises(ClientUnusable):
        proven(client, **methods)


def test_where_nothing_is_said_nothing_is_excluded() -> None:
    assert proven(ClientCredentials("gw", "s")).headers
    assert proven(keyed()).form
    with pytest.raises(ClientUnusable, match="no method at all"):
        proven(keyed(), token_endpoint_auth_methods_supported=())


def test_a_public_client_is_only_named() -> None:
    proof = proven(ClientCredentials("gw"), token_endpoint_auth_methods_supported=("none",))
    assert proof == Proof({"client_id": "gw"}, {})


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_is_loaded_from_either_form(form: PrivateFormat) -> None:
    assert AssertionKey.load(pem(PRIVATE["RS256"], form)).algorithms == ("RS256", "PS256")


def weak() -> dict[str, str]:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    sealed = PRIVATE["ES256"].private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    return {
        "small": pem(small),
        "curve": pem(ec.generate_private_key(ec.SECP256K1())),
        "dsa": pem(dsa.generate_private_key(2048)),
        "sealed": sealed.decode(),
        "text": "canary",
    }


@pytest.mark.parametrize("name", weak())
def test_another_key_is_refused_without_showing_it(name: str) -> None:
    text = weak()[name]
    with pytest.raises(ValueError, match="key") as caught:
        AssertionKey.load(text)
    assert text.splitlines()[0] not in str(caught.value)
    assert "key" in refused(ProviderClientConfig, id="gw", key=text)


def test_a_client_has_one_way_to_authenticate() -> None:
    key = pem(PRIVATE["ES256"])
    assert refused(ProviderClientConfig, id="gw", key=key, secret="s") == {
        "key": "give a secret or a key, not both"
    }
    assert "key_id" in refused(ProviderClientConfig, id="gw", secret="s", key_id="k")


def test_equal_clients_have_one_fingerprint_and_others_have_others() -> None:
    text = pem(PRIVATE["ES256"])
    one, same = (ClientCredentials("gw", key=AssertionKey.load(text, "k")) for _ in range(2))
    assert one == same
    others = [
        one,
        ClientCredentials("gw", key=AssertionKey.load(text, "j")),
        ClientCredentials("gw", key=AssertionKey.load(pem(PRIVATE["ES384"]), "k")),
        ClientCredentials("gw", "canary"),
        ClientCredentials("gw", "canarz"),
        ClientCredentials("gv", "canary"),
        ClientCredentials("gw"),
    ]
    assert one.fingerprint == same.fingerprint
    assert len({client.fingerprint for client in others}) == len(others)
    assert "canary" not in json.dumps([client.fingerprint for client in others])
    assert "canary" not in repr(others)
