"""Browser sessions in shared state: sealed, found by the hash of their id, listed by person.

Theory of operation. A session is one entry of ``State``; its key is the SHA-256 of the id that
the browser's cookie holds, so that who reads the store can use no session. The entry lives for
the idle time and is touched when it is used; the record inside it says when the session ends
however much it is used. A record is changed only by ``swap``: a session that was ended in the
meantime stays ended.

Beside the sessions stands the directory: for each provider ``SHARDS`` entries, a person's
sessions all in one of them, which is changed by ``swap`` too. It serves the pages that list
sessions and the logout of a person; whether a session holds is never read from it.

Everything is sealed with its key as context: an entry opens in its own place only.
"""

import asyncio
import json
import logging
import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from policies.core.errors import StateUnavailable
from policies.core.state import State
from policies.references import SecretUnreadable

logger = logging.getLogger(__name__)

SHARDS = 256
MAX_ID = 128
"""Characters of a cookie that can be a session's id."""
_ATTEMPTS = 50  # to change a shard that others change at the same time
_PAUSE = 0.01  # mean seconds between two of them


class Sealer(Protocol):
    """Encryption at rest; ``policies.secrets.Keyring`` is one."""

    def seal(self, plain: str, context: str) -> str: ...

    def open(self, stored: str, context: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of one browser. Moments in seconds since the epoch.

    It is over at ``ends``, or after ``idle`` seconds without use. ``renew_at`` is when the token
    should be renewed, ``expires`` when it must be.
    """

    provider: str
    issuer: str
    subject: str
    created: float
    ends: float
    idle: int
    access_token: str = field(repr=False)
    renew_at: float
    expires: float
    refresh_token: str = field(default="", repr=False)
    sid: str = ""
    name: str = ""
    agent: str = ""
    address: str = ""

    def life(self, now: float) -> float:
        """Seconds its entry lives if it is not used; at least one."""
        return max(1.0, min(self.idle, self.ends - now))


class Found(NamedTuple):
    """A session as it was read: ``sealed`` is what a change must replace."""

    key: str
    session: Session
    sealed: bytes


class Listed(NamedTuple):
    """A session in the directory. It may have ended since."""

    key: str
    subject: str
    sid: str
    created: float
    ends: float


def new_id() -> str:
    """An unguessable session id (256 bits)."""
    return secrets.token_urlsafe(32)


def key_of(session_id: bytes) -> str:
    """Where the session of that id is kept."""
    return "session:" + sha256(session_id[: MAX_ID + 1]).hexdigest()


class SessionStore:
    """All browser sessions of the installation. Every method raises ``StateUnavailable``."""

    def __init__(self, state: State, sealer: Sealer, clock: Callable[[], float]) -> None:
        self.state = state
        self._sealer = sealer
        self._clock = clock

    async def begin(self, session: Session) -> str:
        """Keep a new session; its id, which goes to the browser and nowhere else."""
        session_id = new_id()
        key = key_of(session_id.encode())
        now = self._clock()
        sealed = self._seal(key, asdict(session))
        await self.state.publish(key, sealed, session.life(now))
        listed = Listed(key, session.subject, session.sid, session.created, session.ends)
        await self._change(session.provider, session.subject, lambda rows: [*rows, listed])
        return session_id

    async def read(self, key: str, use: bool = False) -> Found | None:
        """The session, unless it is over. ``use``: it counts as used now."""
        sealed = await self.state.read(key)
        found = self._found(key, sealed) if sealed is not None else None
        if found is None:
            return None
        now = self._clock()
        if now >= found.session.ends:
            return None
        if use:
            await self.state.touch(key, found.session.life(now))
        return found

    async def change(self, found: Found, session: Session) -> Found | None:
        """Put another record in the place of one that was read; None if it has gone."""
        sealed = self._seal(found.key, asdict(session))
        life = session.life(self._clock())
        if await self.state.swap(found.key, found.sealed, sealed, life):
            return Found(found.key, session, sealed)
        return None

    async def end(self, provider: str, subject: str, keys: Iterable[str]) -> None:
        """End sessions of one person. Those that are over already are no mistake."""
        gone = frozenset(keys)
        await asyncio.gather(*(self.state.delete(key) for key in gone))
        if gone:
            await self._change(
                provider, subject, lambda rows: [row for row in rows if row.key not in gone]
            )

    async def of_person(self, provider: str, subject: str) -> list[Listed]:
        """What the directory lists of one person."""
        rows, _ = await self._shard(_shard_key(provider, subject))
        return [row for row in rows if row.subject == subject]

    async def of_provider(self, provider: str) -> list[Listed]:
        """What the directory lists of one provider."""
        names = [_directory(provider, number) for number in range(SHARDS)]
        shards = await asyncio.gather(*(self._shard(name) for name in names))
        return [row for rows, _ in shards for row in rows]

    async def alive(self, rows: Iterable[Listed]) -> list[Found]:
        """Those of the listed sessions that are not over."""
        found = await asyncio.gather(*(self.read(row.key) for row in rows))
        return [item for item in found if item is not None]

    async def _change(
        self, provider: str, subject: str, change: Callable[[list[Listed]], list[Listed]]
    ) -> None:
        """Change a person's shard of the directory, and forget there what has ended."""
        name = _shard_key(provider, subject)
        for _ in range(_ATTEMPTS):
            rows, sealed = await self._shard(name)
            now = self._clock()
            kept = [row for row in change(rows) if row.ends > now]
            life = max((row.ends - now for row in kept), default=1.0)
            value = self._seal(name, {"sessions": kept})
            if await self.state.swap(name, sealed, value, max(life, 1.0)):
                return
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
        raise StateUnavailable("the directory of sessions is changed by too many at once")

    async def _shard(self, name: str) -> tuple[list[Listed], bytes | None]:
        sealed = await self.state.read(name)
        content = self._open(name, sealed) if sealed is not None else {}
        return [Listed(*row) for row in content.get("sessions", ())], sealed

    def _found(self, key: str, sealed: bytes) -> Found | None:
        content = self._open(key, sealed)
        return Found(key, Session(**content), sealed) if content else None

    def _seal(self, key: str, content: dict[str, Any]) -> bytes:
        return self._sealer.seal(json.dumps(content), key).encode()

    def _open(self, key: str, sealed: bytes) -> dict[str, Any]:
        """What was sealed; nothing when no key that is configured opens it."""
        try:
            content: dict[str, Any] = json.loads(self._sealer.open(sealed.decode(), key))
        except (SecretUnreadable, ValueError) as error:
            logger.warning("sessions: an entry of the state store is not used: %s", error)
            return {}
        return content


def _shard_key(provider: str, subject: str) -> str:
    digest = sha256(f"{len(provider)}:{provider}{subject}".encode()).digest()
    return _directory(provider, digest[0] % SHARDS)


def _directory(provider: str, number: int) -> str:
    return f"sessions:{provider}:{number:02x}"
