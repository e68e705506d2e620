"""Providers and clients -> rows. The caller holds the transaction and has checked everything.

A secret that carries its text is new and is sealed; one that carries none is the stored one
and its row is left alone.
"""

from collections.abc import Iterable

from django.conf import settings
from django.db import models

from oidc_clients.client_config import ApiKeyConfig, ClientConfig, SigningKeyConfig
from oidc_clients.credentials import ISSUED, Peppers, shown_prefix
from oidc_clients.models import Client, Provider, ProviderClient, SigningKey
from oidc_clients.provider_config import ProviderConfig
from policies.references import FileText, SecretText, text_digest
from policies.secrets import Keyring, Secret


def save_provider(config: ProviderConfig) -> None:
    """Make the provider of that name equal to ``config``."""
    provider = Provider.objects.filter(name=config.name).first() or Provider(name=config.name)
    provider.issuer = config.issuer
    provider.jwks_uri = config.jwks_uri or ""
    provider.static_keys = list(config.keys)
    for member in ("enabled", "audience_claim", "scope_claim", "leeway", "insecure_http"):
        setattr(provider, member, getattr(config, member))
    for member in ("audiences", "algorithms", "token_types", "grants", "scopes"):
        setattr(provider, member, list(getattr(config, member)))
    provider.sign_in_parameters = dict(config.sign_in_parameters)
    provider.session_idle = config.session_idle
    provider.session_lifetime = config.session_lifetime
    assign_secret(provider, "shared_secret", config.shared_secret)
    assign_secret(provider, "former_shared_secret", config.former_shared_secret)
    provider.save()
    clients = ProviderClient.objects.filter(provider=provider)
    if config.client is None:
        clients.delete()
        return
    client = clients.first() or ProviderClient(provider=provider)
    client.client_id = config.client.id
    client.key_id = config.client.key_id or ""
    client.assertion_audience = config.client.assertion_audience
    assign_secret(client, "secret", config.client.secret)
    assign_secret(client, "key", config.client.key)
    client.save()


def delete_providers(names: Iterable[str]) -> None:
    Provider.objects.filter(name__in=list(names)).delete()


def save_clients(configs: list[ClientConfig]) -> None:
    """Make the clients of those names equal to their configs.

    What goes is deleted in all of them first: a key may move from one client to another.
    """
    rows = []
    for config in configs:
        client, _ = Client.objects.update_or_create(
            name=config.name, defaults={"enabled": config.enabled}
        )
        kept = [key.value.sealed for key in config.api_keys if key.value.value is None]
        client.api_keys.exclude(digest__in=kept).delete()
        client.signing_keys.exclude(key_id__in=[key.id for key in config.signing_keys]).delete()
        client.certificates.all().delete()
        rows.append((client, config))
    for client, config in rows:
        for api_key in config.api_keys:
            _save_api_key(client, api_key)
        for signing_key in config.signing_keys:
            _save_signing_key(client, signing_key)
        for certificate in config.certificates:
            sha256, san, issuer = certificate.known_by
            client.certificates.create(sha256=sha256, san=san, issuer=issuer)


def delete_clients(names: Iterable[str]) -> None:
    Client.objects.filter(name__in=list(names)).delete()


def _save_api_key(client: Client, config: ApiKeyConfig) -> None:
    members = {"scopes": list(config.scopes), "expires": config.expires}
    if config.value.value is None:
        stored = client.api_keys.filter(digest=config.value.sealed)
        stored.update(**members)
        if not config.value.issued:  # a file names it now
            stored.filter(source=ISSUED).update(source="")
        return
    key = config.value.value.get_secret_value()
    client.api_keys.create(
        name=config.name,
        prefix=shown_prefix(key),
        digest=Peppers(settings.SECRET_KEYS).digest(key),
        source=config.value.source,
        **members,
    )


def _save_signing_key(client: Client, config: SigningKeyConfig) -> None:
    row = client.signing_keys.filter(key_id=config.id).first()
    row = row or SigningKey(client=client, key_id=config.id)
    row.algorithm = config.algorithm
    row.public_key = content(config.public_key)
    row.files = origins(public_key=config.public_key)
    assign_secret(row, "secret", config.secret)
    row.save()


def assign_secret(row: models.Model, name: str, secret: SecretText | None) -> None:
    """Put a secret into a ``SecretField``: the new one, none, or what is there already."""
    if secret is None:
        setattr(row, name, Secret(""))
    elif secret.value is not None or row._state.adding:
        # A sealed secret opens only in its own row: for another one it is sealed anew.
        setattr(row, name, Secret(secret.reveal(Keyring.from_settings()), secret.source))


def content(text: FileText | None) -> str:
    """The text of a column; empty for none."""
    return "" if text is None else text.text


def origins(**texts: FileText | None) -> dict[str, dict[str, str]]:
    """Which columns were read from which file, and what it held then."""
    return {
        name: {"path": text.file, "sha256": text_digest(text.text)}
        for name, text in texts.items()
        if text is not None and text.file
    }
