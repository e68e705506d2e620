"""The connections of one worker to one target."""

import asyncio
import ssl

from apis.gateway.resolve import Resolver
from apis.gateway.upstream import UpstreamTimeout, UpstreamUnavailable, UpstreamUnreachable
from apis.gateway.upstream_connection import UpstreamConnection
from apis.routing import Target, UpstreamSpec
from policies.core.addresses import networks

MAX_CONNECTIONS = 1024
MAX_IDLE = 256


class Pool:
    """Idle connections are used last in, first out, so that a quiet time lets most of them end."""

    def __init__(self, target: Target, spec: UpstreamSpec, tls: ssl.SSLContext | None) -> None:
        """``tls`` is the context when the target is secure. Raises ``ValueError`` for a network
        of the spec that is none."""
        self._target = target
        self._spec = spec
        self._tls = tls
        self._server_name = (spec.tls.server_name or target.host) if tls is not None else None
        self._resolver = Resolver(target.host, target.port, networks(spec.private_networks))
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._opening = 0
        self._retired = False

    def take(self) -> UpstreamConnection | None:
        """An idle connection, if there is one."""
        return self._idle.pop() if self._idle else None

    async def connect(self, until: float) -> UpstreamConnection:
        """A new connection, before ``until`` on the loop's clock.

        Raises ``UpstreamUnavailable`` when too many are open, ``UpstreamTimeout`` after
        ``connect_timeout``, ``UpstreamUnreachable`` when it is refused.
        """
        if len(self._open) + self._opening >= MAX_CONNECTIONS:
            raise UpstreamUnavailable("too many connections to the target")
        self._opening += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(loop.time() + self._spec.connect_timeout, until)):
                connection = await self._open_one(loop)
        except TimeoutError:
            raise UpstreamTimeout("no connection was made in time") from None
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnreachable(f"no connection was made: {error}") from error
        finally:
            self._opening -= 1
        if connection.closed:
            raise UpstreamUnreachable("the connection was closed at once")
        self._open.add(connection)
        return connection

    async def _open_one(self, loop: asyncio.AbstractEventLoop) -> UpstreamConnection:
        target = self._target
        if target.unix is not None:
            _, made = await loop.create_unix_connection(self._make, target.unix)
            return made
        error = OSError("there is no address")
        for address in await self._resolver.addresses():
            try:
                _, made = await loop.create_connection(
                    self._make,
                    address,
                    target.port,
                    ssl=self._tls,
                    server_hostname=self._server_name,
                )
            except OSError as caught:
                error = caught
            else:
                return made
        raise error

    def _make(self) -> UpstreamConnection:
        return UpstreamConnection(self, self._spec, asyncio.get_running_loop())

    def released(self, connection: UpstreamConnection) -> None:
        if self._retired or len(self._idle) >= MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def retire(self) -> None:
        """Keep no connection any more: idle ones end now, the others after their exchange."""
        self._retired = True
        for connection in list(self._idle):
            connection.close()

    def abort(self) -> None:
        """End every connection now."""
        self.retire()
        for connection in list(self._open):
            connection.abort()
