"""How the gateway proves itself: its tokens for upstreams, and its own keys. The Protocols.

Implementations live in ``oidc_clients.upstream_tokens`` and ``policies.gateway_keys``. The
``No…`` of each stands where there is none.
"""

from dataclasses import dataclass
from typing import Protocol

from policies.core.values import Deny


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
