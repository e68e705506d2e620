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

from oidc_clients import certificates
from oidc_clients.bounded import Bounded
from oidc_clients.certificates import Certificate
from oidc_clients.client_config import ApiKeyConfig, ClientConfig, SigningKeyConfig
from oidc_clients.credentials import Peppers
from policies.core.callers import ClientKey
from policies.core.config import Problem, location
from policies.core.values import Identity
from policies.http.algorithms import load_public_key
from policies.references import Opener, SecretUnreadable

MAX_API_KEY_BYTES = 4096
MAX_CERTIFICATES = 2048
"""Certificates that a worker remembers having read."""


class IssuedKey(NamedTuple):
    """One API key: what it is stored as, whom it proves, and until when."""

    digest: str
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
        self._api_keys: dict[str, IssuedKey] = {}
        self._signing_keys: dict[str, ClientKey] = {}
        self._certificates: dict[tuple[str, str, str], Identity] = {}
        for at, client in enumerate(clients):
            if client.enabled:
                self._enter(at, client)

    def _enter(self, at: int, client: ClientConfig) -> None:
        for api_key in client.api_keys:
            self._api_keys[api_key.value.sealed] = _issued(client.name, api_key)
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
        for certificate in client.certificates:
            self._certificates[certificate.known_by] = client_identity(
                "client_certificate",
                client.name,
                credential=certificate.san or f"sha256:{certificate.sha256}",
            )

    def _material(self, config: SigningKeyConfig) -> object:
        if config.public_key is not None:
            return load_public_key(config.algorithm, config.public_key.text)
        if config.secret is not None:
            return config.secret.reveal(self._opener).encode()
        raise ValueError("the key has neither a public key nor a secret")

    def signing_key(self, key_id: str) -> ClientKey | None:
        """See ``policies.core.callers.Clients``."""
        return self._signing_keys.get(key_id)

    def api_key(self, key: bytes, now: float) -> IssuedKey | None:
        """The entry of a key that is valid now."""
        if len(key) > MAX_API_KEY_BYTES:
            return None
        for digest in self._peppers.digests(key):
            found = self._api_keys.get(digest)
            if found is not None:
                return found if now < found.expires else None
        return None

    def certificate(self, certificate: Certificate) -> Identity | None:
        """Whom a certificate names: by its fingerprint, else by one of its names.

        A certificate whose names are those of several clients names none.
        """
        pinned = self._certificates.get((certificate.sha256, "", ""))
        if pinned is not None:
            return pinned
        issuer = certificate.issuer
        found = [self._certificates.get(("", name, issuer)) for name in sorted(certificate.names)]
        named = [identity for identity in found if identity is not None]
        return named[0] if len({identity.client for identity in named}) == 1 else None


def _issued(client: str, config: ApiKeyConfig) -> IssuedKey:
    expires = config.expires.timestamp() if config.expires is not None else float("inf")
    identity = client_identity("api_key", client, config.scopes, config.name)
    return IssuedKey(config.value.sealed, identity, expires)


class LiveClients:
    """``policies.core.callers.Clients`` over the book in force.

    ``used`` collects the digests of API keys that proved somebody; whoever writes them down
    takes them away (``take_used``), in the event loop.
    """

    def __init__(self) -> None:
        self._book: ClientBook | None = None
        self._certificates: Bounded[bytes, Certificate] = Bounded(MAX_CERTIFICATES)
        self._used: set[str] = set()

    def replace(self, book: ClientBook) -> None:
        """Put another book in force, from the next question on. Callable from any thread."""
        self._book = book

    def signing_key(self, key_id: str) -> ClientKey | None:
        """See ``policies.core.callers.Clients``."""
        return self._book.signing_key(key_id) if self._book is not None else None

    def api_key(self, key: bytes, now: float) -> Identity | None:
        """See ``policies.core.callers.Clients``."""
        found = self._book.api_key(key, now) if self._book is not None else None
        if found is None:
            return None
        self._used.add(found.digest)
        return found.identity

    def certificate(self, der: bytes, now: float) -> Identity | None:
        """See ``policies.core.callers.Clients``."""
        certificate = self._certificates.get(der)
        if certificate is None:
            certificate = certificates.read(der)
            if certificate is None:
                return None
            self._certificates.put(der, certificate)
        if self._book is None or not certificate.holds(now):
            return None
        return self._book.certificate(certificate)

    def take_used(self) -> set[str]:
        """The digests of the API keys that were used since the last call."""
        used, self._used = self._used, set()
        return used
