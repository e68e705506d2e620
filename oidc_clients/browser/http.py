"""What the sign-in pages say and hear over HTTP: cookies, the origin, pages under a strict policy.

``/auth`` is reached through the proxy alone, which says in ``X-Forwarded-*`` how it was called
(``gatewaysite.private``). The address that people use is ``GATEHOUSE_PUBLIC_URL`` where it is
set, and the one that the browser called otherwise.
"""

import secrets
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from oidc_clients.browser.store import Found, SessionStore, key_of
from oidc_clients.views import Refused, count
from policies.core.browser import (
    LOOPBACK_COOKIE,
    LOOPBACK_SIGN_IN_COOKIE,
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
    cookie_values,
    is_loopback,
    is_same_origin,
    session_cookies,
)
from policies.core.values import Deny, Headers

_HTTPS = Deny("https_required", "Sign in over HTTPS: a session's cookie needs it.")
_ORIGIN = Deny("session_invalid", "This must be asked for by a page of this origin.")


class Visit:
    """One request to ``/auth``, and the cookies that its answer sets."""

    def __init__(self, request: HttpRequest) -> None:
        public = settings.ENVIRONMENT.public_url.rstrip("/")
        self.base = public or f"{request.scheme}://{request.get_host()}"
        address = urlsplit(self.base)
        self.secure = address.scheme == "https"
        self._host = address.hostname or ""
        lines: list[tuple[bytes, bytes]] = request.scope["headers"]  # type: ignore[attr-defined]
        received = [(name, value) for name, value in lines if name != b"host"]  # the proxy's own
        self.headers = Headers([*received, (b"host", address.netloc.encode())])

    @classmethod
    def of(cls, request: HttpRequest, method: str) -> Self:
        """The visit, once it was counted against its address. Raises ``Refused``, and
        ``StateUnavailable`` uncounted."""
        require_method(request, method)
        count(request, "address", "ip")
        return cls(request)

    def require_cookies(self) -> None:
        """Raises ``Refused`` where a session's cookie could be read by others on its way."""
        if not self.secure and not is_loopback(self._host):
            raise Refused(_HTTPS)

    def require_same_origin(self) -> None:
        """Raises ``Refused`` unless a page of this origin, or the person, asks."""
        if not is_same_origin(self.headers, self.secure):
            raise Refused(_ORIGIN)

    def session_id(self) -> bytes | None:
        """The session that the browser names. Two name none."""
        found = session_cookies(self.headers, self._host, self.secure)
        return found[0] if len(found) == 1 else None

    async def session(self, store: SessionStore) -> Found | None:
        """The session that the browser has, if it is not over."""
        session_id = self.session_id()
        return await store.read(key_of(session_id)) if session_id is not None else None

    @property
    def binding(self) -> str:
        """What ties sign-ins to this browser; empty when it has nothing yet."""
        name = SIGN_IN_COOKIE if self.secure else LOOPBACK_SIGN_IN_COOKIE
        found = cookie_values(self.headers, name.encode())
        return found[0].decode("latin-1") if len(found) == 1 else ""

    def bind(self, response: HttpResponse, binding: str, seconds: int) -> None:
        name = SIGN_IN_COOKIE if self.secure else LOOPBACK_SIGN_IN_COOKIE
        self._set(response, name, binding, seconds)

    def signed_in(self, response: HttpResponse, session_id: str) -> None:
        """Give the browser its session, until the browser is closed."""
        self._set(response, SESSION_COOKIE if self.secure else LOOPBACK_COOKIE, session_id, None)

    def signed_out(self, response: HttpResponse) -> None:
        self._set(response, SESSION_COOKIE if self.secure else LOOPBACK_COOKIE, "", 0)

    def _set(self, response: HttpResponse, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self.secure, httponly=True,
            samesite="Lax",
        )  # fmt: skip


def require_method(request: HttpRequest, method: str) -> None:
    """Raises ``Refused`` for any other method."""
    if request.method != method:
        allow = ((b"allow", method.encode()),)
        raise Refused(Deny("method_not_allowed", f"Ask by {method}.", allow))


def redirect(url: str, status: int = 302) -> HttpResponse:
    """A redirect that nobody keeps, and that tells nobody where it came from.

    ``url`` is one that was checked, or made here.
    """
    response = HttpResponse(status=status)
    response["Location"] = url
    return private(response)


def private(response: HttpResponse) -> HttpResponse:
    """An answer for this browser, now, alone."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def page(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200, to: str = ""
) -> HttpResponse:
    """A page without scripts. ``to`` is where its forms may lead besides this origin."""
    nonce = secrets.token_urlsafe(16)
    response = render(request, template, {**context, "nonce": nonce}, status=status)
    parts = urlsplit(to)
    forms = f"'self' {parts.scheme}://{parts.netloc}" if to else "'self'"
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action {forms}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return private(response)
