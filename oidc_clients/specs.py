"""From a declared provider to the one that verifies: secrets are opened here, and only here."""

from oidc_clients.assertion import AssertionKey
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.config import ProviderConfig
from oidc_clients.provider import ProviderSpec, key_document, media_type
from policies.references import Opener


def provider_spec(
    config: ProviderConfig, opener: Opener, networks: tuple[str, ...]
) -> ProviderSpec:
    """The provider as verification takes it; ``networks`` may be reached beside public ones.

    Raises ``ValueError`` for what does not fit together, and what ``opener`` raises.
    """
    return ProviderSpec(
        name=config.name,
        issuer=config.issuer,
        audiences=frozenset(config.audiences),
        algorithms=frozenset(config.algorithms),
        enabled=config.enabled,
        audience_claim=config.audience_claim,
        scope_claim=config.scope_claim,
        token_types=frozenset(map(media_type, config.token_types)),
        leeway=config.leeway,
        jwks_uri=config.jwks_uri,
        static_keys=key_document(config.keys),
        shared_secrets=tuple(
            secret.reveal(opener).encode() for secret in config.verification_secrets
        ),
        insecure_http=config.insecure_http,
        private_networks=networks,
    )


def own_client(config: ProviderConfig, opener: Opener) -> ClientCredentials | None:
    """The gateway's own client at a provider, if it has one.

    Raises ``ValueError`` for a key that cannot be used, and what ``opener`` raises.
    """
    client = config.client
    if client is None:
        return None
    secret = client.secret.reveal(opener) if client.secret is not None else None
    key = None
    if client.key is not None:
        key = AssertionKey.load(client.key.reveal(opener), client.key_id)
    return ClientCredentials(client.id, secret, key, client.assertion_audience)
