"""API keys: how they are made, and the keyed digest that is all the gateway keeps of them. Pure.

A made key is ``gh_``, eight characters for people to recognise it by, ``_``, and 32 random
characters (190 bits). Stored is ``<pepper id>:<HMAC-SHA-256>``; the pepper is derived from the
server's secret keys, so that a copy of the database alone tells nothing, not even about a
short key that somebody chose. The first secret key digests, every one may match: a key lives
as long as the secret key under which it was digested.
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterator, Sequence

ISSUED = "issued"
"""Where a key comes from that was made here, and that no configuration file names."""

_ALPHABET = string.ascii_letters + string.digits
_PREFIX_LENGTH = len("gh_") + 8
_RANDOM_LENGTH = 32


def make_api_key() -> str:
    """A new key. It exists nowhere else."""
    shown, random = (
        "".join(secrets.choice(_ALPHABET) for _ in range(length))
        for length in (_PREFIX_LENGTH - len("gh_"), _RANDOM_LENGTH)
    )
    return f"gh_{shown}_{random}"


def shown_prefix(key: str) -> str:
    """The part of a key that may be shown: none of one that was not made here."""
    made = key.startswith("gh_") and len(key) == _PREFIX_LENGTH + 1 + _RANDOM_LENGTH
    return key[:_PREFIX_LENGTH] if made else ""


class Peppers:
    """The keys of the digests, derived from ``SECRET_KEYS``."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys:
            raise ValueError("at least one secret key is needed")
        self._peppers: dict[str, bytes] = {}
        for key in secret_keys:
            pepper = hashlib.sha256(b"gatehouse api keys\0" + key.encode()).digest()
            pepper_id = hashlib.sha256(b"pepper id\0" + pepper).hexdigest()[:8]
            self._peppers.setdefault(pepper_id, pepper)

    def digest(self, key: str) -> str:
        """What is stored of a key."""
        return self.candidates(key)[0]

    def candidates(self, key: str) -> list[str]:
        """Every form in which the key may be stored, the newest first."""
        return list(self.digests(key.encode()))

    def digests(self, key: bytes) -> Iterator[str]:
        """The same, one after the other."""
        for pepper_id, pepper in self._peppers.items():
            yield f"{pepper_id}:{hmac.digest(pepper, key, 'sha256').hex()}"

    def matches(self, stored: str, key: str) -> bool:
        """Whether a stored digest is that of the key, in constant time for each pepper."""
        found = [hmac.compare_digest(stored, candidate) for candidate in self.candidates(key)]
        return any(found)
