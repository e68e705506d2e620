"""The token relay: credentials of the provider in, the provider's token out.

What is promised.
1. The gateway's own client serves people (``password``, ``refresh_token``) who come without
   client credentials. It never serves ``client_credentials``: nobody gets the gateway's own
   token. Where a client names itself, the gateway's secret is never added to its request.
2. A grant that the provider's ``grants`` do not list is not offered here, so it is
   ``unsupported_grant_type`` (RFC 6749 5.2), as an unknown one is. ``unauthorized_client``
   is the provider's own verdict on a client, and only passed on.
3. Secrets go to the provider in the ``Authorization`` header alone, to the endpoint that its
   verified metadata name; a redirect is not followed (``oidc_clients.fetch``).
4. Of a provider's error only the three members of RFC 6749 5.2 come back, in the characters
   allowed there. Anything else than a token or such an error is ``ProviderUnavailable``.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist

from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import FetchError, Reach, Response, post_form
from oidc_clients.models import Provider
from oidc_clients.token_request import (
    CLIENT_CREDENTIALS,
    ClientCredentials,
    OAuthError,
    TokenRequest,
)
from policies.references import SecretUnreadable

MAX_DESCRIPTION = 500

# RFC 6749 5.2: error and error_description are NQSCHAR, error_uri is NQCHAR.
_ERROR = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}")
_NOT_DESCRIPTION = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]+")
_ERROR_URI = re.compile(r"https?://[\x21\x23-\x5b\x5d-\x7e]{1,500}")


class ProviderUnavailable(Exception):
    """The provider gave no usable answer; the message is safe to log."""


class OwnClientRefused(Exception):
    """The gateway's own client cannot be used at the provider: the operator's mistake."""


class Answer(NamedTuple):
    """What goes back to the client: JSON with status 200, 400 or 401."""

    status: int
    content: Mapping[str, Any]

    @property
    def error(self) -> str:
        """The OAuth error code; empty for a token."""
        return str(self.content["error"]) if self.status != 200 else ""


class Relay:
    """Relays token requests to providers."""

    def __init__(self, metadata: MetadataCache) -> None:
        self._metadata = metadata

    def send(self, provider: Provider, request: TokenRequest, networks: tuple[str, ...]) -> Answer:
        """The provider's answer. ``networks`` may be reached beside public addresses.

        Raises ``OAuthError``, ``OwnClientRefused`` and ``ProviderUnavailable``.
        """
        if request.grant_type not in provider.grants:
            raise OAuthError("unsupported_grant_type", "This grant type is not relayed.")
        client = _sender(provider, request)
        form, headers = dict(request.parameters), {}
        if client.secret is None:
            form["client_id"] = client.client_id
        else:
            headers["Authorization"] = client.basic()
        reach = Reach(networks, provider.insecure_http)
        try:
            endpoint = self._metadata.get(provider.issuer, reach).token_endpoint
            if endpoint is None:
                raise ProviderUnavailable("its metadata name no token_endpoint")
            response = post_form(endpoint, form, headers, reach)
        except FetchError as error:
            raise ProviderUnavailable(str(error)) from error
        answer = _answer(response)
        if answer.error == "invalid_client" and request.client is None:
            raise OwnClientRefused("the provider refuses the gateway's client")
        return answer


def _sender(provider: Provider, request: TokenRequest) -> ClientCredentials:
    """In whose name the provider is asked."""
    if request.grant_type == CLIENT_CREDENTIALS:
        # RFC 6749 4.4: for confidential clients only.
        if request.client is None or not request.client.secret:
            raise OAuthError("invalid_client", "This grant needs the client's own credentials.")
        return request.client
    return request.client or _own_client(provider)


def _own_client(provider: Provider) -> ClientCredentials:
    try:
        own = provider.client
        return ClientCredentials(own.client_id, own.secret.reveal() if own.secret else None)
    except ObjectDoesNotExist as error:
        raise OAuthError("invalid_client", "Client credentials are missing.") from error
    except SecretUnreadable as error:
        raise OwnClientRefused(str(error)) from error


def _answer(response: Response) -> Answer:
    """A provider's answer as the client may see it. Raises ``ProviderUnavailable``."""
    content = response.json or {}
    if response.status == 200:
        token = content.get("access_token")
        if not isinstance(token, str) or not token:
            raise ProviderUnavailable("its answer holds no access token")
        return Answer(200, content)
    error = content.get("error")
    # 429 is said to the gateway, not to its client.
    is_refusal = 400 <= response.status < 500 and response.status != 429
    if not is_refusal or not isinstance(error, str) or not _ERROR.fullmatch(error):
        raise ProviderUnavailable(f"it answered with status {response.status}")
    shown = {"error": error}
    description = content.get("error_description")
    if isinstance(description, str):
        shown["error_description"] = _NOT_DESCRIPTION.sub(" ", description)[:MAX_DESCRIPTION]
    uri = content.get("error_uri")
    if isinstance(uri, str) and _ERROR_URI.fullmatch(uri):
        shown["error_uri"] = uri
    return Answer(401 if response.status == 401 else 400, shown)
