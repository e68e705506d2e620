"""The door's ``Exchange`` and ``Body``: one request on one HTTP/1.1 connection and its answer.

The exchange frames the answer (RFC 9112 6): Content-Length when it is known, chunked when it
is not, and the end of the connection for HTTP/1.0. It never decides; it writes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from apis.gateway.exchange import ClientTunnel
from apis.gateway.limits import Limits
from policies.core.values import Field, Request

if TYPE_CHECKING:
    from apis.gateway.http1 import Http1Protocol

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024
_NO_CONTENT = frozenset((204, 304))


class RequestBody:
    """The content of one request as the parser delivers it."""

    __slots__ = (
        "_ask", "_chunks", "_error", "_flow", "_waiter", "buffered", "ended", "length", "received",
    )  # fmt: skip

    def __init__(self, flow: Callable[[], None]) -> None:
        """``flow`` is called when the amount buffered has changed by reading."""
        self._flow = flow
        self._ask: Callable[[], None] | None = None
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.length: int | None = 0
        self.buffered = 0
        self.received = 0
        self.ended = False

    def ask_first(self, ask: Callable[[], None]) -> None:
        """The client waits for 100 Continue: ``ask`` sends it, at the first read."""
        self._ask = ask

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self.received += len(chunk)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Nothing more will come; whoever reads gets the error."""
        if self._error is None and not self.ended:
            self._error = error
            self._wake()

    @property
    def awaited(self) -> bool:
        """Somebody is waiting for the client to send more."""
        return self._waiter is not None

    def complete(self) -> bytes | None:
        if not self.ended or self._error is not None:
            return None
        content = b"".join(self._chunks)
        self._taken(self.buffered)
        self._chunks.clear()
        return content

    async def read(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            if self._ask is not None:
                self._ask()
                self._ask = None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._taken(len(chunk))
        return chunk

    def _taken(self, size: int) -> None:
        self.buffered -= size
        self._flow()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Pace:
    """Whether a body comes fast enough, counting only time in which somebody waited for it."""

    __slots__ = ("_limits", "_received", "_silence", "_waited")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._received = 0
        self._silence = 0.0
        self._waited = 0.0

    def too_slow(self, received: int, seconds: float) -> bool:
        """``received`` bytes in all, after another ``seconds`` of waiting."""
        self._waited += seconds
        self._silence = self._silence + seconds if received == self._received else 0.0
        self._received = received
        if self._silence >= self._limits.body_timeout:
            return True
        lasted = self._waited > self._limits.body_timeout
        return lasted and received < self._limits.body_rate * self._waited


class Http1Exchange:
    """One request and the way back on a connection."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_http11",
        "_silent",
        "body",
        "close",
        "request",
        "sent",
    )

    def __init__(
        self, connection: "Http1Protocol", request: Request, body: RequestBody, http11: bool
    ) -> None:
        self._connection = connection
        self._http11 = http11
        self._silent = request.method == "HEAD"  # no content follows, whatever is written
        self._chunked = False
        self.request = request
        self.body = body
        self.sent = False  # the final head has left
        self.close = not http11  # the connection ends with this answer

    def respond(self, status: int, fields: list[Field], content: bytes, length: int | None) -> None:
        if self.sent:
            self.abort()
            return
        if length is None and status not in _NO_CONTENT and not self._silent:
            length = len(content)
        head = self._head(status, fields, length)
        silent = self._silent or status in _NO_CONTENT
        self._connection.transport.write(head if silent else head + content)

    def inform(self, status: int, fields: list[Field]) -> None:
        if self._http11 and not self.sent:
            lines = [status_line(status), *[b"%s: %s\r\n" % field for field in fields], b"\r\n"]
            self._connection.transport.write(b"".join(lines))

    def start(self, status: int, fields: list[Field], length: int | None) -> None:
        if self._silent or status in _NO_CONTENT:
            self._silent = True
        elif length is None:
            self._chunked = self._http11
            self.close = self.close or not self._http11
        self._connection.transport.write(self._head(status, fields, length))

    async def write(self, chunk: bytes) -> None:
        if self._silent:
            return
        transport = self._connection.transport
        if self._chunked:
            transport.writelines([b"%x\r\n" % len(chunk), chunk, b"\r\n"])
        else:
            transport.write(chunk)
        await self._connection.writable()

    def finish(self) -> None:
        if self._chunked:
            self._connection.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        self.close = True
        self._connection.transport.abort()

    def upgrade(self, fields: list[Field]) -> ClientTunnel:
        self.sent = True
        self.close = True
        lines = [status_line(101), *[b"%s: %s\r\n" % field for field in fields]]
        protocol = self.request.headers.get(b"upgrade") or b""
        lines.append(b"connection: upgrade\r\nupgrade: %s\r\n\r\n" % protocol)
        self._connection.transport.write(b"".join(lines))
        return self._connection.become_tunnel()

    def _head(self, status: int, fields: list[Field], length: int | None) -> bytes:
        self.sent = True
        if not self.close:
            self.close = self._connection.must_close(self.body)
        lines = [b": ".join(field) for field in fields]
        if length is not None and status != 204:
            lines.append(b"content-length: %d" % length)
        elif self._chunked:
            lines.append(b"transfer-encoding: chunked")
        if self.close:
            lines.append(b"connection: close")
        return status_line(status) + b"\r\n".join(lines) + b"\r\n\r\n"


@lru_cache(maxsize=600)
def status_line(status: int) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return f"HTTP/1.1 {status} {reason}\r\n".encode()
