"""The Django catch-all view: the same ``handle`` behind any ASGI server.

For development and small sites. Django reads the whole request body before a view runs (it
spools it to disk), and a request costs some twenty times as much as through ``http1``; what is
decided is the same, because the head goes through the same checks and the call through the
same chain. Upgrades cannot be carried here and are refused.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from apis.gateway.exchange import ClientGone, ClientTunnel
from apis.gateway.handle import Gateway, handle
from apis.gateway.http1_head import Heads, Peer, malformed
from apis.gateway.render import render
from apis.gateway.request_body import RequestBody
from policies.core.values import Deny, Field, Request

_CHUNK = 64 * 1024
# Visible characters, space, tab and obs-text.
_VALUE_BYTES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_AHEAD = 4  # chunks of an answer that may wait for the client

View = Callable[..., Any]


def catch_all(gateway: Callable[[], Gateway]) -> View:
    """The view that carries every request through the gateway given by ``gateway()``."""

    async def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return await _serve(gateway(), cast(ASGIRequest, request))

    view.csrf_exempt = True  # type: ignore[attr-defined]  # no cookie of ours is believed here
    return view


async def _serve(gateway: Gateway, incoming: ASGIRequest) -> HttpResponseBase:
    peer = Peer(incoming.scope["client"][0], incoming.scope["scheme"] == "https", None)
    request = _request(gateway, incoming, peer)
    if isinstance(request, Deny):
        status, fields, content = render(request, gateway.request_id())
        gateway.observer.malformed(peer.address, status, request.code)
        return _with_fields(HttpResponse(content, status=status), fields)
    exchange = _ViewExchange(request, _SpooledBody(incoming, request.body_length))
    exchange.begin(asyncio.create_task(handle(gateway, exchange)))
    return await exchange.answer


def _request(gateway: Gateway, incoming: ASGIRequest, peer: Peer) -> Request | Deny:
    """The request as the door would have made it, from the raw target."""
    scope = incoming.scope
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    fields = [(name.lower(), value) for name, value in scope["headers"]]
    # What the door's parser refuses, and another server's may let pass (RFC 9110 5.5).
    if b"".join([value for _, value in fields]).translate(None, _VALUE_BYTES):
        return malformed("A header value holds control characters.")
    size = sum(len(name) + len(value) for name, value in fields) + len(target)
    heads = Heads(peer, gateway.limits, gateway.trusted_proxies, gateway.request_id)
    method = scope["method"].encode("ascii")
    return heads.request(method, target, scope["http_version"], fields, size)


class _SpooledBody(RequestBody):
    """A body that Django has read already."""

    def __init__(self, incoming: ASGIRequest, length: int | None) -> None:
        super().__init__(lambda: None, length)
        self._incoming = incoming

    def complete(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        return self._incoming.read(_CHUNK)


class _ViewExchange:
    """Hands the answer to Django: whole, or as a stream that the client's pace drives."""

    def __init__(self, request: Request, body: RequestBody) -> None:
        self.request = request
        self.body = body
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[HttpResponseBase] = loop.create_future()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)
        self._aborted = False

    def begin(self, task: "asyncio.Task[None]") -> None:
        """``task`` is the ``handle`` that fills this exchange."""
        self._task = task
        task.add_done_callback(self._ended)

    def respond(self, status: int, fields: list[Field], content: bytes, length: int | None) -> None:
        self._give(HttpResponse(content, status=status), fields, length)

    def inform(self, status: int, fields: list[Field]) -> None:
        """ASGI has no interim answers: the final one says everything that must be known."""

    def start(self, status: int, fields: list[Field], length: int | None) -> None:
        self._give(StreamingHttpResponse(self._stream(), status=status), fields, length)

    async def write(self, chunk: bytes) -> None:
        await self._room.acquire()
        self._chunks.put_nowait(chunk)

    def finish(self) -> None:
        """The stream ends when ``handle`` does."""

    def abort(self) -> None:
        self._aborted = True

    def upgrade(self, fields: list[Field]) -> ClientTunnel:
        raise RuntimeError("an ASGI server carries no upgrade; none is ever asked for here")

    def _give(self, response: HttpResponseBase, fields: list[Field], length: int | None) -> None:
        if not self.answer.done():
            if length is not None and response.status_code not in (204, 304):
                fields = [*fields, (b"content-length", b"%d" % length)]
            self.answer.set_result(_with_fields(response, fields))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not self.answer.done():
            self.answer.set_exception(ClientGone())
        self._chunks.put_nowait(None)

    async def _stream(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self._chunks.get()) is not None:
                self._room.release()
                yield chunk
            if self._aborted:
                raise ClientGone  # the server breaks the connection: the client can see it
        finally:
            self._task.cancel()


def _with_fields(response: HttpResponseBase, fields: list[Field]) -> HttpResponseBase:
    """The response with these lines alone; a repeated name becomes a list (RFC 9110 5.3)."""
    del response["Content-Type"]
    for name, value in fields:
        text = value.decode("latin-1")
        if name == b"set-cookie":
            response.cookies.load(text)
            continue
        key = name.decode("ascii")
        response[key] = f"{response[key]}, {text}" if key in response else text
    return response
