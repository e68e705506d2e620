"""The token relay: credentials of the provider in, the provider's token out; and what a client
asks about a token that it holds.

What is promised.
1. The gateway's own client serves people (``password``, ``refresh_token``,
   ``authorization_code``, revocation) who come without client credentials. It never serves
   ``client_credentials``: nobody gets the gateway's own token. It never serves introspection:
   that would let anybody try tokens (RFC 7662 2.1). Where a client names itself, the
   gateway's credentials are never added to its request.
2. Where the gateway's own client redeems a code, the code's PKCE verifier is required: the
   client's credentials no longer say who brings the code (RFC 9700 2.1.1).
3. A grant that the provider's ``grants`` do not list is not offered here, so it is
   ``unsupported_grant_type`` (RFC 6749 5.2), as an unknown one is. ``unauthorized_client``
   is the provider's own verdict on a client, and only passed on. A provider that lists none
   is not relayed to at all.
"""

from collections.abc import Callable

from oidc_clients.client_auth import ClientCredentials, ClientUnusable
from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import Reach, Response
from oidc_clients.models import Provider
from oidc_clients.oauth import (
    Answer,
    Endpoint,
    Endpoints,
    Issuer,
    NotOffered,
    ProviderUnavailable,
    introspection_answer,
    revocation_answer,
    token_answer,
)
from oidc_clients.rows import client_of
from oidc_clients.token_request import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    EndpointRequest,
    OAuthError,
)
from policies.references import SecretUnreadable

Read = Callable[[Response], Answer]


class Relay:
    """Relays requests to providers. ``networks`` may be reached beside public addresses.

    Every method raises ``OAuthError``, ``ClientUnusable``, ``NotOffered`` and
    ``ProviderUnavailable``.
    """

    def __init__(self, metadata: MetadataCache) -> None:
        self._endpoints = Endpoints(metadata)

    def token(
        self, provider: Provider, request: EndpointRequest, networks: tuple[str, ...]
    ) -> Answer:
        """A token (RFC 6749 3.2)."""
        if request.grant_type not in provider.grants:
            raise OAuthError("unsupported_grant_type", "This grant type is not relayed.")
        if request.grant_type == CLIENT_CREDENTIALS:  # for confidential clients only (4.4)
            client = _authenticated(request)
        else:
            client = request.client or _own_client(provider)
        if request.grant_type == AUTHORIZATION_CODE and request.client is None:
            _require_verifier(request)
        try:
            return self._ask(provider, request, networks, client, "token_endpoint", token_answer)
        except NotOffered as error:
            raise ProviderUnavailable(str(error)) from error

    def revoke(
        self, provider: Provider, request: EndpointRequest, networks: tuple[str, ...]
    ) -> Answer:
        """Give a token up (RFC 7009)."""
        client = request.client or _own_client(provider)
        return self._ask(
            provider, request, networks, client, "revocation_endpoint", revocation_answer
        )

    def introspect(
        self, provider: Provider, request: EndpointRequest, networks: tuple[str, ...]
    ) -> Answer:
        """What the provider knows of a token (RFC 7662)."""
        client = _authenticated(request)
        return self._ask(
            provider, request, networks, client, "introspection_endpoint", introspection_answer
        )

    def _ask(
        self,
        provider: Provider,
        request: EndpointRequest,
        networks: tuple[str, ...],
        client: ClientCredentials,
        endpoint: Endpoint,
        read: Read,
    ) -> Answer:
        issuer = Issuer(provider.issuer, Reach(networks, provider.insecure_http))
        answer = read(self._endpoints.ask(issuer, endpoint, client, request.parameters))
        if answer.error == "invalid_client" and request.client is None:
            raise ClientUnusable("the provider refuses the gateway's client")
        return answer


def _authenticated(request: EndpointRequest) -> ClientCredentials:
    if request.client is None or not request.client.secret:
        raise OAuthError("invalid_client", "This needs the client's own credentials.")
    return request.client


def _require_verifier(request: EndpointRequest) -> None:
    if "code_verifier" not in request.parameters:
        raise OAuthError("invalid_request", "code_verifier is missing: use PKCE (RFC 7636).")


def _own_client(provider: Provider) -> ClientCredentials:
    try:
        own = client_of(provider)
    except (SecretUnreadable, ValueError) as error:
        raise ClientUnusable(str(error)) from error
    if own is None:
        raise OAuthError("invalid_client", "Client credentials are missing.")
    return own
