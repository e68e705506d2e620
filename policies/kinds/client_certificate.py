"""``client_certificate``: who calls is proven by the certificate of its TLS connection (mTLS).

Where TLS ends, the certificate was verified and its key was proven: at this listener, or at a
trusted proxy that tells it in ``Client-Cert`` (RFC 9440). From anybody else that line means
nothing: the door alone decides what a request's certificate is.
"""

from typing import ClassVar

from pydantic import Field

from policies.core.config import Name, PolicyConfig
from policies.core.credentials import challenge
from policies.core.policy import IdentityPolicy, Proven
from policies.core.services import Services
from policies.core.values import Call, Deny, Identity


class ClientCertificateConfig(PolicyConfig):
    """Options of ``client_certificate``."""

    clients: tuple[Name, ...] = Field(
        default=(),
        max_length=1000,
        title="Clients",
        description="Names of the clients whose certificates are accepted. Empty: those of every "
        "client.",
    )


_MISSING = Deny(
    "credentials_missing",
    "Present a client certificate when the TLS connection is made.",
    fields=challenge("ClientCertificate"),
)
_REFUSED = Deny("client_refused", "The client certificate is not one that is accepted here.")


class ClientCertificate(IdentityPolicy):
    """Proves the caller by the certificate of a client."""

    kind = "client_certificate"
    Config: ClassVar[type[PolicyConfig]] = ClientCertificateConfig
    summary = "Requires a TLS certificate of a client."

    def __init__(self, config: ClientCertificateConfig, services: Services) -> None:
        self._clients = services.clients
        self._accepted = frozenset(config.clients)

    def credential(self, call: Call) -> bytes | Deny | None:
        return call.request.certificate

    def identify(self, call: Call, credential: bytes) -> Proven:
        identity = self._clients.certificate(credential, call.now)
        if identity is None or (self._accepted and identity.client not in self._accepted):
            return _REFUSED
        return identity

    def missing(self) -> Deny | Identity:
        return _MISSING
