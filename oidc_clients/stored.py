"""Rows of providers -> what their declarations say, secrets sealed as they are."""

from typing import Any

from oidc_clients.config import ProviderConfig
from oidc_clients.models import Provider
from policies.references import STORED
from policies.secrets import SealedValue


def provider_config(provider: Provider) -> ProviderConfig:
    """The stored provider as it is declared. Raises pydantic's ``ValidationError``."""
    return ProviderConfig.model_validate(provider_members(provider), context=STORED)


def provider_members(provider: Provider) -> dict[str, Any]:
    """A provider as it would stand in a file."""
    client = getattr(provider, "client", None)
    return {
        "name": provider.name,
        "issuer": provider.issuer,
        "jwks_uri": provider.jwks_uri or None,
        "keys": provider.static_keys,
        "enabled": provider.enabled,
        "audiences": provider.audiences,
        "audience_claim": provider.audience_claim,
        "scope_claim": provider.scope_claim,
        "algorithms": provider.algorithms,
        "token_types": provider.token_types,
        "leeway": provider.leeway,
        "insecure_http": provider.insecure_http,
        "client": client and {"id": client.client_id, "secret": secret_members(client.secret)},
        "grants": provider.grants,
        "scopes": provider.scopes,
        "sign_in_parameters": provider.sign_in_parameters,
        "session_idle": provider.session_idle,
        "session_lifetime": provider.session_lifetime,
    }


def secret_members(value: SealedValue) -> dict[str, str] | None:
    """A stored secret: sealed, and where it came from if that is known."""
    if not value:
        return None
    return {"sealed": value.stored, "context": value.context, **source_members(value.source)}


def source_members(source: str) -> dict[str, str]:
    """``env:NAME`` or ``file:/path`` as a reference of the configuration file."""
    kind, _, name = source.partition(":")
    return {kind: name} if kind in ("env", "file") else {}
