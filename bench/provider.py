"""The samples' provider: one that answers without a network, and the gateway's client there."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.tokens import AUDIENCE, ISSUER, Mint
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import Response
from oidc_clients.oauth import Endpoint, Endpoints, Issuer, ProviderUnavailable
from oidc_clients.provider import ProviderSpec, key_document

NAME = "bench"
LIFE = 7200  # seconds that a token is good for
OWN_CLIENT = ClientCredentials("gateway", "the gateway's secret")


def spec_of(mint: Mint) -> ProviderSpec:
    """The provider as verification takes it, with the keys of ``mint``."""
    return ProviderSpec(
        NAME,
        ISSUER,
        frozenset({AUDIENCE}),
        frozenset({"RS256"}),
        static_keys=key_document([mint.jwk]),
    )


class AnsweringEndpoints(Endpoints):
    """The provider's endpoints: every token is active, and every token request is granted.

    Once: what is measured is what the gateway remembers, and who asks again finds nobody.
    """

    def __init__(self, ends: int) -> None:
        """``ends`` is when tokens expire, in seconds since the epoch."""
        super().__init__(MetadataCache())
        self._asked: set[tuple[str, str]] = set()
        self._said: dict[str, dict[str, Any]] = {
            "introspection_endpoint": {
                "active": True,
                "token_type": "Bearer",
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": "subject-1",
                "client_id": "client-1",
                "scope": "read write",
                "exp": ends,
            },
            "token_endpoint": {
                "access_token": "a-token-for-the-upstream",
                "token_type": "Bearer",
                "expires_in": LIFE,
            },
        }

    def ask(
        self,
        issuer: Issuer,
        endpoint: Endpoint,
        client: ClientCredentials,
        form: Mapping[str, str | Sequence[str]],
    ) -> Response:
        """See ``Endpoints``. Raises ``ProviderUnavailable`` when the same is asked again."""
        question = (endpoint, str(form))
        if question in self._asked:
            raise ProviderUnavailable("it has answered this already")
        self._asked.add(question)
        return Response(200, self._said[endpoint], {})
