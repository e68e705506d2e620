"""The API clients as workers know them: every credential in memory, found by one look-up. Pure.

Theory of operation. A ``ClientBook`` is made of all clients at once and never changes; a
``LiveClients`` holds the book in force and is what policies ask. Another state of the clients
is another book, put in the place of the former by one assignment: there is nothing to
invalidate, and a key that was revoked is gone with the book that knew it.

What an API key is found by is its keyed digest. Who does not know the pepper cannot choose
digests, so the time that a look-up takes tells nothing about those that are stored.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import NamedTuple

from oidc_clients.config import ApiKeyConfig, ClientConfig, SigningKeyConfig
from oidc_clients.credentials import Peppers
from policies.core.config import Problem, location
from policies.core.services import NO_CLIENTS, ClientKey, Clients
from policies.core.values import Identity
from policies.http.algorithms import load_public_key
from policies.references import Opener, SecretUnreadable

MAX_API_KEY_BYTES = 4096


class _ApiKey(NamedTuple):
    identity: Identity
    expires: float  # seconds since the epoch


def client_identity(
    kind: str, client: str, scopes: Iterable[str] = (), credential: str = ""
) -> Identity:
    """Who a client is, proven by a ``kind`` of credential: the same for all of that kind.

    So a limit by identity goes on counting when a key is rotated. ``credential`` names the one
    that was used, for logs and for the upstream.
    """
    claims = {"client": client, "credential": credential}
    return Identity(
        kind=kind,
        subject=client,
        client=client,
        scopes=frozenset(scopes),
        claims=MappingProxyType(claims),
    )


class ClientBook:
    """All clients with their credentials, as they were at one moment.

    ``problems`` says which credentials cannot be used, by their place among the clients: those
    alone are missing.
    """

    def __init__(self, clients: Iterable[ClientConfig], peppers: Peppers, opener: Opener) -> None:
        self.problems: list[Problem] = []
        self._peppers = peppers
        self._opener = opener
        self._api_keys: dict[str, _ApiKey] = {}
        self._signing_keys: dict[str, ClientKey] = {}
        for at, client in enumerate(clients):
            if client.enabled:
                self._enter(at, client)

    def _enter(self, at: int, client: ClientConfig) -> None:
        for api_key in client.api_keys:
            self._api_keys[api_key.value.sealed] = _api_key(client.name, api_key)
        for number, signing_key in enumerate(client.signing_keys):
            try:
                material = self._material(signing_key)
            except (ValueError, SecretUnreadable) as error:
                place = location(("clients", at, "signing_keys", number))
                self.problems.append(Problem(path=place, message=str(error)))
                continue
            identity = client_identity("signature", client.name, credential=signing_key.id)
            self._signing_keys[signing_key.id] = ClientKey(
                client.name, signing_key.algorithm, material, identity
            )

    def _material(self, config: SigningKeyConfig) -> object:
        if config.public_key is not None:
            return load_public_key(config.algorithm, config.public_key.text)
        if config.secret is not None:
            return config.secret.reveal(self._opener).encode()
        raise ValueError("the key has neither a public key nor a secret")

    def signing_key(self, key_id: str) -> ClientKey | None:
        """See ``policies.core.services.Clients``."""
        return self._signing_keys.get(key_id)

    def api_key(self, key: bytes, now: float) -> Identity | None:
        """See ``policies.core.services.Clients``."""
        if len(key) > MAX_API_KEY_BYTES:
            return None
        for digest in self._peppers.digests(key):
            found = self._api_keys.get(digest)
            if found is not None:
                return found.identity if now < found.expires else None
        return None


def _api_key(client: str, config: ApiKeyConfig) -> _ApiKey:
    expires = config.expires.timestamp() if config.expires is not None else float("inf")
    return _ApiKey(client_identity("api_key", client, config.scopes, config.name), expires)


class LiveClients:
    """``policies.core.services.Clients`` over the book in force."""

    def __init__(self) -> None:
        self._book: Clients = NO_CLIENTS

    def replace(self, book: ClientBook) -> None:
        """Put another book in force, from the next question on. Callable from any thread."""
        self._book = book

    def signing_key(self, key_id: str) -> ClientKey | None:
        """See ``policies.core.services.Clients``."""
        return self._book.signing_key(key_id)

    def api_key(self, key: bytes, now: float) -> Identity | None:
        """See ``policies.core.services.Clients``."""
        return self._book.api_key(key, now)
