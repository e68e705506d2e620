"""Signatures of PyPI's http-message-signatures verify here, and ours verify there.

It is an independent implementation of RFC 9421: what both agree on is the RFC's, and not one
reading of it.
"""

import base64
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    algorithms,
)
from http_message_signatures.resolvers import MappingKeyResolver

from policies.core.values import Headers
from policies.http.algorithms import sign_p256, verify
from policies.http.components import (
    Component,
    RequestMessage,
    ResponseMessage,
    signature_base,
)
from policies.http.signatures import Parameters, signature_fields, signatures

SECRET = b"a shared secret of enough characters"
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
PSS = padding.PSS(padding.MGF1(SHA512()), 64)

# Algorithm: theirs, the private key, the public key, and how to sign without them.
ALGORITHMS: dict[str, tuple[Any, Any, Any, Any]] = {
    "ed25519": (algorithms.ED25519, ED25519, ED25519.public_key(), ED25519.sign),
    "ecdsa-p256-sha256": (
        algorithms.ECDSA_P256_SHA256, P256, P256.public_key(), lambda b: sign_p256(P256, b)
    ),
    "rsa-pss-sha512": (
        algorithms.RSA_PSS_SHA512, RSA, RSA.public_key(), lambda b: RSA.sign(b, PSS, SHA512())
    ),
    "rsa-v1_5-sha256": (
        algorithms.RSA_V1_5_SHA256, RSA, RSA.public_key(),
        lambda b: RSA.sign(b, padding.PKCS1v15(), SHA256()),
    ),
    "hmac-sha256": (
        algorithms.HMAC_SHA256, SECRET, SECRET, lambda b: hmac.digest(SECRET, b, "sha256")
    ),
}  # fmt: skip
COVERED = [
    "@method", "@path", "@query", "@authority", "@scheme", "@target-uri", "@request-target",
    '@query-param;name="Pet"', '@query-param;name="fa%C3%A7ade%22%3A%20"', "content-digest",
    'content-digest;key="sha-256"', "priority;sf", "priority;key=\"u\"", "x-lines", "x-lines;bs",
]  # fmt: skip
URL = "https://Example.com:443/a/b%2Dc?Pet=d~o*g+1&fa%C3%A7ade%22%3A%20=so%20it&empty="
FIELDS = {
    "Host": "Example.com:443",
    "Content-Digest": "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
    "Priority": "u=1,   i;x",
    "X-Lines": "one, two",
}


@dataclass
class Message:
    """What the other implementation takes for a request."""

    method: str = "POST"
    url: str = URL
    headers: dict[str, str] = field(default_factory=lambda: dict(FIELDS))


@dataclass
class Answer:
    """And for a response."""

    request: Message
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _ours(message: Message) -> RequestMessage:
    parts = urlsplit(message.url)
    return RequestMessage(
        message.method,
        parts.scheme,
        message.headers["Host"],
        parts.path,
        parts.query.encode(),
        _headers(message.headers),
    )


def _headers(fields: dict[str, str]) -> Headers:
    return Headers([(name.lower().encode(), value.encode()) for name, value in fields.items()])


def _resolver(algorithm: str) -> MappingKeyResolver:
    _, private, public, _ = ALGORITHMS[algorithm]
    return MappingKeyResolver(public_keys={"k": public}, private_keys={"k": private})


def _theirs(component: str) -> str:
    return Component.parse(component).text


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_what_the_other_signs_verifies_here(algorithm: str) -> None:
    theirs, _, public, _ = ALGORITHMS[algorithm]
    message = Message()
    signer = HTTPMessageSigner(signature_algorithm=theirs, key_resolver=_resolver(algorithm))
    signer.sign(
        message,
        key_id="k",
        label="sig",
        nonce="once",
        tag="orders",
        use_existing_digest=True,
        created=datetime.now(UTC),
        covered_component_ids=[_theirs(name) for name in COVERED],
    )
    request = _ours(message)
    (signature,) = signatures(request.headers)
    assert [c.text for c in signature.components] == [_theirs(name) for name in COVERED]
    assert signature.parameters.alg == algorithm
    assert signature.parameters[3:] == (algorithm, "k", "orders")
    base = signature.base(request)
    assert verify(algorithm, public, signature.value, base)
    assert not verify(algorithm, public, signature.value, base.replace(b"POST", b"PUT"))


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_what_is_signed_here_verifies_with_the_other(algorithm: str) -> None:
    theirs, _, _, sign = ALGORITHMS[algorithm]
    message = Message()
    components = [Component.parse(name) for name in COVERED]
    created = int(datetime.now(UTC).timestamp())
    text, member = signature_fields("sig", components, Parameters(created, keyid="k", tag="t"))
    value = sign(signature_base(components, text, _ours(message)))
    message.headers["Signature-Input"] = member
    message.headers["Signature"] = _bytes("sig", value)
    verifier = HTTPMessageVerifier(signature_algorithm=theirs, key_resolver=_resolver(algorithm))
    (result,) = verifier.verify(message, expect_tag="t")
    assert len(result.covered_components) == len(COVERED) + 1

    message.method = "PUT"
    with pytest.raises(InvalidSignature):
        verifier.verify(message, expect_tag="t")


def test_a_response_signed_here_verifies_with_the_other() -> None:
    message = Message()
    answer = Answer(message, headers={"Content-Type": "application/json"})
    names = ["@status", "content-type", "@method;req", "@path;req", "content-digest;req"]
    components = [Component.parse(name) for name in names]
    created = int(datetime.now(UTC).timestamp())
    text, member = signature_fields("gatehouse", components, Parameters(created, keyid="k"))
    signed = ResponseMessage(200, _headers(answer.headers), _ours(message))
    value = sign_p256(P256, signature_base(components, text, signed))
    answer.headers |= {"Signature-Input": member, "Signature": _bytes("gatehouse", value)}
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ECDSA_P256_SHA256,
        key_resolver=_resolver("ecdsa-p256-sha256"),
    )
    assert verifier.verify(answer)
    message.url = URL.replace("/a/", "/b/")
    with pytest.raises(InvalidSignature):
        verifier.verify(answer)


def _bytes(label: str, value: bytes) -> str:

    return f"{label}=:{base64.b64encode(value).decode()}:"
