"""A worker's view of browser sessions: read at most once a second, renewed by one for all.

Theory of operation. What was read of a session is used for at most ``REMEMBERED`` seconds, so
that a session that ends is over on every worker within a second. Its token is renewed when
``renew_at`` is reached: in the background while it is still valid, and with the callers waiting
(bounded) once it has expired. Whoever holds the session's lease first looks whether it was
renewed meanwhile, and only then asks the provider; so a refresh token is used once, however
many workers want it, and providers that rotate them see no second use (RFC 9700 4.14.2).

A provider that refuses the refresh token ends the session. A provider that cannot be reached
ends nothing: the session is tried again after ``RETRY`` seconds, by one caller for all.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from oidc_clients.bounded import Bounded
from oidc_clients.browser.grants import (
    GrantRefused,
    Grants,
    GrantUnavailable,
    SignIn,
    Tokens,
)
from oidc_clients.browser.store import MAX_ID, Found, SessionStore, key_of
from oidc_clients.leased import once_for_all
from policies.core.errors import StateUnavailable
from policies.core.values import Deny

logger = logging.getLogger(__name__)

REMEMBERED = 0.8
"""Seconds for which what was read of a session is used; a second, less what reading takes."""
MAX_REMEMBERED = 20_000
PATIENCE = 6.0
"""Seconds that a call waits for a token at most: longer than a request to a provider takes."""
RETRY = 2.0
"""Seconds from a failed renewal to the next one, for all workers."""
LEASE = 15.0
"""Seconds; no longer does a killed worker keep the others from renewing a session."""

_SAVES = 10  # attempts to keep a renewed session when the state store does not answer
_PAUSE = 0.3  # seconds between two of them

INVALID = Deny("session_invalid", "The session is over, or was never begun: sign in.")
UNAVAILABLE = Deny("provider_unavailable", "The session's token cannot be renewed now; try again.")


class _Held(NamedTuple):
    found: Found | None  # None: it has ended
    read_at: float


class BrowserSessions:
    """``policies.core.callers.Sessions`` over the session store."""

    def __init__(
        self,
        store: SessionStore,
        grants: Grants,
        clock: Callable[[], float],
        renews: bool = True,
    ) -> None:
        """``renews`` is False for who only looks on: a token is then taken as it is."""
        self._store = store
        self._grants = grants
        self._clock = clock
        self.renews = renews
        self._holder = uuid.uuid4().hex
        self._sign_ins: dict[str, SignIn] = {}
        self._held: Bounded[str, _Held] = Bounded(MAX_REMEMBERED)
        self._jobs: dict[str, asyncio.Task[None]] = {}

    def replace(self, sign_ins: Iterable[SignIn]) -> None:
        """Put another set of providers in force, from the next call on."""
        self._sign_ins = {item.provider: item for item in sign_ins}

    def signs_in(self, provider: str) -> bool:
        """See ``policies.core.callers.Sessions``."""
        return provider in self._sign_ins

    async def token(self, provider: str, cookie: bytes, now: float) -> bytes | Deny:
        """See ``policies.core.callers.Sessions``."""
        if len(cookie) > MAX_ID:
            return INVALID
        key = key_of(cookie)
        found = await self._read(key, now)
        sign_in = self._sign_ins.get(provider)
        if found is None or sign_in is None or not _belongs(found, sign_in):
            return INVALID
        session = found.session
        if now < session.renew_at or not self.renews:
            return session.access_token.encode()
        job = self._job(key, sign_in)
        if now < session.expires:
            return session.access_token.encode()
        await asyncio.wait({job}, timeout=PATIENCE)
        found = await self._read(key, self._clock())
        if found is None:
            return INVALID
        renewed = found.session.expires > now
        return found.session.access_token.encode() if renewed else UNAVAILABLE

    async def settle(self) -> None:
        """Wait until no renewal is under way: a token that was given must be kept."""
        if self._jobs:
            await asyncio.wait(set(self._jobs.values()), timeout=PATIENCE)

    async def _read(self, key: str, now: float) -> Found | None:
        held = self._held.get(key)
        if held is not None and held.read_at <= now < held.read_at + REMEMBERED:
            over = held.found is None or now >= held.found.session.ends
            return None if over else held.found
        return await self._look(key, now, use=True)

    async def _look(self, key: str, now: float, use: bool = False) -> Found | None:
        found = await self._store.read(key, use)
        if found is not None or self._held.get(key) is not None:  # made-up ids are not kept
            self._held.put(key, _Held(found, now))
        return found

    def _job(self, key: str, sign_in: SignIn) -> asyncio.Task[None]:
        """The one renewal of this session in this process: the one that runs, or a new one."""
        job = self._jobs.get(key)
        if job is None or job.done() or job.get_loop() is not asyncio.get_running_loop():
            job = self._jobs[key] = asyncio.create_task(self._run(key, sign_in))
            job.add_done_callback(lambda done: self._forget(key, done))
        return job

    def _forget(self, key: str, job: asyncio.Task[None]) -> None:
        if self._jobs.get(key) is job:
            del self._jobs[key]

    async def _run(self, key: str, sign_in: SignIn) -> None:
        try:
            await self._renew(key, sign_in)
        except StateUnavailable as error:
            logger.warning("provider %s: a session is not renewed: %s", sign_in.provider, error)
        except Exception:
            logger.exception("provider %s: the renewal of a session broke", sign_in.provider)

    async def _renew(self, key: str, sign_in: SignIn) -> None:
        """Renew under the lease; without it, wait for what its holder does."""

        async def settled() -> bool:
            return not await self._is_due(key)

        async def ask() -> None:
            found = await self._look(key, self._clock())
            if found is not None:
                await self._ask(found, sign_in)

        lease = f"{key}:lease"
        await once_for_all(self._store.state, lease, self._holder, settled, ask, LEASE, PATIENCE)

    async def _is_due(self, key: str) -> bool:
        """Whether the session is there and still waits to be renewed; takes up what is there."""
        now = self._clock()
        found = await self._look(key, now)
        if found is None or now < found.session.renew_at:
            return False
        return await self._store.state.read(f"{key}:failed") is None

    async def _ask(self, found: Found, sign_in: SignIn) -> None:
        session = found.session
        if not session.refresh_token:
            await self._end(found)
            return
        try:
            tokens = await asyncio.to_thread(
                self._grants.refresh, sign_in, session.refresh_token, self._clock()
            )
        except GrantRefused as error:
            logger.info("provider %s: a session ends: %s", sign_in.provider, error)
            await self._end(found)
        except GrantUnavailable as error:
            logger.warning("provider %s: a session is not renewed: %s", sign_in.provider, error)
            await self._store.state.publish(f"{found.key}:failed", b"1", RETRY)
        else:
            await self._keep(found, tokens)

    async def _keep(self, found: Found, tokens: Tokens) -> None:
        """Store what the provider gave: where it rotates refresh tokens, there is no other."""
        session = replace(
            found.session,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token or found.session.refresh_token,
            renew_at=tokens.renew_at,
            expires=tokens.expires,
        )
        for attempt in range(_SAVES):
            try:
                kept = await self._store.change(found, session)
            except StateUnavailable:
                if attempt == _SAVES - 1:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                if kept is not None:
                    self._held.put(found.key, _Held(kept, self._clock()))
                return

    async def _end(self, found: Found) -> None:
        self._held.put(found.key, _Held(None, self._clock()))
        await self._store.end(found.session.provider, found.session.subject, [found.key])


def _belongs(found: Found, sign_in: SignIn) -> bool:
    """A session is good for the provider that it was begun at, while that has its issuer and is
    switched on."""
    session = found.session
    same = (session.provider, session.issuer) == (sign_in.provider, sign_in.issuer)
    return same and sign_in.enabled
