"""From a declared provider to the one that verifies: secrets are opened here, and only here."""

from oidc_clients.config import ProviderConfig
from oidc_clients.provider import ProviderSpec, key_document, media_type
from policies.references import Opener

_SHARED_SECRET = "HS"  # RFC 7518 3.2: these algorithms verify with the client's secret


def provider_spec(
    config: ProviderConfig, opener: Opener, networks: tuple[str, ...]
) -> ProviderSpec:
    """The provider as verification takes it; ``networks`` may be reached beside public ones.

    Raises ``ValueError`` for what does not fit together, and what ``opener`` raises.
    """
    secret = b""
    symmetric = any(name.startswith(_SHARED_SECRET) for name in config.algorithms)
    if symmetric and config.client is not None and config.client.secret is not None:
        secret = config.client.secret.reveal(opener).encode()
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
        shared_secret=secret,
        insecure_http=config.insecure_http,
        private_networks=networks,
    )
