"""The relay's endpoints: HTTP around it, and its limits.

Two limits stand before the provider, both at ``GATEHOUSE_RELAY_RATE``: one for the client's
address, counted before anything else is done, and one for each account that the request
names (the user name, the client id). When they cannot be counted, nothing is relayed.
"""

import logging
import unicodedata
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import salted_hmac
from django.views.decorators.csrf import csrf_exempt
from django_ratelimit.core import get_usage

from oidc_clients.client_auth import ClientUnusable
from oidc_clients.endpoints import MetadataCache
from oidc_clients.models import Provider
from oidc_clients.oauth import Answer, NotOffered, ProviderUnavailable
from oidc_clients.relay import Relay
from oidc_clients.token_request import (
    EndpointRequest,
    OAuthError,
    Received,
    read_token_question,
    read_token_request,
)
from policies.core.errors import StateUnavailable
from policies.core.values import Deny

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which asking an unavailable provider again makes sense."""

_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_relay = Relay(MetadataCache())
Read = Callable[[Received], EndpointRequest]
Send = Callable[[Provider, EndpointRequest, tuple[str, ...]], Answer]


class Refused(Exception):
    """A view refuses; the composition root turns the ``Deny`` into bytes."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(deny.code)
        self.deny = deny


# CSRF is about cookies; no cookie is read here, every request brings its own credentials.
@csrf_exempt
def token(request: HttpRequest, name: str) -> HttpResponse:
    """``POST /auth/{provider}/token`` (RFC 6749 3.2)."""
    return _relayed(request, _provider(request, name), read_token_request, _relay.token)


@csrf_exempt
def revoke(request: HttpRequest, name: str) -> HttpResponse:
    """``POST /auth/{provider}/revoke`` (RFC 7009 2.1)."""
    return _relayed(request, _open_provider(request, name), read_token_question, _relay.revoke)


@csrf_exempt
def introspect(request: HttpRequest, name: str) -> HttpResponse:
    """``POST /auth/{provider}/introspect`` (RFC 7662 2.1)."""
    return _relayed(request, _open_provider(request, name), read_token_question, _relay.introspect)


def _provider(request: HttpRequest, name: str) -> Provider:
    """The provider of that name, once the request was counted. Raises ``Refused``."""
    if request.method != "POST":
        raise Refused(Deny("method_not_allowed", "Ask by POST.", ((b"allow", b"POST"),)))
    count(request, "address", "ip")
    provider = Provider.objects.filter(name=name, enabled=True).select_related("client").first()
    if provider is None:
        raise Refused(Deny("route_not_found", "No such provider is registered."))
    return provider


def _open_provider(request: HttpRequest, name: str) -> Provider:
    """A provider that is relayed to at all: one without grants gives nobody a token here."""
    provider = _provider(request, name)
    if not provider.grants:
        raise Refused(Deny("route_not_found", "Nothing is relayed to this provider."))
    return provider


def _relayed(request: HttpRequest, provider: Provider, read: Read, send: Send) -> HttpResponse:
    request_id = request.headers.get("X-Request-Id", "")
    try:
        asked = read(
            Received(
                request.headers.get("Content-Type", ""),
                request.body,
                request.META.get("QUERY_STRING", ""),
                request.headers.get("Authorization"),
            )
        )
        _count_accounts(request, provider, asked)
        answer = send(provider, asked, settings.ENVIRONMENT.allow_private_upstreams)
    except OAuthError as error:
        answer = Answer(
            error.status, {"error": error.error, "error_description": error.description}
        )
    except NotOffered as error:
        raise Refused(Deny("route_not_found", "The provider does not offer this.")) from error
    except ProviderUnavailable as error:
        logger.warning("request %s: provider %s: %s", request_id, provider.name, error)
        return _unavailable("provider_unavailable", "The identity provider cannot be reached.")
    except ClientUnusable as error:
        logger.error("request %s: provider %s: %s", request_id, provider.name, error)
        return _unavailable("misconfigured", "The gateway is not set up for this provider.")
    logger.info(
        "request %s: provider %s: %s request answered %d %s",
        request_id, provider.name, send.__name__, answer.status, answer.error,
    )  # fmt: skip
    return _response(answer.status, answer.content)


def _count_accounts(request: HttpRequest, provider: Provider, asked: EndpointRequest) -> None:
    """Count the request against every account it names."""
    if asked.username is not None:
        # Providers differ in what they fold; spellings of one name must not add up.
        folded = unicodedata.normalize("NFKC", asked.username).strip().casefold()
        count(request, "user", _account_key(provider, folded))
    if asked.client is not None:
        count(request, "client", _account_key(provider, asked.client.client_id))


def _account_key(provider: Provider, account: str) -> Any:
    """A key that does not tell the account's name to who reads the store."""
    digest = salted_hmac("oidc_clients.relay", f"{provider.pk}:{account}").hexdigest()
    return lambda group, request: digest


def count(request: HttpRequest, kind: str, key: Any) -> None:
    """Count one request. Raises ``Refused`` over the limit, ``StateUnavailable`` uncounted."""
    usage = get_usage(
        request,
        group=f"oidc_clients.relay.{kind}",
        key=key,
        rate=settings.ENVIRONMENT.relay_rate,
        increment=True,
    )
    if usage is None or usage["limit"] == 0:
        raise StateUnavailable("the relay's limits cannot be counted")
    if usage["should_limit"]:
        raise Refused(_rate_limited(kind, usage["limit"], max(1, usage["time_left"])))


def _rate_limited(kind: str, limit: int, wait: int) -> Deny:
    """The refusal over a limit (draft-ietf-httpapi-ratelimit-headers; RFC 9110 10.2.3)."""
    window = _PERIODS[settings.ENVIRONMENT.relay_rate[-1]]
    fields = {
        "retry-after": f"{wait}",
        "ratelimit": f'"{kind}";r=0;t={wait}',
        "ratelimit-policy": f'"{kind}";q={limit};w={window}',
    }
    return Deny(
        "rate_limited",
        f"Too many token requests for this {kind}.",
        tuple((name.encode(), value.encode()) for name, value in fields.items()),
    )


def _response(status: int, content: Any) -> HttpResponse:
    response: HttpResponse = JsonResponse(content, status=status)
    if not content:
        response = HttpResponse(status=status)
        del response["Content-Type"]
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="gatehouse"'
    return response


def _unavailable(code: str, description: str) -> HttpResponse:
    """503 in the form of these endpoints; ``code`` is the gateway's own beside the OAuth error."""
    content = {
        "error": "temporarily_unavailable",
        "error_description": description,
        "code": code,
    }
    response = _response(503, content)
    response["Retry-After"] = str(RETRY_AFTER)
    return response
