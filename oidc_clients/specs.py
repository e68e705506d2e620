"""From a declared provider to the one that verifies: secrets are opened here, and only here."""

from oidc_clients.assertion import AssertionKey
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.provider import ProviderSpec
from oidc_clients.provider_config import ProviderConfig
from policies.references import Opener


def provider_spec(
    config: ProviderConfig, opener: Opener, networks: tuple[str, ...]
) -> ProviderSpec:
    """The provider as verification takes it; ``networks`` may be reached beside public ones.

    Raises ``ValueError`` for what does not fit together, and what ``opener`` raises.
    """
    secrets = [secret.reveal(opener) for secret in config.verification_secrets]
    return ProviderSpec.of(config, config.keys, secrets, networks)


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
