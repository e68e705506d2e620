"""What was taken back of the providers' tokens, as it is looked up in memory. Pure.

An entry names one token (its ``jti``), or all tokens of a subject, of a client or of the whole
issuer that were issued before a moment. It is bound to the issuer, whose tokens mean the same
under whatever provider they are registered. Moments are seconds since the epoch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

from policies.core.values import Identity

NEVER = 0.0


class Kind(StrEnum):
    """What an entry names."""

    TOKEN = "token"
    SUBJECT = "subject"
    CLIENT = "client"
    ISSUER = "issuer"


class Entry(NamedTuple):
    """One entry. ``value`` is the ``jti``, the subject or the client, "" for a whole issuer;
    ``before`` means nothing for a single token."""

    issuer: str
    kind: Kind
    value: str = ""
    before: float = NEVER

    @classmethod
    def of(cls, issuer: str, kind: str, value: str, before: float) -> Self:
        """An entry that was kept as JSON. Raises ``ValueError``."""
        return cls(issuer, Kind(kind), value, float(before))


@dataclass(frozen=True, slots=True)
class Revoked:
    """What was taken back of one issuer's tokens."""

    tokens: frozenset[str] = frozenset()
    subjects: Mapping[str, float] = field(default_factory=dict)
    clients: Mapping[str, float] = field(default_factory=dict)
    before: float = NEVER

    def covers(self, identity: Identity) -> bool:
        """Whether the token that proved an identity was taken back.

        A token that does not say when it was issued (``iat``) was issued before any moment.
        """
        claims = identity.claims
        token = claims.get("jti")
        if isinstance(token, str) and token in self.tokens:
            return True
        before = max(
            self.before,
            self.subjects.get(identity.subject, NEVER),
            self.clients.get(identity.client, NEVER),
        )
        return before > NEVER and bool(claims.get("iat", 0) < before)


NOTHING_REVOKED_OF = Revoked()


class RevocationBook:
    """All entries in force, by issuer. Immutable: another one takes its place."""

    __slots__ = ("_issuers", "entries")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(entries)
        by_issuer: dict[str, list[Entry]] = {}
        for entry in self.entries:
            by_issuer.setdefault(entry.issuer, []).append(entry)
        self._issuers = {issuer: _gathered(found) for issuer, found in by_issuer.items()}

    def of(self, issuer: str) -> Revoked:
        return self._issuers.get(issuer, NOTHING_REVOKED_OF)


NOTHING_REVOKED = RevocationBook()


def _gathered(entries: list[Entry]) -> Revoked:
    def latest(kind: Kind) -> dict[str, float]:
        found: dict[str, float] = {}
        for entry in entries:
            if entry.kind is kind:
                found[entry.value] = max(entry.before, found.get(entry.value, NEVER))
        return found

    return Revoked(
        tokens=frozenset(entry.value for entry in entries if entry.kind is Kind.TOKEN),
        subjects=latest(Kind.SUBJECT),
        clients=latest(Kind.CLIENT),
        before=latest(Kind.ISSUER).get("", NEVER),
    )
