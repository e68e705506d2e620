"""Refusals of Django views as problem details, by the one renderer that the data plane has.

A view refuses by raising ``oidc_clients.views.Refused``. A store or a database that cannot
answer becomes 503 here: a dependency's failure is never a verdict on the caller.
"""

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from apis.gateway.render import render
from oidc_clients.views import Refused
from policies.core.errors import StateUnavailable
from policies.core.values import Deny

logger = logging.getLogger(__name__)

_NOT_FOUND = Deny("route_not_found", "No route matches the request.")
_MALFORMED = Deny("request_malformed", "The request cannot be read.")
_FAILED = Deny("misconfigured", "The gateway failed; the operator finds the reason by request_id.")
_NO_STATE = Deny("state_unavailable", "Shared state cannot be reached; try again.")
_NO_DATABASE = Deny("state_unavailable", "The configuration cannot be read; try again.")


def refusal(deny: Deny, request: HttpRequest) -> HttpResponse:
    """The answer to a refused request. The id is the proxy's: it drops what clients send."""
    status, fields, content = render(deny, request.headers.get("X-Request-Id", ""))
    headers = {name.decode(): value.decode() for name, value in fields}
    return HttpResponse(content, status=status, headers=headers)


class RefusalMiddleware(MiddlewareMixin):
    """Turns what views raise to refuse, or because a dependency is down, into answers."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Refused):
            return refusal(error.deny, request)
        if not isinstance(error, StateUnavailable | OperationalError | InterfaceError):
            return None
        logger.error(
            "request %s: %s cannot answer: %s",
            request.headers.get("X-Request-Id", ""),
            "the state store" if isinstance(error, StateUnavailable) else "the database",
            error,
        )
        no_state = isinstance(error, StateUnavailable)
        return refusal(_NO_STATE if no_state else _NO_DATABASE, request)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(_NOT_FOUND, request)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(_MALFORMED, request)


def failed(request: HttpRequest) -> HttpResponse:
    """An exception nobody foresaw; Django has logged it, and this line tells whose it was."""
    logger.error("request %s failed", request.headers.get("X-Request-Id", ""))
    return refusal(_FAILED, request)
