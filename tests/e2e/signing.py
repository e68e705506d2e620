"""Clients that sign with an implementation that is not ours, over the bytes that they send."""

import base64
import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, algorithms
from http_message_signatures.resolvers import MappingKeyResolver

from tests.e2e.raw import Answer

SECRET = "a shared secret of enough characters, ümlaut too"
HOST = "gateway.test"
_RSA = rsa.generate_private_key(65537, 2048)
_P256 = ec.generate_private_key(ec.SECP256R1())
_ED25519 = ed25519.Ed25519PrivateKey.generate()
# Algorithm by RFC 9421: the other implementation's, and the client's key.
KEYS: dict[str, tuple[Any, Any]] = {
    "ed25519": (algorithms.ED25519, _ED25519),
    "ecdsa-p256-sha256": (algorithms.ECDSA_P256_SHA256, _P256),
    "rsa-pss-sha512": (algorithms.RSA_PSS_SHA512, _RSA),
    "rsa-v1_5-sha256": (algorithms.RSA_V1_5_SHA256, _RSA),
    "hmac-sha256": (algorithms.HMAC_SHA256, SECRET.encode()),
}
COVERED = ("@method", "@path", "@query")
_nonces = itertools.count()


@dataclass
class Request:
    """A request as it will be sent; what the other implementation signs."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}{self.target}"


@dataclass
class Response:
    """An answer as it came, with the request it answers."""

    request: Request
    status_code: int
    headers: dict[str, str]


def clients(name: str = "partner-a") -> dict[str, Any]:
    """A client with a key of every algorithm, as the configuration names it; the id is the
    algorithm's name."""
    entries = []
    for algorithm, (_, key) in KEYS.items():
        entry = {"id": algorithm, "algorithm": algorithm}
        if algorithm == "hmac-sha256":
            entry["secret"] = SECRET
        else:
            public = key.public_key()
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            entry["public_key"] = pem.decode()
        entries.append(entry)
    return {"name": name, "signing_keys": entries}


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def signed(
    method: str,
    target: str,
    body: bytes = b"",
    *,
    algorithm: str = "ed25519",
    covered: Iterable[str] = COVERED,
    nonce: str | None = None,
    age: float = 0,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> Request:
    """A request with its signature; with a body, its digest is covered too."""
    theirs, key = KEYS[algorithm]
    request = Request(method, target, body, {"Host": HOST, **(headers or {})})
    components = list(covered)
    if body:
        request.headers["Content-Digest"] = digest(body)
        components.append("content-digest")
    signer = HTTPMessageSigner(
        signature_algorithm=theirs,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={algorithm: key}),
    )
    signer.sign(
        request,
        key_id=algorithm,
        created=datetime.now(UTC) - timedelta(seconds=age),
        nonce=nonce or f"nonce-{next(_nonces)}",
        label=options.pop("label", "sig1"),
        covered_component_ids=components,
        use_existing_digest=bool(body),
        **options,
    )
    del request.headers["Host"]  # the raw client adds it
    return request


def verified(answer: Answer, request: Request, jwks: dict[str, Any]) -> dict[str, str]:
    """What the gateway's signature of an answer covers, verified by the other implementation.

    Raises ``InvalidSignature``.
    """

    keys = {key["kid"]: jwt.PyJWK(key).key for key in jwks["keys"]}
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ECDSA_P256_SHA256,
        key_resolver=MappingKeyResolver(public_keys=keys, private_keys={}),
    )
    asked = Request(request.method, request.target, headers={"Host": HOST, **request.headers})
    response = Response(asked, answer.status, dict(answer.fields))
    (result,) = verifier.verify(response, body=answer.body)
    return dict(result.covered_components)
