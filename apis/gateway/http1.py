"""The door: an HTTP/1.1 server connection over llhttp, run by uvicorn's server as its ``http=``.

Theory of operation.
1. A connection is one coroutine, ``_serve``: await the next request, hand it to ``handle``,
   again. Parser callbacks only fill values, and queue what is made of a head that is complete.
2. Everything the client can stretch is bounded here: header bytes and count, time of a head,
   silence and rate of a body, idle time, requests pipelined, time to take an answer. Times are
   one deadline per connection, looked at by ``Sweep``, not a timer per request.
3. Reading stops while a request waits behind the one served, or a body is buffered above its
   high-water mark: memory per connection is bounded by a few reads.
4. A request that cannot be parsed is answered with a refusal and the connection ends; after it
   nothing the client sent is interpreted again.
5. A body that was not read to its end ends the connection too, but gently: the answer first,
   then a moment of discarding, so that the client reads the answer instead of a reset.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httptools

from apis.gateway.exchange import BodyRefused, ClientGone
from apis.gateway.handle import Gateway, date_field, handle
from apis.gateway.headers import unmapped
from apis.gateway.http1_exchange import Http1Exchange, head
from apis.gateway.http1_head import Heads, Peer, malformed, too_large
from apis.gateway.limits import Limits
from apis.gateway.render import render
from apis.gateway.request_body import NO_BODY, Pace, RequestBody
from apis.gateway.stream import HIGH_WATER, LOW_WATER
from apis.gateway.sweep import NEVER, sweep_of
from apis.gateway.tunnel import ClientEnd
from policies.core.values import Deny, Field

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER = 2.0  # seconds in which what still arrives is discarded, so that the answer is read
_HALF_CLOSED = 0.5  # seconds an answer may still take after the client closed its side
_DRAIN_IDLE = 1.0  # seconds an idle connection has to send one more request when we shut down
_BODY_CHECK = 1.0  # seconds between two looks at a body's progress
_SLOW = Deny("request_timeout", "The request did not arrive in time.")
_PIPELINED = malformed("Too many requests were sent without waiting for answers.")


class _Refused(NamedTuple):
    """A message that never became a request."""

    deny: Deny
    method: bytes


class Http1Protocol(asyncio.Protocol):
    """One client connection. uvicorn makes it with these arguments."""

    def __init__(
        self, config: Any, server_state: Any, app_state: Any = None, _loop: Any = None
    ) -> None:
        self.gateway = cast(Gateway, config.loaded_app)
        self.limits: Limits = self.gateway.limits
        self.deadline = NEVER
        self._server = server_state
        self._loop = asyncio.get_running_loop()
        self._sweep = sweep_of(self._loop)
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Http1Exchange | _Refused] = deque()
        self._in_head = False  # of the message being parsed, the head is not complete
        self._target = b""
        self._fields: list[Field] = []
        self._body = NO_BODY  # of the message being parsed
        self._serving: Http1Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None  # the coroutine awaits a request
        self._room: asyncio.Future[None] | None = None  # a writer awaits the client
        self._task: asyncio.Task[None] | None = None
        self._tunnel: ClientEnd | None = None
        self._unparsed = 0  # bytes fed since the parser last produced something
        self._early: bytes | None = None  # bytes behind an upgrade request
        self._broken: Deny | None = None  # nothing further can be interpreted
        self._ended = False  # no further request is served
        self._discarding = False
        self._divert: Callable[[bytes], None] | None = None  # who takes bytes that are not parsed
        self._paused = False
        self._head_timed = False  # the head being parsed has its deadline
        self._on_deadline: Callable[[], None] = self._close

    # Connection life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= self.limits.connections:
            self.transport.abort()
            return
        self._server.connections.add(self)
        self.peer = _peer(self.transport)
        gateway = self.gateway
        self._heads = Heads(self.peer, self.limits, gateway.trusted_proxies, gateway.request_id)
        self._wait_for(self.limits.header_timeout, self._close)
        self._sweep.watch(self)
        self._task = self._loop.create_task(self._serve())
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._server.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._sweep.forget(self)
        self._ended = True
        self._body.fail(ClientGone())
        if self._room is not None and not self._room.done():
            self._room.set_exception(ClientGone())
        if self._tunnel is not None:
            self._tunnel.lost()
        elif self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        """The client closed its side: an answer under way may still be finished, quickly."""
        if self._tunnel is not None or self._discarding or not (self._serving or self._queue):
            return False
        self._ended = True
        self._body.fail(ClientGone())
        self._wait_for(_HALF_CLOSED, self.transport.abort)
        return not self.peer.secure

    def shutdown(self) -> None:
        """uvicorn drains: the next answer is the connection's last; idle ones end soon."""
        self.gateway.draining = True
        if self._serving is None and not self._queue:
            self._wait_for(_DRAIN_IDLE, self._close)

    # Bytes from the client

    def data_received(self, data: bytes) -> None:
        if self._divert is not None:
            self._divert(data)
            return
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._early = data[upgrade.args[0] :]
            self._divert = self._keep_early
            self._ended = True
            self._schedule_reading()
        except httptools.HttpParserError:
            self._break(malformed("The request is not well-formed HTTP/1.1."))
        if self._unparsed > self.limits.header_bytes:
            self._break(too_large("The request's header section is too large."))
        if (
            self._in_head
            or self._serving is not None
            or self._body is not NO_BODY
            or self._paused
            or len(self._queue) > 1
        ):
            self._after_parsing()
        if self._waiter is not None and (self._queue or self._broken is not None or self._ended):
            # A tick later: answers that have arrived by now leave before another call begins.
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        """Let the coroutine look at what has come."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _discard(self, data: bytes) -> None:
        """Nothing that still comes is interpreted."""

    def _keep_early(self, data: bytes) -> None:
        """Bytes behind an upgrade request; reading is paused, so that is one read at most."""
        self._early = (self._early or b"") + data

    def on_message_begin(self) -> None:
        self._in_head = True
        self._target = b""
        self._fields = []

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip(b" \t")))  # llhttp strips in front only

    def on_headers_complete(self) -> None:
        self._in_head = False
        size, self._unparsed = self._unparsed, 0
        if len(self._queue) > self.limits.pipelined:  # one too many: it will never be served
            self._body = RequestBody(self._schedule_reading)
            return
        parser = self._parser
        method = parser.get_method()
        version = parser.get_http_version()
        request = self._heads.request(
            method, self._target, version, self._fields, size, parser.should_upgrade()
        )
        if isinstance(request, Deny):
            self._queue.append(_Refused(request, method))
            self._body = RequestBody(self._schedule_reading)  # never read
            return
        body = NO_BODY
        if request.body_length != 0:
            body = self._body = RequestBody(self._schedule_reading, request.body_length)
            self._fields = []  # what comes into it from here on are trailers, which are dropped
        http11 = version == "1.1"
        keep_alive = http11 and parser.should_keep_alive()
        self._queue.append(Http1Exchange(self, request, body, keep_alive, http11))

    def on_body(self, chunk: bytes) -> None:
        self._unparsed = 0
        self._body.feed(chunk)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        body = self._body
        if body is not NO_BODY:
            body.end()
            self._body = NO_BODY

    def _after_parsing(self) -> None:
        while len(self._queue) > self.limits.pipelined:
            self._queue.pop()
            self._break(_PIPELINED)
        if self._serving is None and not self._head_timed and self._in_head:
            self._head_timed = True
            self._wait_for(self.limits.header_timeout, self._expire_head)
        self._schedule_reading()

    def _break(self, deny: Deny) -> None:
        """Stop interpreting. The message under way gets the refusal, or it ends the connection."""
        if self._broken is not None:
            return
        self._broken = deny
        self._divert = self._discard
        self._body.fail(BodyRefused(deny))

    # The coroutine

    async def _serve(self) -> None:
        """Serve request after request until the connection ends."""
        try:
            while True:
                while not self._queue:
                    if self._broken is not None or self._ended:
                        self._nothing_more()
                        return
                    self._waiter = self._loop.create_future()
                    await self._waiter
                exchange = self._queue.popleft()
                if isinstance(exchange, _Refused):
                    self._refuse(exchange.deny, exchange.method)
                    return
                self._begin(exchange)
                await handle(self.gateway, exchange)
                if not self._conclude(exchange):
                    return
        except asyncio.CancelledError:
            self.transport.abort()
            raise

    def _nothing_more(self) -> None:
        """Every request was served, and none will come any more."""
        if self._broken is not None:
            self._refuse(self._broken)
        else:
            self.transport.close()

    def _begin(self, exchange: Http1Exchange) -> None:
        self._serving = exchange
        self._head_timed = False
        if exchange.body is NO_BODY:
            self.deadline = NEVER
        else:
            self._expect_body(exchange)

    def _conclude(self, exchange: Http1Exchange) -> bool:
        """After an answer; True when the connection can carry another request."""
        if self._tunnel is not None:
            return False
        read = exchange.body.ended
        if exchange.close or not read:
            self._end(everything_read=read and self._broken is None)
            return False
        self._serving = None
        if not self._in_head:
            self._wait_for(self.limits.idle_timeout, self._close)
        if self._paused:
            self._schedule_reading()
        return True

    def must_close(self, body: RequestBody) -> bool:
        """Whether the answer that is about to start is the connection's last."""
        last = self._ended and not self._queue
        return last or not body.ended or self.gateway.draining

    def _refuse(self, deny: Deny, method: bytes = b"") -> None:
        """Answer a message that never became a request, and end the connection."""
        gateway = self.gateway
        request_id = gateway.request_id()
        status, fields, content = render(deny, request_id)
        fields += (
            date_field(int(gateway.clock())),
            (b"x-request-id", request_id.encode()),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
        )
        self.transport.write(head(status, fields, content=b"" if method == b"HEAD" else content))
        gateway.observer.malformed(self.peer.address, status, deny.code)
        self._end(everything_read=False)

    def _end(self, everything_read: bool) -> None:
        """Close once the answer is out; discard for a moment what was not read."""
        self._ended = True
        if everything_read or self.transport.is_closing():
            self.transport.close()
            return
        self._discarding = True
        self._divert = self._discard
        self._early = None
        self._pause(False)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait_for(_LINGER, self._close)

    # Time

    def expire(self) -> None:
        """The deadline passed (see ``sweep``)."""
        self._on_deadline()

    def _wait_for(self, seconds: float, then: Callable[[], None]) -> None:
        self.deadline = self._sweep.now + seconds
        self._on_deadline = then

    def _close(self) -> None:
        self.transport.close()

    def _expire_head(self) -> None:
        self._break(_SLOW)
        self._wake()

    def _expect_body(self, exchange: Http1Exchange) -> None:
        body = exchange.body
        if body.ended:
            self.deadline = NEVER
            return
        if exchange.http11 and not body.received and b"expect" in exchange.request.headers:
            body.ask_first(lambda: self.transport.write(_CONTINUE))
        self._pace = Pace(self.limits)
        self._wait_for(_BODY_CHECK, self._check_body)

    def _check_body(self) -> None:
        """Look at the progress of the body under way, and again in a while."""
        if self._serving is None or self._serving.body.ended:
            return
        body = self._serving.body
        if body.awaited and self._pace.too_slow(body.received, _BODY_CHECK):
            body.fail(BodyRefused(_SLOW))
        self._wait_for(_BODY_CHECK, self._check_body)

    # Flow

    async def writable(self) -> None:
        """Returns when the transport has room. Raises ``ClientGone`` when it never will."""
        if self._room is not None:
            await self._room
        if self.transport.is_closing():
            raise ClientGone

    def pause_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.blocked(True)
            return
        self._room = self._loop.create_future()
        self._wait_for(self.limits.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.blocked(False)
            return
        self.deadline = NEVER
        if self._body is not NO_BODY:
            self._wait_for(_BODY_CHECK, self._check_body)
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def become_tunnel(self) -> ClientEnd:
        """The connection carries another protocol's bytes from now on."""
        self.deadline = NEVER
        self._tunnel = ClientEnd(self.transport, self._early or b"")
        self._divert = self._tunnel.received
        return self._tunnel

    def _schedule_reading(self) -> None:
        """Read on unless a request waits behind the one served, or a body is piling up."""
        mark = LOW_WATER if self._paused else HIGH_WATER
        waiting = self._serving is not None and bool(self._queue)
        piled = self._body.buffered > mark
        self._pause(waiting or piled or self._early is not None)

    def _pause(self, pause: bool) -> None:
        if pause == self._paused or self.transport.is_closing():
            return
        self._paused = pause
        if pause:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


def _peer(transport: asyncio.Transport) -> Peer:
    address = transport.get_extra_info("peername")
    tls = transport.get_extra_info("ssl_object")
    return Peer(
        address=unmapped(address[0]) if isinstance(address, tuple) else "",
        secure=tls is not None,
        certificate=tls.getpeercert(binary_form=True) if tls is not None else None,
    )
