"""The private listener's application: ``/auth`` for the proxy, and nothing else.

Whom it believes. Only the proxy reaches this listener (a Unix socket of mode 0600, or an
address that the operator keeps to the proxies). The proxy drops what clients say about
themselves and writes ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``X-Request-Id`` anew, so
they are taken from it here and nowhere else.

What can be reached. Every request gets the URLconf ``gatewaysite.auth_urls``; paths outside
``/auth/`` end before Django, so that neither the console nor its static files are served.

Bounds. A body is at most ``MAX_BODY`` bytes, counted before Django would spool it to disk.
Of the requests that have arrived whole at most ``MAX_IN_FLIGHT`` are served at a time, because
each holds a thread; slow ones hold none.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest

from apis.gateway.render import render
from oidc_clients.token_request import MAX_BODY
from policies.core.values import Deny

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_IN_FLIGHT = 100

URLCONF = "gatewaysite.auth_urls"
_NOT_FOUND = Deny("route_not_found", "No route matches the request.")
_NOT_THE_PROXY = Deny("request_malformed", "Only the proxy may call this listener.")
_BODY_TOO_LARGE = Deny("body_too_large", f"The body is larger than {MAX_BODY} bytes.")
_BUSY = Deny("too_many_concurrent", "The token relay is busy.")


class PrivateRequest(ASGIRequest):
    """A request that the proxy passed on."""

    urlconf = URLCONF

    def get_host(self) -> str:
        """The host the client named. The proxy has matched it; ALLOWED_HOSTS is the console's."""
        return str(self.META.get("HTTP_X_FORWARDED_HOST", ""))


class PrivateHandler(ASGIHandler):
    """Django, for the private listener."""

    request_class = PrivateRequest


class PrivateApplication:
    """What stands between the private listener and Django."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("this listener speaks plain HTTP alone")
        lines = _Lines(scope)
        if not scope["path"].startswith("/auth/"):
            await _refuse(_NOT_FOUND, lines.request_id, send)
            return
        client = lines.client()
        if client is None:
            await _refuse(_NOT_THE_PROXY, lines.request_id, send)
            return
        try:
            body = await _read(receive)
        except _TooLarge:
            await _refuse(_BODY_TOO_LARGE, lines.request_id, send)
            return
        except _Gone:
            return  # half a request is none
        if self._in_flight >= MAX_IN_FLIGHT:
            await _refuse(_BUSY, lines.request_id, send)
            return
        scope["client"] = (client, 0)
        scope["scheme"] = lines.scheme()
        self._in_flight += 1
        try:
            await self._django(scope, _Replayed(body, receive), send)
        finally:
            self._in_flight -= 1


class _Lines:
    """What the proxy says about a request. A line given twice is not the proxy's."""

    def __init__(self, scope: Scope) -> None:
        self._lines: dict[bytes, str | None] = {}
        for name, value in scope["headers"]:
            self._lines[name] = None if name in self._lines else value.decode("latin-1")

    @property
    def request_id(self) -> str:
        return self._lines.get(b"x-request-id") or ""

    def scheme(self) -> str:
        return "https" if self._lines.get(b"x-forwarded-proto") == "https" else "http"

    def client(self) -> str | None:
        """The client's address: the left-most, for the proxy lists itself no client's claims,
        and behind the client only the trusted proxies it came through."""
        value = self._lines.get(b"x-forwarded-for") or ""
        try:
            address = ipaddress.ip_address(value.partition(",")[0].strip().partition("%")[0])
        except ValueError:
            return None
        mapped = getattr(address, "ipv4_mapped", None)
        return str(mapped or address)


class _Replayed:
    """``receive`` for Django: the body that was read, then whatever else comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Mapping[str, Any]:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


class _TooLarge(Exception):
    """The body is larger than ``MAX_BODY``."""


class _Gone(Exception):
    """The proxy left before the body was complete."""


async def _read(receive: Receive) -> bytes:
    """The whole body. Raises ``_TooLarge`` or ``_Gone``."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        body += message["body"]
        if len(body) > MAX_BODY:
            raise _TooLarge
        if not message["more_body"]:
            return bytes(body)


async def _refuse(deny: Deny, request_id: str, send: Send) -> None:
    """Refuse before Django. What is left of the body is read by uvicorn, and dropped."""
    status, fields, content = render(deny, request_id)
    fields.append((b"content-length", str(len(content)).encode()))
    await send(
        {"type": "http.response.start", "status": status, "headers": fields, "trailers": False}
    )
    await send({"type": "http.response.body", "body": content, "more_body": False})
