"""From the row of a provider to what asks it: its description, and our client there.

Secrets are opened here; both functions raise ``ValueError`` and ``SecretUnreadable`` for what
cannot be used.
"""

from django.core.exceptions import ObjectDoesNotExist

from oidc_clients.assertion import AssertionKey
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.jwks import SECRET_BYTES
from oidc_clients.models import Provider
from oidc_clients.provider import ProviderSpec


def spec_of(provider: Provider, networks: tuple[str, ...]) -> ProviderSpec:
    """The provider as verification takes it; ``networks`` may be reached beside public ones."""
    return ProviderSpec.of(provider, provider.static_keys, _shared_secrets(provider), networks)


def _shared_secrets(provider: Provider) -> list[str]:
    if SECRET_BYTES.keys().isdisjoint(provider.algorithms):
        return []
    stored = [provider.shared_secret, provider.former_shared_secret]
    if not stored[0]:
        try:
            stored[0] = provider.client.secret
        except ObjectDoesNotExist:
            stored[0] = ""
    return [secret.reveal() for secret in stored if secret]


def client_of(provider: Provider) -> ClientCredentials | None:
    """The gateway's own client at the provider, if it has one."""
    try:
        own = provider.client
    except ObjectDoesNotExist:
        return None
    key = AssertionKey.load(own.key.reveal(), own.key_id or None) if own.key else None
    secret = own.secret.reveal() if own.secret else None
    return ClientCredentials(own.client_id, secret, key, own.assertion_audience)
