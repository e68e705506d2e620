"""One HTTP/1.1 connection to a target: who waits for what, for how long, and what is sent.

Theory of operation.
1. It carries one exchange at a time; ``AnswerReader`` says what the bytes of the answer mean.
   ``_receive`` is what the next bytes are: unasked for (idle: any byte ends the connection), of
   an answer, of a tunnel, or nothing any more.
2. It is used again only when request and answer are both complete, nothing followed, and both
   sides keep it alive. Early answers, time-outs and aborts end it (P10).
3. A body is sent by a task of its own while the head is awaited. The bytes that would make the
   request complete leave only after the body's end was read: whatever ends an upload, the
   upstream never sees a complete message of it (P3). An early answer ends the upload.
4. There is one deadline, set anew for what is awaited and looked at by ``Sweep``. Time in which
   the client is awaited is never counted against the upstream.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from apis.gateway.exchange import Body, ClientGone, Tunnel
from apis.gateway.stream import HIGH_WATER, LOW_WATER, Stream
from apis.gateway.sweep import NEVER, sweep_of
from apis.gateway.upstream import (
    ConnectionStale,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from apis.gateway.upstream_answer import AnswerReader, Interim
from apis.routing import UpstreamSpec

KEPT_FOR = 60.0  # seconds an unused connection is kept


class Home(Protocol):
    """Where a connection belongs: the pool of its target."""

    def released(self, connection: "UpstreamConnection") -> None:
        """It can carry another exchange."""
        ...

    def lost(self, connection: "UpstreamConnection") -> None:
        """It carries nothing any more."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """One connection to a target. After a 101 it is the upstream's ``Tunnel``."""

    transport: asyncio.Transport

    def __init__(self, home: Home, spec: UpstreamSpec, loop: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self._spec = spec
        self._loop = loop
        self._sweep = sweep_of(loop)
        self._reader = AnswerReader(self._flow)
        self._receive: Callable[[bytes], None] = self._refuse
        self._reused = False  # it has carried an exchange before
        self._paused = False  # the socket is not read
        self._blocked: asyncio.Future[None] | None = None  # while the upstream takes nothing
        self._peer: Tunnel | None = None
        self.closed = False
        self.deadline = NEVER
        # The exchange under way.
        self._waiter: asyncio.Future[UpstreamResponse] | None = None  # until the final head
        self._response: UpstreamResponse | None = None  # while more than its head is on the way
        self._stream: Stream | None = None  # of that response
        self._upload: asyncio.Task[None] | None = None
        self._sent = False  # the request is complete
        self._until = NEVER  # when the final head must be there
        self._silence = 0.0  # how long the upstream may say nothing

    # Life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._sweep.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sweep.forget(self)
        self._leave(self._loss())

    def eof_received(self) -> None:
        """The upstream closed its side; the transport closes when this returns."""
        if self.closed:
            return
        if self._stream is None:
            self._fail(self._loss())
            return
        try:
            self._reader.eof()
        except UpstreamInvalid as error:
            self._fail(error)
        else:
            self._finish()

    def close(self) -> None:
        """End the connection after what was written, in bounded time."""
        self._leave(UpstreamUnreachable("the connection was closed"))
        self.deadline = self._loop.time() + self._spec.write_timeout
        self.transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever it carries."""
        self._fail(UpstreamUnreachable("the gateway ends its connections"))

    def abandon(self, response: UpstreamResponse) -> None:
        """``response`` is not wanted any more; nothing happens if it is not under way."""
        if self._response is response:
            self._fail(UpstreamInvalid("the answer was given up"))

    def expire(self) -> None:
        fault = "took nothing" if self._blocked is not None else "sent nothing"
        self._fail(UpstreamTimeout(f"the upstream {fault} in time"))

    def _loss(self) -> UpstreamError:
        """What it means that the connection ends now."""
        if self._waiter is None or self._reader.begun:
            return UpstreamInvalid("the answer was cut off")
        kind = ConnectionStale if self._reused else UpstreamUnreachable
        return kind("the connection was closed before an answer")

    def _fail(self, error: Exception) -> None:
        """End the connection at once."""
        self._leave(error)
        self.transport.abort()

    def _leave(self, error: Exception) -> None:
        """Nothing is carried any more; whoever waits for something learns why."""
        self.deadline = NEVER
        if self.closed:
            return
        self.closed = True
        self._receive = self._ignore
        self._stop_upload()
        waiter, stream, peer = self._waiter, self._stream, self._peer
        self._waiter = self._stream = self._peer = self._response = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        if stream is not None:
            stream.fail(error)
        if peer is not None:
            peer.close()
        self._home.lost(self)

    # Sending

    def send(
        self,
        request: UpstreamRequest,
        data: bytes,
        body: Body | None,
        now: float,
        until: float,
        on_interim: Interim,
    ) -> "asyncio.Future[UpstreamResponse]":
        """Send a request; the result is its final head, before ``until`` on the loop's clock.

        ``now`` is what that clock shows. ``data`` is the request's head, with the whole body
        behind it unless ``body`` is given, which is then sent as it comes. The result fails with
        an ``UpstreamError``, or with what ``body.read`` raises; who does not wait for it any more
        calls ``given_up``.
        """
        self._reader.expect(request.method, request.upgrade, on_interim)
        self._receive = self._take
        self._until = until
        self._silence = silence = self._spec.read_timeout
        self._waiter = waiter = self._loop.create_future()
        self.transport.write(data)
        if body is None and self._blocked is None:
            self._sent = True
            ends = now + silence
            self.deadline = ends if ends < until else until  # what _rearm would find
            return waiter
        self._sent = body is None
        if body is not None:
            self._upload = self._loop.create_task(self._send_body(body))
            self._upload.add_done_callback(self._uploaded)
        self._rearm()
        return waiter

    def given_up(self, waiter: "asyncio.Future[UpstreamResponse]") -> None:
        """Nobody waits for what ``send`` gave; does nothing when that has failed by itself."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            waiter.result().abort()  # the head came at the moment of the cancellation
        else:
            self._fail(UpstreamInvalid("the request was given up"))

    async def _send_body(self, body: Body) -> None:
        """Raises what ``body.read`` raises, ``ClientGone`` for another length than declared."""
        left = body.length
        while chunk := await self._next(body):
            if left is None:
                self.transport.writelines((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
            else:
                left -= len(chunk)
                if left < 0 or (left == 0 and await self._next(body)):
                    raise ClientGone
                self.transport.write(chunk)
                if left == 0:
                    break
            if self._blocked is not None:
                await self._blocked
        if left:
            raise ClientGone
        if left is None:
            self.transport.write(b"0\r\n\r\n")
        self._sent = True
        self._rearm()

    async def _next(self, body: Body) -> bytes:
        """The body's next bytes; the time they take is the client's."""
        began = self._loop.time()
        chunk = await body.read()
        self._until += self._loop.time() - began
        return chunk

    def _uploaded(self, upload: asyncio.Task[None]) -> None:
        if not upload.cancelled() and (error := upload.exception()) is not None:
            self._fail(cast(Exception, error))

    def _stop_upload(self) -> None:
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None

    def pause_writing(self) -> None:
        self._blocked = self._loop.create_future()
        if self._peer is not None:
            self._peer.pause()
        self._rearm()

    def resume_writing(self) -> None:
        blocked, self._blocked = self._blocked, None
        if blocked is not None and not blocked.done():
            blocked.set_result(None)
        if self._peer is not None:
            self._peer.resume()
        self._rearm()

    # Receiving

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def _refuse(self, data: bytes) -> None:
        self._fail(UpstreamInvalid("bytes came that nobody asked for"))

    def _ignore(self, data: bytes) -> None:
        """What still comes in on a connection that has ended."""

    def _take(self, data: bytes) -> None:
        """Bytes of an answer."""
        reader = self._reader
        try:
            reader.feed(data)
        except UpstreamInvalid as error:
            self._fail(error)
            return
        waiter = self._waiter
        if waiter is None or not reader.status:
            self._go_on()
        elif waiter.cancelled():
            self._fail(UpstreamInvalid("nobody waits for the answer"))
        else:
            self._waiter = None
            self._until = NEVER
            waiter.set_result(self._answered(reader))

    def _answered(self, reader: AnswerReader) -> UpstreamResponse:
        """The final head is there, perhaps with its whole content."""
        if not self._sent:
            self._stop_upload()
        if reader.ended and reader.status != 101:
            response = UpstreamResponse(reader.status, reader.fields, reader.length, reader.whole())
            self._finish()
            return response
        response = UpstreamResponse(reader.status, reader.fields, reader.length)
        self._response = response
        if reader.status == 101:
            response.carried_by(self, None)
            self._receive = self._relay
            self._read(False)
            return response
        self._stream = reader.stream
        response.carried_by(self, reader.stream)
        if reader.endless:
            self._silence = self._spec.idle_timeout
        self._go_on()
        return response

    def _go_on(self) -> None:
        """The answer is under way, or complete."""
        if self._reader.ended:
            self._finish()
        else:
            self._flow()
            self._rearm()

    def _finish(self) -> None:
        """The answer is complete: keep the connection if nothing speaks against it."""
        self._stream = self._response = None
        unsent = not self._sent or self.transport.get_write_buffer_size()
        if unsent or not self._reader.reusable:
            self._fail(UpstreamUnreachable("the connection is not used again"))
            return
        self._reused = True
        self._receive = self._refuse
        self.deadline = self._sweep.now + KEPT_FOR
        if self._paused:
            self._read(True)
        self._home.released(self)

    def _flow(self) -> None:
        """Read from the socket only while the content under way has room."""
        if self._stream is None:
            return
        if not self._paused and self._stream.buffered > HIGH_WATER:
            self._read(False)
        elif self._paused and self._stream.buffered <= LOW_WATER:
            self._read(True)
            self._rearm()

    def _read(self, on: bool) -> None:
        if self._paused is on and not self.transport.is_closing():
            self._paused = not on
            (self.transport.resume_reading if on else self.transport.pause_reading)()

    def _rearm(self) -> None:
        """Set the deadline for what is awaited now."""
        if self.closed:
            return
        wait = self._silence
        if self._peer is None:
            if self._blocked is not None:
                wait = self._spec.write_timeout
            elif self._paused or (self._waiter is not None and not self._sent):
                self.deadline = NEVER  # the client is awaited: it takes nothing, or sends nothing
                return
        self.deadline = min(self._loop.time() + wait, self._until)

    # The tunnel

    def become_tunnel(self, peer: Tunnel) -> Tunnel:
        """``peer`` gets what came behind the 101, and from now on what the upstream sends."""
        if self._reader.rest:
            peer.write(self._reader.rest)
        if self.closed:
            peer.close()
            return self
        self._peer = peer
        self._silence = self._spec.idle_timeout
        self._read(True)
        self._rearm()
        return self

    def _relay(self, data: bytes) -> None:
        if self._peer is None:
            self._reader.rest += data
        else:
            self._peer.write(data)
            self._rearm()

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.transport.write(data)
            self._rearm()

    def pause(self) -> None:
        self._read(False)

    def resume(self) -> None:
        self._read(True)
