"""Follows the configuration: a thread that looks for new generations and puts them in force.

Theory of operation. The request path never asks the database; this thread does, with one small
query every ``POLL`` seconds on a connection of its own. A generation that changed is read,
built and handed to the event loop: the table, and apart from it the clients with their
credentials, so that neither waits for the other. Rules:

1. What was read is one state of the database: the generation must be the same before and after.
2. A database that cannot be asked, or a configuration that cannot be built, leaves what is
   in force (F1, F6). An outage is logged once, when it begins and when it ends; a
   configuration is tried again only when it has changed, or after ``RETRY`` seconds.
3. When the database is down at start, the last good configuration of this machine is served,
   together with the last known revocations: never without them.
4. What the request path has to tell the database (which API keys were used) it only notes; the
   thread writes it down, every ``WRITE_USED`` seconds.
5. Revocations come first: they must not wait for a table to be built.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from django.db import DatabaseError, connection
from django.utils import timezone

from apis.config import Document
from apis.describe import NotDescribable, describe
from gatewaysite.lastgood import LastGood, LastKeys, LastRevocations
from gatewaysite.revocations import FollowedRevocations
from gatewaysite.wiring import World
from oidc_clients.issuing import write_used
from policies.core.config import Problem
from policies.key_life import opened, sealed_keys
from policies.models import Generation

logger = logging.getLogger(__name__)

POLL = 0.3
RETRY = 30.0
WRITE_USED = 15.0
_READS = 5  # attempts to read one state while it is being changed
_FAREWELL = 2.0  # seconds that the thread may take to write down what is left
_PATIENCE = 10.0  # seconds that the event loop may take to get to a step

Step = Callable[[], None]
Install = Callable[[Step], None]
Prepare = Callable[[Document, int], Step]


class ChangedWhileRead(Exception):
    """The configuration did not hold still; the next poll reads it again."""


class _Followed:
    """What one generation counts: what of it is in force, and what could not be built."""

    def __init__(self, name: str, prepare: Prepare, last_good: LastGood) -> None:
        """``prepare`` builds what a document says, beside what is in force."""
        self.in_force: int | None = None  # None: nothing, or not from the database
        self._name = name
        self._prepare = prepare
        self._last_good = last_good
        self._refused: tuple[int, float] | None = None  # generation that failed, retried when

    def follow(self, generation: int, install: Install) -> bool:
        """Put the newest state in force if it is another one; whether it was. Raises
        ``DatabaseError``."""
        if generation == self.in_force:
            return False
        if self._refused is not None:
            refused, again = self._refused
            if refused == generation and time.monotonic() < again:
                return False
        try:
            generation, document = read_document(self._name)
            install(self._prepare(document, generation))
        except DatabaseError:
            raise
        except ChangedWhileRead:
            return False
        except Exception as error:  # whatever it is: what is in force stays in force
            self._refused = (generation, time.monotonic() + RETRY)
            logger.error(
                "%s %d cannot be served, what is in force stays: %s",
                self._name,
                generation,
                error,
                exc_info=not isinstance(error, (NotDescribable, ValueError)),
            )
            return False
        self.in_force, self._refused = generation, None
        self._last_good.save(document)
        return True

    def use_last_good(self, install: Install) -> None:
        document = self._last_good.load()
        if document is None:
            logger.error("there is no last good %s to serve", self._name)
            return
        try:
            step = self._prepare(document, 0)
        except ValueError as error:
            logger.error("the last good %s cannot be served: %s", self._name, error)
            return
        install(step)
        logger.warning("serving the last good %s of this machine", self._name)


class Follower:
    """Keeps one worker's world at the newest generations."""

    def __init__(self, world: World, folder: Path, keep: Callable[[], None] = lambda: None) -> None:
        """``folder`` keeps what was last put in force. ``keep`` is what else this thread does
        with the database each time; it never raises."""
        self._world = world
        self._keep = keep
        self._table = _Followed(
            Generation.CONFIGURATION, self._prepare_table, LastGood(folder / "last-good.json")
        )
        self._credentials = _Followed(
            Generation.CREDENTIALS,
            self._prepare_credentials,
            LastGood(folder / "last-good-credentials.json"),
        )
        self._keys: int | None = None
        self._revocations = FollowedRevocations(
            world.revoke, LastRevocations(folder / "last-revocations.json")
        )
        self._signing: int | None = None
        self._last_keys = LastKeys(folder / "last-signing-keys.json")
        self._used: set[str] = set()  # API keys of which it must be written down
        self._write_used_at = 0.0
        self._down = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Returns when there was one attempt to put a table in force."""
        loop = asyncio.get_running_loop()
        attempted = loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(loop, attempted), name="configuration", daemon=True
        )
        self._thread.start()
        await attempted

    async def stop(self) -> None:
        """Ends the thread, at the latest with the query it is waiting for."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _FAREWELL)

    def _run(self, loop: asyncio.AbstractEventLoop, attempted: asyncio.Future[None]) -> None:
        async def once(step: Step) -> None:
            step()

        def install(step: Step) -> None:
            asyncio.run_coroutine_threadsafe(once(step), loop).result(_PATIENCE)

        self._keep()
        self.begin(install)
        loop.call_soon_threadsafe(attempted.set_result, None)
        while not self._stopping.wait(POLL):
            self.poll(install)
            self._keep()
        self._keep()
        connection.close()

    def begin(self, install: Install) -> None:
        """The first look; what cannot be had then is what was last put in force here."""
        self.poll(install)
        if not self._revocations.use_last_known(install):
            logger.error("what was taken back is not known: nothing is served until it is")
            return
        for followed in (self._credentials, self._table):
            if followed.in_force is None:
                followed.use_last_good(install)
        if self._signing is None:
            self._world.signer.replace(opened(self._last_keys.load() or ()))

    def poll(self, install: Install) -> None:
        """Look once. ``install`` has a step done in the event loop, and returns when it is."""
        try:
            generations = Generation.all_values()
            self._revocations.follow(generations.get(Generation.REVOCATIONS, 0), install)
            # What routes ask for comes first: none of them asks for what is still to come.
            signing = generations.get(Generation.SIGNING, 0)
            if signing != self._signing:
                own = sealed_keys()
                self._world.signer.replace(opened(own))
                self._signing = signing
                self._last_keys.save(own)
            self._credentials.follow(generations.get(Generation.CREDENTIALS, 0), install)
            if self._table.follow(generations.get(Generation.CONFIGURATION, 0), install):
                self._keys = None
            keys = generations.get(Generation.KEYS, 0)
            if keys != self._keys and self._table.in_force is not None:
                self._world.install_keys()
                self._keys = keys
            if time.monotonic() >= self._write_used_at:
                self._write_used(install)
        except DatabaseError as error:
            connection.close()
            if not self._down:
                self._down = True
                logger.error("the database cannot be asked, the table in force stays: %s", error)
            return
        except Exception:
            connection.close()
            logger.exception("following the configuration failed, the table in force stays")
            return
        if self._down:
            self._down = False
            logger.warning("the database answers again")

    def _write_used(self, install: Install) -> None:
        """Write down which API keys were used; what cannot be written now waits."""
        install(lambda: self._used.update(self._world.clients.take_used()))
        write_used(self._used, timezone.now())
        self._used.clear()
        self._write_used_at = time.monotonic() + WRITE_USED

    def _prepare_table(self, document: Document, generation: int) -> Step:
        began = time.monotonic()
        built = self._world.build(document, generation)
        seconds = time.monotonic() - began
        logger.info(
            "generation %d: %d routes, built in %.3f s",
            generation,
            len(built.table.routes),
            seconds,
        )
        _complain(generation, built.problems)
        return partial(self._world.install, built)

    def _prepare_credentials(self, document: Document, generation: int) -> Step:
        book = self._world.build_clients(document)
        _complain(generation, book.problems)
        return partial(self._world.clients.replace, book)


def read_document(name: str) -> tuple[int, Document]:
    """What the generation of that name counts of the stored configuration, and its value, read
    as one state.

    Raises ``DatabaseError``, ``NotDescribable``, and ``ChangedWhileRead``.
    """
    before = _generation(name)
    for _ in range(_READS):
        document = describe(name)
        after = _generation(name)
        if after == before:
            return after, document
        before = after
    raise ChangedWhileRead


def _generation(name: str) -> int:
    return Generation.all_values().get(name, 0)


def _complain(generation: int, problems: Iterable[Problem]) -> None:
    for problem in problems:
        logger.error("generation %d: %s", generation, problem)
