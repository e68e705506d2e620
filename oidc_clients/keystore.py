"""The key sets in force in this process, and the rules by which they are renewed.

Theory of operation. Each provider has a ``KeySlot`` with the set it holds. A set is renewed in
the background when a quarter of its life is left, and goes on serving meanwhile. Once it has
expired the next call waits for the renewal; if that fails, the set serves on until it is
stale, and from then on nobody can be verified (J8). A failed renewal never costs a good key.
``KeySlot.due`` is the next moment at which any of this has to be thought about: before it,
using a set is one comparison.

Workers share what they learn through ``State``. Whoever holds the source's lease first looks
whether a newer set was published meanwhile; only if not it asks the provider, and publishes.
Those without the lease wait for the publication, bounded. So every fetch is single-flight for
all workers. Fetches for an unknown ``kid`` are also rationed, one in ``COOLDOWN`` seconds for
the installation, so that random kids cannot make us attack the provider (J7).

When ``State`` cannot answer, each process keeps these rules alone.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oidc_clients.bounded import Bounded
from oidc_clients.discovery import FetchedKeys, fetch_keys
from oidc_clients.fetch import FetchError
from oidc_clients.jwks import KeySet
from oidc_clients.leased import once_for_all
from oidc_clients.provider import ProviderSpec
from oidc_clients.published import MIN_LIFE, Published, Source
from policies.core.errors import StateUnavailable
from policies.core.state import State

logger = logging.getLogger(__name__)

COOLDOWN = 30.0
"""Seconds between two fetches for unknown kids, for all workers of the installation."""
STALE_LIMIT = 24 * 3600.0
"""Seconds after its fetch for which a set may serve while its provider cannot be reached."""
RETRY = 5.0
"""Seconds from a failed fetch to the next one, for all workers."""
PATIENCE = 4.0
"""Seconds that a call waits for keys at most."""
LEASE = 10.0
"""Seconds: longer than a fetch can take, and no longer does a killed worker hinder the others."""

_RENEW_AT = 0.75  # of a set's life
_PAUSE = 0.1  # seconds between two searches for unknown kids in one process
_RECHECK = 1.0  # seconds until a cool-down that another worker began is looked at again
_REMEMBERED = 5.0  # seconds for which a kid that was not found is not searched again
_MAX_REMEMBERED = 4096
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Held:
    """A key set and its moments, in seconds since the epoch."""

    keys: KeySet
    fetched_at: float
    renew_at: float
    expires_at: float
    stale_at: float


class KeySlot:
    """What this process holds of one source of keys. Changed by ``KeyStore`` alone."""

    __slots__ = (
        *("blind", "due", "failed", "held", "job", "lock"),
        *("missed", "ration", "searched", "source", "spec"),
    )

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec
        self.source = Source.of(spec)
        self.lock = threading.Lock()  # ``install`` comes from another thread
        self.job: asyncio.Task[None] | None = None
        self.failed = False  # the last renewal failed: nobody waits for the next one
        self.blind = False  # the last search failed: a missing key may exist
        self.ration = 0.0  # no search asks the provider before
        self.searched = 0.0  # when the last search ended, on the monotonic clock
        self.missed: Bounded[str, float] = Bounded(_MAX_REMEMBERED)  # kid -> until when
        fixed = spec.fixed_keys()
        self.held = Held(fixed, 0.0, _NEVER, _NEVER, _NEVER) if fixed is not None else None
        self.due = _NEVER if fixed is not None else 0.0


class KeyStore:
    """All key sets of this process."""

    def __init__(
        self,
        state: State,
        clock: Callable[[], float],
        fetch: Callable[[ProviderSpec], FetchedKeys] = fetch_keys,
        stale_limit: float = STALE_LIMIT,
    ) -> None:
        """``clock`` gives seconds since the epoch; ``fetch`` blocks and raises ``FetchError``."""
        self._state = state
        self._clock = clock
        self._fetch = fetch
        self._stale_limit = stale_limit
        self._holder = uuid.uuid4().hex
        self._slots: dict[str, KeySlot] = {}

    def slot(self, spec: ProviderSpec) -> KeySlot:
        """The slot of a provider: the one it has, unless its source of keys has changed."""
        slot = self._slots.get(spec.name)
        if slot is None or slot.source != Source.of(spec):
            slot = self._slots[spec.name] = KeySlot(spec)
        return slot

    def retain(self, names: set[str]) -> None:
        """Forget the slots of all other providers."""
        self._slots = {name: slot for name, slot in self._slots.items() if name in names}

    def install(self, name: str, source: str, document: dict[str, Any], fetched_at: float) -> bool:
        """Take up a set that was fetched elsewhere; False if it is not for this source of keys.

        ``source`` is the digest of the ``Source`` it was fetched from: after a provider's issuer
        was changed, keys of the former one must not verify tokens of the new one (J9). The set is
        taken up if it is newer than the one held, and looked after soon, because what its
        provider said about its life is not known. Callable from any thread. Raises
        ``ValueError`` for a document that is no key set.
        """
        slot = self._slots.get(name)
        if slot is None or slot.source.digest != source or slot.due == _NEVER:
            return False
        self._adopt(slot, Published(document, fetched_at, MIN_LIFE))
        return True

    async def ready(self, slot: KeySlot, now: float) -> KeySet | None:
        """The set in force; None when there is none that may be used."""
        held = slot.held
        if held is not None and now < slot.due:
            return held.keys
        job = self._job(slot, None) if now >= slot.due else _running(slot)
        if held is None or now >= held.stale_at or (now >= held.expires_at and not slot.failed):
            await _patiently(job, PATIENCE)
        held = slot.held
        return held.keys if held is not None and now < held.stale_at else None

    async def search(self, slot: KeySlot, kid: str) -> bool:
        """Whether there is a key with this unknown ``kid`` after all, as far as J7 lets us ask.

        ``slot.blind`` tells a "no" from a "nobody could say".
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        for _ in range(2):  # a job that runs already may have looked before the key was there
            if _knows(slot, kid):
                return True
            if slot.due == _NEVER or (slot.missed.get(kid) or 0.0) > self._clock():
                return False
            await _patiently(self._job(slot, kid), end - loop.time())
        if _knows(slot, kid):
            return True
        slot.missed.put(kid, self._clock() + _REMEMBERED)
        return False

    def _job(self, slot: KeySlot, kid: str | None) -> asyncio.Task[None]:
        """The one renewal or search of this slot: the one that runs, or a new one."""
        job = _running(slot)
        if job is None:
            job = slot.job = asyncio.create_task(self._run(slot, kid))
        return job

    async def _run(self, slot: KeySlot, kid: str | None) -> None:
        before = slot.held

        def satisfied() -> bool:
            if kid is not None:
                return _knows(slot, kid)
            held = slot.held
            return held is not None and held is not before and self._clock() < held.renew_at

        try:
            if kid is not None:
                await asyncio.sleep(slot.searched + _PAUSE - time.monotonic())
            try:
                await self._together(slot, kid, satisfied)
            except StateUnavailable:
                logger.warning("provider %s: renewing keys without shared state", slot.spec.name)
                await self._alone(slot, kid, satisfied)
        except Exception:
            logger.exception("provider %s: the renewal of its keys broke", slot.spec.name)
        finally:
            slot.searched = time.monotonic()
            self._settle(slot)

    async def _together(
        self, slot: KeySlot, kid: str | None, satisfied: Callable[[], bool]
    ) -> None:
        """Renew or search under the lease; without it, wait for what its holder publishes."""

        async def found() -> bool:
            await self._adopt_published(slot)
            return satisfied() or (kid is not None and self._clock() < slot.ration)

        async def act() -> None:
            if await self._may_ask(slot, kid):
                await self._ask(slot, kid)

        await once_for_all(
            self._state, slot.source.lease, self._holder, found, act, LEASE, PATIENCE
        )

    async def _may_ask(self, slot: KeySlot, kid: str | None) -> bool:
        """Whether the provider may be asked now, by the rules that hold for all workers."""
        if await self._state.read(slot.source.failed) is not None:
            slot.blind = True
            return False
        if kid is None:
            return True
        first = await self._state.remember_once(slot.source.cooldown, COOLDOWN)
        slot.ration = self._clock() + (COOLDOWN if first else _RECHECK)
        return first

    async def _alone(self, slot: KeySlot, kid: str | None, satisfied: Callable[[], bool]) -> None:
        now = self._clock()
        if satisfied() or (kid is not None and now < slot.ration):
            return
        if kid is not None:
            slot.ration = now + COOLDOWN
        await self._ask(slot, kid)

    async def _ask(self, slot: KeySlot, kid: str | None) -> None:
        """Fetch, take up and publish; a failure is made known to all workers for a while."""
        source, held, began = slot.source, slot.held, self._clock()
        if held is not None:  # newer than what is held, though another machine's clock is ahead
            began = max(began, held.fetched_at + 0.001)
        try:
            fetched = await asyncio.to_thread(self._fetch, slot.spec)
        except FetchError as error:
            logger.warning("provider %s: no keys: %s", slot.spec.name, error)
            slot.blind = True
            await self._share(source.failed, b"1", RETRY)
            return
        published = Published.of(fetched.keys.document, began, fetched.max_age)
        self._adopt(slot, published, fetched.keys)
        await self._share(source.keys, published.encode(), self._stale_limit)

    async def _share(self, key: str, value: bytes, ttl: float) -> None:
        try:
            await self._state.publish(key, value, ttl)
        except StateUnavailable:
            logger.warning("a fetched key set was not shared: state is unavailable")

    async def _adopt_published(self, slot: KeySlot) -> None:
        value = await self._state.read(slot.source.keys)
        if value is None:
            return
        held = slot.held
        try:
            published = Published.decode(value, held.fetched_at if held is not None else 0.0)
            if published is not None:
                self._adopt(slot, published)
        except ValueError as error:
            logger.warning("provider %s: the shared key set is unusable: %s", slot.spec.name, error)

    def _adopt(self, slot: KeySlot, published: Published, keys: KeySet | None = None) -> None:
        keys = KeySet.parse(published.document) if keys is None else keys
        began, life = published.fetched_at, published.life
        with slot.lock:
            held = slot.held
            if held is not None and began <= held.fetched_at:
                return
            if held is not None and keys == held.keys:
                keys = held.keys  # the same object: what was verified with it stays verified
            else:
                _announce(slot.spec.name, keys)
            renew_at = began + life * _RENEW_AT
            stale_at = began + max(life, self._stale_limit)
            slot.held = Held(keys, began, renew_at, began + life, stale_at)
            slot.due, slot.failed, slot.blind = renew_at, False, False

    def _settle(self, slot: KeySlot) -> None:
        """After a job: when the slot has to be thought about next."""
        now = self._clock()
        with slot.lock:
            held = slot.held
            if held is not None and now < held.renew_at:
                return
            if held is not None and now >= held.stale_at:
                held = slot.held = None
            slot.failed = True
            slot.due = now + RETRY if held is None else min(now + RETRY, held.stale_at)


def _knows(slot: KeySlot, kid: str) -> bool:
    return slot.held is not None and slot.held.keys.knows(kid)


def _running(slot: KeySlot) -> asyncio.Task[None] | None:
    """The slot's job, if it can be waited for. A server that makes a loop for each request
    (Django's) leaves jobs of other loops behind."""
    job = slot.job
    if job is None or job.done() or job.get_loop() is not asyncio.get_running_loop():
        return None
    return job


async def _patiently(job: asyncio.Task[None] | None, seconds: float) -> None:
    """Wait for a job, bounded; it goes on when the caller gives up."""
    if job is not None and seconds > 0:
        await asyncio.wait({job}, timeout=seconds)


def _announce(name: str, keys: KeySet) -> None:
    logger.info("provider %s: %d keys admitted", name, len(keys.keys))
    for refused in keys.refused:
        logger.warning("provider %s: key %r refused: %s", name, refused.kid, refused.reason)
