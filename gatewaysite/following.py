"""Follows the configuration: a thread that looks for new generations and puts them in force.

Theory of operation. The request path never asks the database; this thread does, with one small
query every ``POLL`` seconds on a connection of its own. A generation that changed is read,
built and handed to the event loop. Rules:

1. What was read is one state of the database: the generation must be the same before and after.
2. A database that cannot be asked, or a configuration that cannot be built, leaves the table
   in force (F1, F6). An outage is logged once, when it begins and when it ends; a
   configuration is tried again only when it has changed, or after ``RETRY`` seconds.
3. When the database is down at start, the last good configuration of this machine is served.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import DatabaseError, connection

from apis.config import Document
from apis.describe import NotDescribable, describe
from gatewaysite.lastgood import LastGood
from gatewaysite.wiring import Built, World
from policies.models import Generation

logger = logging.getLogger(__name__)

POLL = 0.3
RETRY = 30.0
_READS = 5  # attempts to read one state while it is being changed
_FAREWELL = 2.0  # seconds that the thread may take to write down what is left
_PATIENCE = 10.0  # seconds that the event loop may take to get to a step

Step = Callable[[], None]
Install = Callable[[Step], None]


class ChangedWhileRead(Exception):
    """The configuration did not hold still; the next poll reads it again."""


class Follower:
    """Keeps one worker's world at the newest generation."""

    def __init__(
        self, world: World, last_good: LastGood, keep: Callable[[], None] = lambda: None
    ) -> None:
        """``keep`` is what else this thread does with the database each time; it never raises."""
        self._world = world
        self._last_good = last_good
        self._keep = keep
        self._in_force: int | None = None  # generation of the table, None: not from the database
        self._refused: tuple[int, float] | None = None  # generation that failed, retried when
        self._keys: int | None = None
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
        self.poll(install)
        if self._in_force is None:
            self.use_last_good(install)
        loop.call_soon_threadsafe(attempted.set_result, None)
        while not self._stopping.wait(POLL):
            self.poll(install)
            self._keep()
        self._keep()
        connection.close()

    def poll(self, install: Install) -> None:
        """Look once. ``install`` has a step done in the event loop, and returns when it is."""
        try:
            generations = Generation.all_values()
            self._follow_configuration(generations.get(Generation.CONFIGURATION, 0), install)
            keys = generations.get(Generation.KEYS, 0)
            if keys != self._keys and self._in_force is not None:
                self._world.install_keys()
                self._keys = keys
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

    def _follow_configuration(self, generation: int, install: Install) -> None:
        if generation == self._in_force:
            return
        if self._refused is not None:
            refused, again = self._refused
            if refused == generation and time.monotonic() < again:
                return
        began = time.monotonic()
        try:
            generation, document = read_document()
            built = self._world.build(document, generation)
            install(partial(self._world.install, built))
        except DatabaseError:
            raise
        except ChangedWhileRead:
            return
        except Exception as error:  # whatever it is: what is in force stays in force
            self._refused = (generation, time.monotonic() + RETRY)
            logger.error(
                "generation %d cannot be served, the table in force stays: %s",
                generation,
                error,
                exc_info=not isinstance(error, (NotDescribable, ValueError)),
            )
            return
        self._in_force, self._refused, self._keys = generation, None, None
        _announce(built, time.monotonic() - began)
        self._last_good.save(document)

    def use_last_good(self, install: Install) -> None:
        document = self._last_good.load()
        if document is None:
            logger.error("there is no configuration to serve")
            return
        try:
            built = self._world.build(document, 0)
        except ValueError as error:
            logger.error("the last good configuration cannot be served: %s", error)
            return
        install(partial(self._world.install, built))
        logger.warning("serving the last good configuration of this machine")
        _announce(built, 0.0)


def read_document() -> tuple[int, Document]:
    """The stored configuration and its generation, read as one state.

    Raises ``DatabaseError``, ``NotDescribable``, and ``ChangedWhileRead``.
    """
    before = _generation()
    for _ in range(_READS):
        document = describe()
        after = _generation()
        if after == before:
            return after, document
        before = after
    raise ChangedWhileRead


def _generation() -> int:
    return Generation.all_values().get(Generation.CONFIGURATION, 0)


def _announce(built: Built, seconds: float) -> None:
    table = built.table
    logger.info(
        "generation %d: %d routes, built in %.3f s", table.generation, len(table.routes), seconds
    )
    for problem in built.problems:
        logger.error("generation %d: %s", table.generation, problem)
