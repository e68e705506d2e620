"""A raw upstream that does what a test says, byte by byte, and the calls that meet it."""

import asyncio
import selectors
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvloop

from apis.gateway.balance import Upstream, Upstreams
from apis.gateway.upstream import UpstreamRequest, UpstreamResponse
from apis.routing import Target, UpstreamSpec
from policies.core.values import Field

LOOPBACK = ("127.0.0.0/8", "::1/128")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


class Visit:
    """One connection that the gateway made."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heads: list[bytes] = []

    async def head(self) -> bytes:
        """The next request's head. Raises ``IncompleteReadError`` when no other comes."""
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """All that comes until the gateway ends the connection, be it by a reset."""
        content = b""
        with suppress(ConnectionResetError):
            while chunk := await self.reader.read(65536):
                content += chunk
        return content

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Visit], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """A script that gives these answers in turn, the last one again and again."""

    async def script(visit: Visit) -> None:
        number = 0
        while True:
            await visit.head()
            visit.send(answers[min(number, len(answers) - 1)])
            number += 1

    return script


class Server:
    """A listener; each connection is played by the script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.visits: list[Visit] = []
        self.plays: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def heads(self) -> list[bytes]:
        """Every request's head so far."""
        return [head for visit in self.visits for head in visit.heads]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        self.plays.add(asyncio.ensure_future(self._play(visit)))

    async def _play(self, visit: Visit) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.script(visit)

    async def done(self) -> None:
        """Every script has come to its end."""
        await asyncio.gather(*self.plays)


@asynccontextmanager
async def serving(
    script: Script, unix: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(script)
    if unix is None:
        listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
    else:
        listener = await asyncio.start_unix_server(server.accept, unix)
    try:
        yield server
    finally:
        listener.close()
        for task in server.plays:
            task.cancel()
        ends = await asyncio.gather(*server.plays, return_exceptions=True)
        for visit in server.visits:
            visit.writer.transport.abort()
        for end in ends:
            if isinstance(end, Exception):
                raise end


def target(server: Server, **options: Any) -> Target:
    return Target("127.0.0.1", server.port, **options)


@asynccontextmanager
async def calling(*targets: Server | Target, **options: Any) -> AsyncIterator[Upstream]:
    """An upstream over these targets; all its connections are gone afterwards."""
    upstreams = Upstreams()
    options.setdefault("private_networks", LOOPBACK)
    listed = tuple(target(item) if isinstance(item, Server) else item for item in targets)
    try:
        yield upstreams.carrier(UpstreamSpec(listed, **options))
    finally:
        await upstreams.close()


class Upload:
    """A request body in pieces; an exception among them is raised, an event awaited."""

    def __init__(
        self, pieces: Iterable[bytes | Exception | asyncio.Event], length: int | None
    ) -> None:
        self.length = length
        self.taken = 0  # bytes
        self._pieces = iter(pieces)

    def complete(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                self.taken += len(piece)
                return piece
            await piece.wait()
        return b""


class Arrived(Upload):
    """A request body that is there already."""

    def __init__(self, content: bytes, length: int | None = -1) -> None:
        super().__init__([content], len(content) if length == -1 else length)
        self._content = content

    def complete(self) -> bytes | None:
        return self._content


def no_interim(status: int, fields: list[Field]) -> None:
    raise AssertionError(f"unexpected interim answer {status}")


async def call(
    upstream: Upstream,
    method: str = "GET",
    path: str = "/",
    query: bytes | None = None,
    lines: bytes = b"",
    upgrade: bytes | None = None,
    body: Upload | None = None,
    on_interim: Callable[[int, list[Field]], None] = no_interim,
) -> UpstreamResponse:
    request = UpstreamRequest(method, path, query, lines, upgrade)
    return await upstream.send(request, body, on_interim)


async def content_of(response: UpstreamResponse) -> bytes:
    if response.content is not None:
        return response.content
    content = b""
    while chunk := await response.read():
        content += chunk
    return content


class _JumpingSelector(selectors.DefaultSelector):
    """Where others sleep, it says how long they would have slept."""

    skipped = 0.0
    _GRACE = 0.001  # for what is on its way through the loopback interface

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= self._GRACE:
            return super().select(timeout)
        events = super().select(self._GRACE)
        if not events:
            self.skipped += timeout - self._GRACE
        return events


class SkippingLoop(asyncio.SelectorEventLoop):
    """Real sockets, but waiting is free: when nothing happens, the clock jumps to the next timer.

    Only for scenes whose every party lives on this loop.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return super().time() + self._jumping.skipped


def play(
    scene: Coroutine[Any, Any, Any],
    loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> None:
    """Run a scene; what its loop could not hand to anybody fails it."""
    errors: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        await scene

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(watched())
    assert not errors, errors
