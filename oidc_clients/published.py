"""How workers hand each other a provider's key set through ``State``. Pure.

The keys in ``State`` name the source of the keys and not only the provider: after a change
of the issuer or its address nobody can take up a set that came from the former one.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from oidc_clients.provider import ProviderSpec
from oidc_clients.strict import json_object

MIN_LIFE = 300.0
MAX_LIFE = 24 * 3600.0
DEFAULT_LIFE = 3600.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where keys come from, as names in ``State``."""

    digest: str

    @classmethod
    def of(cls, spec: ProviderSpec) -> "Source":
        parts = [spec.name, spec.issuer, spec.jwks_uri, spec.static_keys, spec.insecure_http]
        parts += [hashlib.sha256(secret).hexdigest() for secret in spec.shared_secrets]
        return cls(hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32])

    @property
    def keys(self) -> str:
        """Where the key set is published."""
        return f"jwks:{self.digest}:keys"

    @property
    def lease(self) -> str:
        """Held by the worker that may fetch."""
        return f"jwks:{self.digest}:lease"

    @property
    def failed(self) -> str:
        """There for a while after a fetch that failed."""
        return f"jwks:{self.digest}:failed"

    @property
    def cooldown(self) -> str:
        """There for a while after a fetch for an unknown kid."""
        return f"jwks:{self.digest}:cooldown"


@dataclass(frozen=True, slots=True)
class Published:
    """Admitted keys, when they were fetched (seconds since the epoch) and how long they live."""

    document: dict[str, Any]
    fetched_at: float
    life: float = DEFAULT_LIFE

    @classmethod
    def of(cls, document: dict[str, Any], fetched_at: float, max_age: int | None) -> "Published":
        """``max_age`` is what the provider said, in seconds; None when it said nothing."""
        life = DEFAULT_LIFE if max_age is None else min(max(max_age, MIN_LIFE), MAX_LIFE)
        return cls(document, fetched_at, life)

    def encode(self) -> bytes:
        head = f"{self.fetched_at!r} {self.life!r}\n"
        return head.encode() + json.dumps(self.document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes, newer_than: float) -> "Published | None":
        """What was published, or None if it is not newer. Raises ``ValueError``."""
        head, _, document = value.partition(b"\n")
        fetched_at, life = map(float, head.split())
        if not fetched_at > newer_than:
            return None
        return cls(json_object(document), fetched_at, life)
