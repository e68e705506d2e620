"""The token endpoint: HTTP around the relay, and its limits.

Two limits stand before the provider, both at ``GATEHOUSE_RELAY_RATE``: one for the client's
address, counted before anything else is done, and one for each account that the request
names (the user name, the client id). When they cannot be counted, nothing is relayed.
"""

import logging
import unicodedata
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import salted_hmac
from django.views.decorators.csrf import csrf_exempt
from django_ratelimit.core import get_usage

from oidc_clients.endpoints import MetadataCache
from oidc_clients.models import Provider
from oidc_clients.relay import Answer, OwnClientRefused, ProviderUnavailable, Relay
from oidc_clients.token_request import OAuthError, TokenRequest, read_token_request
from policies.core.errors import StateUnavailable
from policies.core.values import Deny

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which asking an unavailable provider again makes sense."""

_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_relay = Relay(MetadataCache())


class Refused(Exception):
    """A view refuses; the composition root turns the ``Deny`` into bytes."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(deny.code)
        self.deny = deny


# CSRF is about cookies; no cookie is read here, every request brings its own credentials.
@csrf_exempt
def token(request: HttpRequest, name: str) -> HttpResponse:
    """``POST /auth/{provider}/token`` (RFC 6749 3.2)."""
    if request.method != "POST":
        raise Refused(
            Deny("method_not_allowed", "A token is asked for by POST.", ((b"allow", b"POST"),))
        )
    count(request, "address", "ip")
    provider = Provider.objects.filter(name=name, enabled=True).select_related("client").first()
    if provider is None:
        raise Refused(Deny("route_not_found", "No such provider is registered."))
    return _relayed(request, provider)


def _relayed(request: HttpRequest, provider: Provider) -> HttpResponse:
    request_id = request.headers.get("X-Request-Id", "")
    try:
        asked = read_token_request(
            request.headers.get("Content-Type", ""),
            request.body,
            request.META.get("QUERY_STRING", ""),
            request.headers.get("Authorization"),
        )
        _count_accounts(request, provider, asked)
        answer = _relay.send(provider, asked, settings.ENVIRONMENT.allow_private_upstreams)
    except OAuthError as error:
        answer = Answer(
            error.status, {"error": error.error, "error_description": error.description}
        )
    except ProviderUnavailable as error:
        logger.warning("request %s: provider %s: %s", request_id, provider.name, error)
        return _unavailable("provider_unavailable", "The identity provider cannot be reached.")
    except OwnClientRefused as error:
        logger.error("request %s: provider %s: %s", request_id, provider.name, error)
        return _unavailable("misconfigured", "The gateway is not set up for this provider.")
    logger.info(
        "request %s: provider %s: token request answered %d %s",
        request_id, provider.name, answer.status, answer.error,
    )  # fmt: skip
    return _response(answer.status, answer.content)


def _count_accounts(request: HttpRequest, provider: Provider, asked: TokenRequest) -> None:
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
    response = JsonResponse(content, status=status)
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="gatehouse"'
    return response


def _unavailable(code: str, description: str) -> HttpResponse:
    """503 in the token endpoint's form; ``code`` is the gateway's own beside the OAuth error."""
    content = {
        "error": "temporarily_unavailable",
        "error_description": description,
        "code": code,
    }
    response = _response(503, content)
    response["Retry-After"] = str(RETRY_AFTER)
    return response
