"""Who is calling: what policies may ask about tokens, proofs and API clients. The Protocols.

Implementations live in ``oidc_clients``. The ``No…`` of each stands where nobody can be known
that way, and refuses everybody.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from policies.core.values import Deny, Identity


class TokenProvider(Protocol):
    """One OpenID provider as a policy sees it: its name, issuer and own audiences."""

    @property
    def name(self) -> str: ...

    @property
    def issuer(self) -> str: ...

    @property
    def audiences(self) -> frozenset[str]: ...


class Tokens(Protocol):
    """Verification of provider tokens (RFC 7519, RFC 9068)."""

    def provider(self, name: str) -> TokenProvider | None:
        """The enabled provider of that name; None when it is switched off.

        Raises ``KeyError`` when no such provider is registered.
        """
        ...

    def recall(
        self, providers: tuple[str, ...], token: bytes, now: float
    ) -> Identity | Deny | None:
        """What ``verify`` would say, where that is known without waiting; else None."""
        ...

    async def verify(self, providers: tuple[str, ...], token: bytes, now: float) -> Identity | Deny:
        """The identity a token proves, or why it proves none.

        ``providers`` names those the route accepts; the token's ``iss`` must equal the
        issuer of one of them exactly.
        """
        ...


class Proof(NamedTuple):
    """What a DPoP proof claims whose signature holds (RFC 9449 4.2).

    ``thumbprint`` is that of its key (RFC 7638), ``token_hash`` its ``ath``; ``issued_at`` in
    seconds since the epoch.
    """

    thumbprint: str
    method: str
    uri: str
    id: str
    issued_at: float
    token_hash: str
    nonce: str | None


class Proofs(Protocol):
    """DPoP proofs (RFC 9449), and the nonces that may be asked for in them."""

    def read(self, value: bytes) -> Proof | None:
        """What a proof claims; None for one that is malformed or does not hold."""
        ...

    def nonce(self, now: float) -> str:
        """The nonce to use from now on."""
        ...

    def takes_nonce(self, nonce: str, now: float) -> bool:
        """Whether it is one that was given out not long ago."""
        ...


class NoProofs:
    """``Proofs`` where none can hold."""

    def read(self, value: bytes) -> Proof | None:
        """See ``Proofs``."""
        return None

    def nonce(self, now: float) -> str:
        """See ``Proofs``."""
        return ""

    def takes_nonce(self, nonce: str, now: float) -> bool:
        """See ``Proofs``."""
        return False


class OpaqueTokens(Protocol):
    """Tokens of one provider that say nothing by themselves: it is asked (RFC 7662)."""

    def recall(self, token: bytes, cache: float, now: float) -> Identity | Deny | None:
        """What ``verify`` would say, where that is known; None: the provider is to be asked."""
        ...

    async def verify(self, token: bytes, cache: float, now: float) -> Identity | Deny:
        """The identity a token proves, or why it proves none.

        An answer of the provider is used for at most ``cache`` seconds, and never longer than
        the token lives. ``provider_unavailable`` when it gives none. Bounded in time.
        """
        ...


class Introspection(Protocol):
    """Verification of opaque tokens."""

    def provider(self, name: str) -> OpaqueTokens:
        """Raises ``KeyError`` when no such provider is registered, ``ValueError`` when the
        gateway has no client there by which it could ask."""
        ...


class NoIntrospection:
    """``Introspection`` where nobody can be asked."""

    def provider(self, name: str) -> OpaqueTokens:
        """See ``Introspection``."""
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key with which a client signs its requests, ready for use.

    ``algorithm`` is one of RFC 9421 3.3; ``material`` is the public key that it takes, loaded,
    and the secret's bytes for ``hmac-sha256``. ``identity`` is whom a valid signature proves.
    """

    client: str
    algorithm: str
    material: Any = field(repr=False)
    identity: Identity


class Clients(Protocol):
    """The API clients and their credentials, in memory: asking costs no I/O.

    Answers are those of the moment of asking: keep none beyond the call. A client that is
    switched off has no credentials.
    """

    def signing_key(self, key_id: str) -> ClientKey | None:
        """The signing key of exactly this id."""
        ...

    def api_key(self, key: bytes, now: float) -> Identity | None:
        """Whom an API key proves; None when it is unknown or has expired."""
        ...

    def certificate(self, der: bytes, now: float) -> Identity | None:
        """Whom a TLS client certificate proves, its holder and issuer having been checked.

        None when it names no client, or is not valid at this moment.
        """
        ...


class NoClients:
    """``Clients`` where there are none."""

    def signing_key(self, key_id: str) -> ClientKey | None:
        """See ``Clients``."""
        return None

    def api_key(self, key: bytes, now: float) -> Identity | None:
        """See ``Clients``."""
        return None

    def certificate(self, der: bytes, now: float) -> Identity | None:
        """See ``Clients``."""
        return None


class Sessions(Protocol):
    """Browser sessions: their tokens stay in the gateway, the browser holds a cookie."""

    def signs_in(self, provider: str) -> bool:
        """Whether browsers can sign in at that provider."""
        ...

    async def token(self, provider: str, cookie: bytes, now: float) -> bytes | Deny:
        """The access token of a session that was begun at ``provider``, renewed if need be.

        Raises ``StateUnavailable``.
        """
        ...


class NoSessions:
    """``Sessions`` where no browser signs in."""

    def signs_in(self, provider: str) -> bool:
        """See ``Sessions``."""
        return False

    async def token(self, provider: str, cookie: bytes, now: float) -> bytes | Deny:
        """See ``Sessions``."""
        return Deny("session_invalid", "No browser signs in here.")


NO_CLIENTS = NoClients()
NO_PROOFS = NoProofs()
NO_INTROSPECTION = NoIntrospection()
NO_SESSIONS = NoSessions()
