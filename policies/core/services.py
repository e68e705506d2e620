"""What a policy may ask of the world: the Protocols of state, tokens, clients, keys and clocks.

A policy receives a ``Services`` in its constructor and keeps what it needs. Implementations
live in ``policies.stores`` and ``oidc_clients``; the core knows only these shapes.
"""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from policies.core.values import Deny, Identity


class Rate(NamedTuple):
    """A GCRA limit: on average ``limit`` per ``per`` seconds, bursts of at most ``burst``."""

    limit: int
    per: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one unit drains (the emission interval)."""
        return self.per / self.limit


class Window(NamedTuple):
    """At most ``limit`` within ``per`` seconds."""

    limit: int
    per: float


class Allowance(NamedTuple):
    """The answer of a limit.

    ``remaining`` whole units could be taken at once; ``retry_after`` is the number of seconds
    until the refused cost would be allowed (0 when allowed); ``reset_after`` the number of
    seconds until all of the limit is available again.

    Awaiting it gives itself: a store that knows at once answers with it, and makes nobody wait.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float

    def __await__(self) -> Generator[None, None, "Allowance"]:
        yield from ()
        return self


class State(Protocol):
    """State shared by all workers: counters, nonces, leases and published values.

    Every method raises ``policies.core.errors.StateUnavailable`` when the store cannot
    answer, within a bounded time. Keys are text of any length; ttl is in seconds.
    """

    @property
    def unbroken_since(self) -> float:
        """From when on the store has forgotten nothing, in seconds since the epoch, as far as this
        process can tell: minus infinity unless it found another store than before."""
        ...

    def consume(self, key: str, rate: Rate, cost: int = 1) -> Awaitable[Allowance]:
        """Atomically take ``cost`` units from the bucket ``key`` if it holds them.

        ``cost=0`` looks without taking.
        """
        ...

    async def count(
        self, key: str, window: Window, cost: int = 1, needs: str | None = None
    ) -> Allowance:
        """The same by a fixed window, which begins with the first call that is counted.

        ``needs`` is the key of an entry without which nothing is counted: then it raises
        ``StateUnavailable``.
        """
        ...

    async def slide(self, key: str, window: Window, cost: int = 1) -> Allowance:
        """The same by a sliding window: never more than the limit in any stretch of ``per``."""
        ...

    async def occupy(
        self, key: str, holder: str, limit: int, ttl: float, cost: int = 1
    ) -> Allowance:
        """Take one of the ``limit`` slots of ``key`` for ``holder``, a name without blanks.

        ``cost=0`` looks.

        All slots that a holder has of a key end ``ttl`` seconds after its last ``occupy`` or
        ``hold`` there. How long a slot is kept is not known: the times of a refusal are 1.
        """
        ...

    def vacate(self, key: str, holder: str) -> None:
        """Give one slot back. It is not waited for, and a failure is not told: see ``hold``."""
        ...

    def hold(self, key: str, holder: str, least: int, most: int, ttl: float) -> None:
        """Keep a holder's slots of ``key``: no fewer than ``least``, no more than ``most``.

        It mends what got lost on the way or with the store. Not waited for.
        """
        ...

    async def increment(self, key: str, amount: int, ttl: float) -> int:
        """Atomically add to the counter ``key`` and return the sum.

        A counter that does not exist starts at 0 and lives ``ttl`` seconds from then.
        """
        ...

    async def remember_once(self, key: str, ttl: float) -> bool:
        """True for the first caller within ``ttl``, False for every other one."""
        ...

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        """Take or renew the lease ``key``; False while another holder has it."""
        ...

    async def release(self, key: str, holder: str) -> None:
        """Give the lease back if ``holder`` still has it."""
        ...

    async def publish(self, key: str, value: bytes, ttl: float) -> None:
        """Store a value for all workers."""
        ...

    async def swap(self, key: str, held: bytes | None, value: bytes, ttl: float) -> bool:
        """Store a value if ``held`` is what is there now (None: nothing); else change nothing.

        Whether it was stored.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """The published value, or None when there is none or it expired."""
        ...

    async def touch(self, key: str, ttl: float) -> bool:
        """Let what is kept under ``key`` live ``ttl`` seconds from now. Whether there was any."""
        ...

    async def delete(self, key: str) -> None:
        """Forget everything kept under ``key``."""
        ...


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


class Ledger(Protocol):
    """Where is written down what must survive a loss of shared state: how much was spent.

    ``complete`` is the key of the entry that is there while shared state has all counters that
    the ledger knows of; None where they cannot be lost.
    """

    @property
    def complete(self) -> str | None: ...

    def spent(self, key: str, units: int, ends: float) -> None:
        """Write down ``units`` of the counter ``key``, which ends at ``ends`` (epoch seconds).

        Returns at once; it is written within a second.
        """
        ...


class NoLedger:
    """Where nothing needs to survive."""

    complete = None

    def spent(self, key: str, units: int, ends: float) -> None:
        """Forget it."""


def _unseen(policy: str, on_failure: str) -> None:
    """Where nobody counts outages."""


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


NO_CLIENTS = NoClients()
NO_PROOFS = NoProofs()
NO_INTROSPECTION = NoIntrospection()


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


NO_SESSIONS = NoSessions()


@dataclass(frozen=True, slots=True)
class ServedApi:
    """What a policy made for one API may know of it (see ``Policy.of_api``).

    ``openapi`` is the text of its OpenAPI document, None where it has none. The paths of the
    document stand below ``base_path``.
    """

    name: str
    base_path: str
    openapi: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which token of a provider an upstream wants: by the provider's own ``client_credentials``
    (RFC 6749 4.4), or with ``exchange`` in exchange for the caller's (RFC 8693)."""

    provider: str
    exchange: bool = False
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


