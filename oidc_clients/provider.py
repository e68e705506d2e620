"""One OpenID provider as the gateway was told of it: immutable, checked when it is made. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from oidc_clients.fetch import Reach
from oidc_clients.jose import is_key
from oidc_clients.jwks import ALGORITHMS, SECRET_BYTES, KeySet
from oidc_clients.strict import json_object

MAX_LEEWAY = 120
DEFAULT_LEEWAY = 30
DEFAULT_TOKEN_TYPES = frozenset({"at+jwt", "jwt"})


def media_type(typ: str) -> str:
    """A ``typ`` in the form that is compared: lower case, without ``application/`` (RFC 7515
    4.1.9), and without folding anything beyond ASCII."""
    if not typ.isascii():
        return typ
    lowered = typ.lower()
    short = lowered.removeprefix("application/")
    return lowered if not short or "/" in short else short


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """What tokens of one provider must look like, and where its keys come from.

    Keys come from exactly one source: ``shared_secrets`` with HS algorithms (two during a
    rotation), ``static_keys`` (a JWK Set in JSON), ``jwks_uri``, or else discovery from
    ``issuer``. ``token_types`` holds
    media types as ``media_type`` writes them; ``""`` admits a token without ``typ``.
    ``leeway`` is in seconds. ``private_networks`` are CIDRs that may be
    reached beside public addresses.

    Raises ``ValueError`` with a message for the administrator.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    enabled: bool = True
    audience_claim: str = "aud"
    scope_claim: str = "scope"
    token_types: frozenset[str] = DEFAULT_TOKEN_TYPES
    leeway: int = DEFAULT_LEEWAY
    jwks_uri: str | None = None
    static_keys: str = ""
    shared_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    insecure_http: bool = False
    private_networks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        declared: Any,
        keys: Iterable[Mapping[str, Any]],
        secrets: Iterable[str],
        networks: tuple[str, ...],
    ) -> Self:
        """From a declaration (``provider_config.ProviderConfig``) or a row, which name their
        members alike, with its configured keys and its shared secrets in clear."""
        return cls(
            name=declared.name,
            issuer=declared.issuer,
            audiences=frozenset(declared.audiences),
            algorithms=frozenset(declared.algorithms),
            enabled=declared.enabled,
            audience_claim=declared.audience_claim,
            scope_claim=declared.scope_claim,
            token_types=frozenset(map(media_type, declared.token_types)),
            leeway=declared.leeway,
            jwks_uri=declared.jwks_uri or None,
            static_keys=key_document(keys),
            shared_secrets=tuple(secret.encode() for secret in secrets),
            insecure_http=declared.insecure_http,
            private_networks=networks,
        )

    def __post_init__(self) -> None:
        if not self.issuer or not self.audiences or not self.algorithms:
            raise ValueError("a provider needs an issuer, audiences and algorithms")
        unknown = self.algorithms - ALGORITHMS
        if unknown:
            raise ValueError(f"unknown algorithms: {', '.join(sorted(unknown))}")
        if not 0 <= self.leeway <= MAX_LEEWAY:
            raise ValueError(f"leeway must be between 0 and {MAX_LEEWAY} seconds")
        self._check_keys()

    def _check_keys(self) -> None:
        symmetric = self.algorithms & SECRET_BYTES.keys()
        if not symmetric:
            if self.static_keys:
                self.fixed_keys()
            return
        if symmetric != self.algorithms or self.jwks_uri or self.static_keys:
            raise ValueError(
                "HS algorithms verify with the shared secret alone: do not mix them with others, "
                "with jwks_uri or with keys"
            )
        least = max(SECRET_BYTES[name] for name in symmetric)
        if not self.shared_secrets or len(min(self.shared_secrets, key=len)) < least:
            raise ValueError(f"these HS algorithms need a shared secret of at least {least} bytes")
        if any(map(is_key, self.shared_secrets)):
            raise ValueError("a public key is no shared secret: everybody has it")

    @property
    def symmetric(self) -> bool:
        """Whether tokens are verified with a shared secret."""
        return not self.algorithms.isdisjoint(SECRET_BYTES)

    @property
    def reach(self) -> Reach:
        """Where requests to this provider may go."""
        return Reach(self.private_networks, self.insecure_http)

    def fixed_keys(self) -> KeySet | None:
        """The keys that are configured and never fetched, or None. Raises ``ValueError``."""
        if self.symmetric:
            return KeySet.of_secrets(self.shared_secrets)
        return KeySet.parse(json_object(self.static_keys.encode())) if self.static_keys else None


def key_document(keys: Iterable[Mapping[str, Any]]) -> str:
    """Configured keys as the JWK Set that ``ProviderSpec.static_keys`` takes; "" for none."""
    members = list(keys)
    return json.dumps({"keys": members}, sort_keys=True) if members else ""
