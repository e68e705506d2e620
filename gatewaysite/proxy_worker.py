"""One worker of the proxy: what uvicorn loads, and what happens before and after its connections.

uvicorn's life span protocol (ASGI) tells when the worker's loop runs and when its last
connection has ended; no request ever comes this way.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402

from apis.gateway.handle import Gateway  # noqa: E402
from gatewaysite.environment import Environment  # noqa: E402
from gatewaysite.following import Follower  # noqa: E402
from gatewaysite.lifeline import end_with_parent  # noqa: E402
from gatewaysite.metrics import publish  # noqa: E402
from gatewaysite.wiring import World  # noqa: E402
from policies.ledger import QuotaLedger  # noqa: E402
from policies.stores.open import open_backend, open_state  # noqa: E402

logger = logging.getLogger(__name__)

_FLUSH = 1.0  # seconds between two looks at the access log and two writings of the counters

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application(Gateway):
    """One worker: the ``Gateway`` of its connections, and what happens around their life.

    The only ASGI scope it knows is the life span.
    """

    def __init__(self, world: World, follower: Follower) -> None:
        super().__init__(**world.gateway_arguments())
        self._world = world
        self._follower = follower

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        await self._follower.start()
        flushing = asyncio.create_task(self._flush())
        gc.collect()
        gc.freeze()  # what stands now, stays: the collector need not look at it again
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown: the last connection has ended
        flushing.cancel()
        await self._world.sessions.settle()
        await self._follower.stop()
        await self._world.upstreams.close()
        self.observer.log.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _flush(self) -> None:
        """Write log lines that wait for company, follow a rotated file, show the counters."""
        data_dir = settings.ENVIRONMENT.data_dir
        shown = True
        while True:
            await asyncio.sleep(_FLUSH)
            self.observer.log.reopen()
            try:
                publish(self.observer, data_dir)
            except OSError as error:  # a full disk stops no traffic; it is said once
                if shown:
                    logger.warning("the counters cannot be written: %s", error)
                shown = False
            else:
                shown = True


def create() -> Application:
    """What uvicorn loads in each worker of the proxy, inside the worker's event loop."""
    end_with_parent(os.getppid())
    # Ctrl-C reaches the whole group; the supervisor turns it into one SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return assemble()


def assemble() -> Application:
    """The gateway of this process; it follows the configuration from its life span on."""
    # One thread asks the database: a pool would add threads that reconnect on their own.
    connections.settings["default"]["OPTIONS"].pop("pool", None)
    environment: Environment = settings.ENVIRONMENT
    ledger = QuotaLedger(open_backend(environment.state))
    world = World(environment, open_state(environment.state), ledger=ledger)
    return Application(world, Follower(world, environment.data_dir, ledger.keep))