class UpstreamToken(Protocol):
    """One wanted token, kept for each ``subject``: the caller's token, or empty for the gateway.

    What is handed out is the value of ``Authorization``.
    """

    def held(self, subject: bytes, now: float) -> bytes | None:
        """The one in memory; None when there is none, and ``get`` is to be awaited."""
        ...

    async def get(self, subject: bytes, now: float) -> bytes | Deny:
        """One from the provider, or why there is none. Bounded in time; asked once for all."""
        ...

    def refused(self, subject: bytes, value: bytes, now: float) -> None:
        """The upstream did not take this value: a new one is got, once in a while."""
        ...


class UpstreamTokens(Protocol):
    """The tokens with which the gateway calls upstreams."""

    def token(self, wanted: Wanted) -> UpstreamToken:
        """Raises ``KeyError`` when no such provider is registered, ``ValueError`` when the
        gateway has no client there."""
        ...


class NoUpstreamTokens:
    """``UpstreamTokens`` where none can be had."""

    def token(self, wanted: Wanted) -> UpstreamToken:
        """See ``UpstreamTokens``."""
        raise KeyError(wanted.provider)


class SigningKey(Protocol):
    """One of the gateway's own keys. It signs by ``ecdsa-p256-sha256``, to JOSE ``ES256``."""

    @property
    def id(self) -> str: ...

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 octets."""
        ...


class Signer(Protocol):
    """The gateway's own keys, in memory, and the name under which it signs."""

    @property
    def issuer(self) -> str:
        """What the gateway calls itself in tokens."""
        ...

    def current(self, now: float) -> SigningKey | None:
        """The key that signs at a moment; None when the gateway has none."""
        ...


class NoSigner:
    """``Signer`` where there are no keys."""

    issuer = "gatehouse"

    def current(self, now: float) -> SigningKey | None:
        """See ``Signer``."""
        return None


NO_SIGNER = NoSigner()


@dataclass(frozen=True, slots=True)
class Services:
    """What is handed to every policy when a chain is compiled.

    ``local`` is state of this process alone, for what goes on counting when ``state`` cannot
    answer; ``on_outage`` is told of each call that was decided without it, with the policy's
    name and its ``on_failure``. ``ledger`` is where what must outlive shared state is written.
    ``scope`` and ``name`` say which policy is asking, so that two policies never share an entry
    by accident: the compiler replaces them for each attached policy (``dataclasses.replace``).
    ``scope`` is the place it is attached to: ``global``, ``api:orders`` or
    ``route:orders GET /items/{id}``; ``name`` is its ``name:`` in the configuration, empty when
    it has none. ``api`` is set for a policy that is made for each API.
    """

    state: State
    tokens: Tokens
    clock: Callable[[], float]
    local: State
    clients: Clients = NO_CLIENTS
    signer: Signer = NO_SIGNER
    proofs: Proofs = NO_PROOFS
    introspection: Introspection = NO_INTROSPECTION
    sessions: Sessions = NO_SESSIONS
    upstream_tokens: UpstreamTokens = field(default_factory=NoUpstreamTokens)
    scope: str = ""
    name: str = ""
    api: ServedApi | None = None
    ledger: Ledger = NoLedger()  # noqa: RUF009 (it has no state)
    on_outage: Callable[[str, str], None] = _unseen
