"""The samples' API client: an API key, a signing key and a TLS certificate, and who knows them."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oidc_clients.certificates import fingerprint
from oidc_clients.client_book import ClientBook, LiveClients
from oidc_clients.client_config import ClientConfig
from oidc_clients.credentials import Peppers, make_api_key
from policies.core.values import Field, Request
from policies.http.components import Component, RequestMessage, signature_base
from policies.http.digests import digest_field
from policies.http.signatures import Parameters, signature_fields
from policies.references import STORED
from policies.secrets import Keyring


class ApiClient:
    """A client with one credential of each sort; ``known`` holds it as a worker does."""

    def __init__(self, name: str, secret_keys: list[str]) -> None:
        self._name = name
        self._private = Ed25519PrivateKey.generate()
        self.api_key = make_api_key()
        self.certificate = _certificate(name, self._private)
        peppers = Peppers(secret_keys)
        self.known = LiveClients()
        self.known.replace(ClientBook([self._config(peppers)], peppers, Keyring(secret_keys)))

    def _config(self, peppers: Peppers) -> ClientConfig:
        """As it is stored."""
        public = self._private.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        digest = {"sealed": peppers.digest(self.api_key), "context": "api key"}
        return ClientConfig.model_validate(
            {
                "name": self._name,
                "api_keys": [{"name": "key-1", "value": digest, "scopes": ["read", "write"]}],
                "signing_keys": [
                    {"id": self._name, "algorithm": "ed25519", "public_key": {"text": pem}}
                ],
                "certificates": [{"sha256": fingerprint(self.certificate)}],
            },
            context=STORED,
        )

    def signature(self, request: Request, created: int) -> list[Field]:
        """A signature over the usual components of a request with its ``digest``."""
        names = ("@method", "@path", "@query", "content-digest")
        covered = [Component.parse(name) for name in names]
        given = Parameters(created=created, keyid=self._name)
        text, member = signature_fields("sig1", covered, given)
        base = signature_base(covered, text, RequestMessage.of(request))
        value = base64.b64encode(self._private.sign(base))
        return [(b"signature-input", member.encode()), (b"signature", b"sig1=:%s:" % value)]


def digest(content: bytes) -> Field:
    """The line that a signature over a content covers."""
    return (b"content-digest", digest_field(content))


def _certificate(name: str, key: Ed25519PrivateKey) -> bytes:
    """In DER, good for a day."""
    called = x509.Name.from_rfc4514_string(f"CN={name}")
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    return builder.sign(key, None).public_bytes(Encoding.DER)
