"""The door's ``Exchange``: one request on one HTTP/1.1 connection and its answer.

The exchange frames the answer (RFC 9112 6): Content-Length when it is known, chunked when it
is not, and the end of the connection for HTTP/1.0. It never decides; it writes.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from apis.gateway.exchange import ClientTunnel
from apis.gateway.request_body import RequestBody
from policies.core.values import Field, Request

if TYPE_CHECKING:
    from apis.gateway.http1 import Http1Protocol

_NO_CONTENT = frozenset((204, 304))


class Http1Exchange:
    """One request and the way back on a connection."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_silent",
        "body",
        "close",
        "http11",
        "request",
        "sent",
    )

    def __init__(
        self,
        connection: "Http1Protocol",
        request: Request,
        body: RequestBody,
        keep_alive: bool,
        http11: bool,
    ) -> None:
        self._connection = connection
        self._silent = request.method == "HEAD"  # no content follows, whatever is written
        self._chunked = False
        self.http11 = http11
        self.request = request
        self.body = body
        self.sent = False  # the final head has left
        self.close = not keep_alive  # the connection ends with this answer

    def respond(self, status: int, fields: list[Field], content: bytes, length: int | None) -> None:
        if self.sent:
            self.abort()
            return
        silent = self._silent or status in _NO_CONTENT
        if silent:
            content = b""
        elif length is None:
            length = len(content)
        self._connection.transport.write(self._head(status, fields, length, content))

    def inform(self, status: int, fields: list[Field]) -> None:
        if self.http11 and not self.sent:
            self._connection.transport.write(head(status, fields))

    def start(self, status: int, fields: list[Field], length: int | None) -> None:
        if self._silent or status in _NO_CONTENT:
            self._silent = True
        elif length is None:
            self._chunked = self.http11  # HTTP/1.0 reads to the end of the connection
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
        protocol = self.request.headers.get(b"upgrade") or b""
        lines = [*fields, (b"connection", b"upgrade"), (b"upgrade", protocol)]
        self._connection.transport.write(head(101, lines))
        return self._connection.become_tunnel()

    def _head(
        self, status: int, fields: list[Field], length: int | None, content: bytes = b""
    ) -> bytes:
        """The answer's head, and content that goes with it."""
        self.sent = True
        last = self.close = self.close or self._connection.must_close(self.body)
        framing = b""
        if length is not None and status != 204:
            framing = b"content-length: %d\r\n" % length
        elif self._chunked:
            framing = b"transfer-encoding: chunked\r\n"
        if last:
            framing += b"connection: close\r\n"
        return head(status, fields, framing, content)


def head(status: int, fields: list[Field], framing: bytes = b"", content: bytes = b"") -> bytes:
    """An answer's head and what follows it; ``framing`` is lines that are ready."""
    lines = [_status_line(status)]
    lines += map(b": ".join, fields)
    lines += (framing, content)
    return b"\r\n".join(lines)


@lru_cache(maxsize=600)
def _status_line(status: int) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return f"HTTP/1.1 {status} {reason}".encode()
