"""``api_key``: who calls is proven by a key that was issued to a client.

The key stands in one header and nowhere else: what stands in a URL ends up in logs and
histories. Unknown, expired, revoked and switched off are one answer, so that guessing tells
nothing.
"""

from typing import ClassVar

from pydantic import Field

from policies.core.config import Name, PolicyConfig
from policies.core.credentials import HeaderName, Scope, challenge, stands_twice
from policies.core.policy import IdentityPolicy, Proven
from policies.core.services import Services
from policies.core.values import Call, Deny, Identity

_SCHEME = "ApiKey"


class ApiKeyPolicyConfig(PolicyConfig):
    """Options of ``api_key``."""

    header: HeaderName = Field(
        default="X-API-Key",
        title="Header",
        description="The request header that holds the key, and nothing else.",
    )
    scopes: tuple[Scope, ...] = Field(
        default=(), max_length=100, title="Scopes", description="The key must hold all of these."
    )
    clients: tuple[Name, ...] = Field(
        default=(),
        max_length=1000,
        title="Clients",
        description="Names of the clients whose keys are accepted. Empty: those of every client.",
    )


_AMBIGUOUS = Deny("credentials_ambiguous", "Present the API key once.", fields=challenge(_SCHEME))
_INVALID = Deny("api_key_invalid", "The API key is not valid.", fields=challenge(_SCHEME))
_CLIENT = Deny("client_refused", "The client of this API key is not accepted here.")


class ApiKey(IdentityPolicy):
    """Proves the caller by a client's API key."""

    kind = "api_key"
    Config: ClassVar[type[PolicyConfig]] = ApiKeyPolicyConfig
    summary = "Requires an API key of a client."

    def __init__(self, config: ApiKeyPolicyConfig, services: Services) -> None:
        self._clients = services.clients
        self._header = config.header.lower().encode()
        self.consumes = frozenset((self._header,))
        self._scopes = frozenset(config.scopes)
        self._accepted = frozenset(config.clients)
        self._missing = Deny(
            "credentials_missing",
            f"Present an API key in the header {config.header}.",
            fields=challenge(_SCHEME),
        )
        self._insufficient = Deny(
            "insufficient_scope",
            "The API key lacks a scope that this route requires.",
            fields=challenge(_SCHEME, error="insufficient_scope", scope=" ".join(config.scopes)),
        )

    def credential(self, call: Call) -> bytes | Deny | None:
        headers = call.request.headers
        if stands_twice(headers, self._header):
            return _AMBIGUOUS
        return headers.get(self._header)

    def identify(self, call: Call, credential: bytes) -> Proven:
        identity = self._clients.api_key(credential, call.now)
        if identity is None:
            return _INVALID
        if self._accepted and identity.client not in self._accepted:
            return _CLIENT
        return identity if self._scopes <= identity.scopes else self._insufficient

    def missing(self) -> Deny | Identity:
        return self._missing
