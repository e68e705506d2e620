"""The gateway's own clients at the providers of one generation of the configuration. Pure."""

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.provider import ProviderSpec

NO_CLIENT = "provider {} has no client with a secret or a key, which asking it takes"


class OwnClients:
    """As whom each provider is asked, or why it cannot be."""

    def __init__(self) -> None:
        self._providers: dict[str, tuple[ProviderSpec, ClientCredentials | None]] = {}
        self._refused: dict[str, str] = {}

    def add(self, spec: ProviderSpec, client: ClientCredentials | None) -> None:
        self._providers[spec.name] = (spec, client)

    def refuse(self, name: str, reason: str) -> None:
        """The gateway's client at a provider cannot be used."""
        self._refused[name] = reason

    def at(self, name: str) -> tuple[ProviderSpec, ClientCredentials]:
        """A provider with the client that proves itself there.

        Raises ``KeyError`` when no such provider is registered, ``ValueError`` when it cannot be
        asked.
        """
        if name in self._refused:
            raise ValueError(f"provider {name}: {self._refused[name]}")
        spec, client = self._providers[name]
        if client is None or client.is_public:
            raise ValueError(NO_CLIENT.format(name))
        return spec, client
