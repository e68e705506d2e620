"""What a call to an upstream takes and gives: the request, the answer, and what can go wrong.

``balance.Upstream.send`` takes an ``UpstreamRequest`` and returns an ``UpstreamResponse``;
``upstream_connection`` is the HTTP/1.1 in between.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from apis.gateway.exchange import Tunnel
from apis.gateway.stream import Stream
from policies.core.values import Field

if TYPE_CHECKING:
    from apis.gateway.upstream_connection import UpstreamConnection


class UpstreamError(Exception):
    """The upstream's fault. ``code`` is the refusal; the message is for the log only."""

    code: ClassVar[str]


class UpstreamUnreachable(UpstreamError):
    """No connection could be made, or it was closed before any byte of the answer."""

    code = "upstream_unreachable"


class ConnectionStale(UpstreamUnreachable):
    """A kept connection turned out to be closed: nothing of the answer had come."""


class UpstreamInvalid(UpstreamError):
    """The answer is not HTTP/1.1, is not framed unambiguously, or ended early."""

    code = "upstream_invalid"


class UpstreamUnavailable(UpstreamError):
    """Every target rests or is unhealthy, or all connections to the target are in use."""

    code = "upstream_unavailable"


class UpstreamTimeout(UpstreamError):
    """One of the time-outs of the ``UpstreamSpec`` passed."""

    code = "upstream_timeout"


@dataclass(slots=True)
class UpstreamRequest:
    """A request as ``handle`` hands it over; framing and Host are added per target.

    ``path`` is canonical (ASCII), ``query`` goes byte for byte. ``lines`` are ready header lines,
    each ended by CRLF, without Host, Connection, Expect and framing. ``upgrade`` is the protocol
    asked for, None unless the route takes upgrades.
    """

    method: str
    path: str
    query: bytes | None
    lines: bytes
    upgrade: bytes | None = None


class UpstreamResponse:
    """An answer whose final head (or 101) has arrived.

    ``fields`` are as received, names in lower case, hop-by-hop ones included. ``length`` is the
    declared Content-Length, None when there is none. ``content`` is the whole content when it
    came along with the head: then the connection is free already and there is nothing to read.
    """

    __slots__ = ("_connection", "_stream", "content", "fields", "length", "status")

    def __init__(
        self,
        status: int,
        fields: list[Field],
        length: int | None,
        content: bytes | None = None,
    ) -> None:
        self.status = status
        self.fields = fields
        self.length = length
        self.content = content
        self._connection: UpstreamConnection | None = None
        self._stream: Stream | None = None

    def carried_by(self, connection: "UpstreamConnection", stream: Stream | None) -> None:
        """More follows on ``connection``: content through ``stream``, or a tunnel's bytes."""
        self._connection = connection
        self._stream = stream

    async def read(self) -> bytes:
        """The next content, ``b""`` at the end.

        Raises ``UpstreamInvalid`` when the content was cut off or is malformed,
        ``UpstreamTimeout`` when the upstream fell silent.
        """
        return await self._stream.read() if self._stream is not None else b""

    def abort(self) -> None:
        """Give the answer up: its connection closes. Does nothing once the answer is complete."""
        if self._connection is not None:
            self._connection.abandon(self)

    def tunnel(self, peer: Tunnel) -> Tunnel:
        """After a 101: the upstream's end. What it receives goes to ``peer``, first of all what
        came behind the head."""
        if self._connection is None:
            raise RuntimeError("only a 101 makes a tunnel")
        return self._connection.become_tunnel(peer)
