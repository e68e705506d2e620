"""A token that a provider granted to the gateway for an upstream: what it is, how long it is
used, and how workers hand it to each other. Pure.

Rules of this file:
1. It is used only if it is a bearer token in the characters of RFC 6750 2.1, so that it can
   stand in a header line, and of a size that an upstream takes.
2. It is used until shortly before the provider lets it end, so that it does not expire on its
   way, and renewed before that.
3. What names it in shared state is a digest over length-free parts (JSON): no two wanted
   tokens have one name, whatever stands in a scope or an audience (CVE-2026-71326).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from oidc_clients.strict import json_object

DEFAULT_LIFE = 60.0
"""Seconds for which a token is used whose provider does not say how long it lives."""
MAX_LIFE = 24 * 3600.0
MAX_TOKEN = 8192
"""Characters of a token."""

_MARGIN = 10.0  # seconds before the end, at most a tenth of the life
_RENEW_AT = 0.75  # of a token's life
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


class NotUsable(ValueError):
    """What was granted cannot be used; the message holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, when it was asked for (seconds since the epoch) and for how long it is used."""

    token: str = field(repr=False)
    asked_at: float
    life: float

    @classmethod
    def of(cls, content: Mapping[str, Any], asked_at: float) -> Self:
        """What a token endpoint answered (RFC 6749 5.1). Raises ``NotUsable``."""
        token, kind = content["access_token"], content.get("token_type")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise NotUsable("the provider granted no bearer token")
        if len(token) > MAX_TOKEN or not _BEARER.fullmatch(token):
            raise NotUsable("the provider granted a token that cannot stand in a header line")
        lives = content.get("expires_in", DEFAULT_LIFE)
        if isinstance(lives, str) and lives.isascii() and lives.isdigit():
            lives = float(lives[:10])  # some providers quote it
        if type(lives) not in (int, float) or not lives > 0:
            raise NotUsable("the provider granted a token that has expired already")
        life = min(float(lives), MAX_LIFE)
        return cls(token, asked_at, life - min(_MARGIN, life / 10))

    @property
    def value(self) -> bytes:
        """The value of ``Authorization``."""
        return b"Bearer " + self.token.encode()

    @property
    def renew_at(self) -> float:
        return self.asked_at + self.life * _RENEW_AT

    @property
    def ends_at(self) -> float:
        return self.asked_at + self.life

    def encode(self) -> str:
        """For shared state, where it must be sealed."""
        return json.dumps({"token": self.token, "asked_at": self.asked_at, "life": self.life})

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ``ValueError``."""
        members = json_object(text.encode())
        return cls(str(members["token"]), float(members["asked_at"]), float(members["life"]))


def state_name(*parts: Any) -> str:
    """A name in shared state for what ``parts`` (texts, numbers, lists of them) say together."""
    return f"granted:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"
