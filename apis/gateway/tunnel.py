"""After the upstream's 101: bytes both ways until one side ends (RFC 9110 7.8).

The policies have passed and the upstream has agreed; the gateway no longer parses anything.
Each end pauses the other when it cannot write, so memory stays bounded; idle time is bounded
by the upstream connection's ``idle_timeout``.
"""

import asyncio

from apis.gateway.exchange import Exchange, Tunnel
from apis.gateway.upstream import UpstreamResponse
from policies.core.values import Field


class ClientEnd:
    """The client's end: a paused transport until it is joined with the upstream's."""

    def __init__(self, transport: asyncio.Transport, early: bytes) -> None:
        """``early``: what the client sent behind its request, before there was a tunnel."""
        self._transport = transport
        self._early = early
        self._peer: Tunnel | None = None
        self._full = False

    def join(self, peer: Tunnel) -> None:
        self._peer = peer
        if self._early:
            peer.write(self._early)
        if self._full:
            peer.pause()
        self.resume()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        self._transport.close()

    def received(self, data: bytes) -> None:
        """Bytes of the client; the transport is paused before there is a peer."""
        if self._peer is not None:
            self._peer.write(data)

    def blocked(self, full: bool) -> None:
        """The client takes no more, or takes again."""
        self._full = full
        if self._peer is not None:
            (self._peer.pause if full else self._peer.resume)()

    def lost(self) -> None:
        if self._peer is not None:
            self._peer.close()


class _Ending:
    """One end of the tunnel that also says when it is over."""

    def __init__(self, tunnel: Tunnel, over: asyncio.Event) -> None:
        self._tunnel = tunnel
        self._over = over

    def write(self, data: bytes) -> None:
        self._tunnel.write(data)

    def pause(self) -> None:
        self._tunnel.pause()

    def resume(self) -> None:
        self._tunnel.resume()

    def close(self) -> None:
        self._tunnel.close()
        self._over.set()


async def carry_tunnel(exchange: Exchange, response: UpstreamResponse, fields: list[Field]) -> None:
    """Answer 101 and connect both ends; returns when the tunnel is closed."""
    over = asyncio.Event()
    client = exchange.upgrade(fields)
    upstream = response.tunnel(_Ending(client, over))
    client.join(_Ending(upstream, over))
    try:
        await over.wait()
    finally:
        client.close()
        upstream.close()
