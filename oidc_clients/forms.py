"""Forms of providers and clients, drawn from ``provider_config`` and ``client_config``."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from oidc_clients.client_config import (
    ApiKeyConfig,
    CertificateConfig,
    ClientConfig,
    SigningKeyConfig,
)
from oidc_clients.credentials import make_api_key
from oidc_clients.issuing import DEFAULT_OVERLAP, MAX_OVERLAP_HOURS
from oidc_clients.models import (
    ApiKey,
    Client,
    ClientCertificate,
    Provider,
    ProviderClient,
    SigningKey,
)
from oidc_clients.provider_config import ProviderClientConfig, ProviderConfig
from policies.drawing import option_field
from policies.fields import SecretFormField
from policies.forms import ConfigurationForm, Members, entered, judged


class ProviderForm(ConfigurationForm):
    options = ProviderConfig
    renamed = {"keys": "static_keys"}
    elsewhere = frozenset({"client"})

    class Meta:
        model = Provider
        exclude = ()


class ProviderClientForm(ConfigurationForm):
    options = ProviderClientConfig
    renamed = {"id": "client_id"}

    key = SecretFormField(
        multiline=True,
        label="Client key",
        help_text="Its private key in PEM form (RSA, EC or Ed25519), for private_key_jwt, instead "
        "of a secret. Leave empty to keep the stored one.",
    )

    class Meta:
        model = ProviderClient
        exclude = ()


class ClientForm(ConfigurationForm):
    options = ClientConfig
    elsewhere = frozenset({"api_keys", "signing_keys", "certificates"})

    class Meta:
        model = Client
        exclude = ()


class SigningKeyForm(ConfigurationForm):
    options = SigningKeyConfig
    renamed = {"id": "key_id"}

    class Meta:
        model = SigningKey
        exclude = ()


class CertificateForm(ConfigurationForm):
    options = CertificateConfig

    class Meta:
        model = ClientCertificate
        exclude = ()

    def clean(self) -> dict[str, Any] | None:
        """What is stored is the form in which it is compared."""
        cleaned = super().clean()
        if cleaned is not None and not self.errors:
            config = CertificateConfig.model_validate(entered(self, self.members()))
            cleaned |= {name: value or "" for name, value in config.model_dump().items()}
        return cleaned


class RotateKeyForm(forms.Form):
    """How long a key goes on working beside the one that takes its place."""

    overlap = forms.IntegerField(
        label="Overlap",
        min_value=0,
        max_value=MAX_OVERLAP_HOURS,
        initial=DEFAULT_OVERLAP // timedelta(hours=1),
        help_text="Hours for which the former key goes on working. 0: it ends now.",
    )


class CheckForm(forms.Form):
    """A sample token for a provider check; it is never shown again, nor kept."""

    token = forms.CharField(
        label="Sample token",
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "cols": 80, "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text="An access token as a client would send it, without Bearer. It is read on this "
        "machine and sent nowhere. Leave it empty to check the provider alone.",
    )


class IssueKeyForm(forms.Form):
    """What a new API key is called and may be used for; the key itself is made, never typed."""

    members: ClassVar[Members] = {("name",): "name", ("scopes",): "scopes", ("expires",): "expires"}

    name = option_field(ApiKeyConfig, "name")
    scopes = option_field(ApiKeyConfig, "scopes")
    expires = option_field(ApiKeyConfig, "expires")

    def __init__(self, client: Client, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client = client
        self.config: ApiKeyConfig | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        options = {**entered(self, self.members), "value": make_api_key()}  # as one will look
        config = judged(self, ApiKeyConfig, options, self.members)
        if isinstance(config, ApiKeyConfig):
            self.config = config
            if config.expires is not None and config.expires <= timezone.now():
                self.add_error("expires", "this moment has passed: choose a later one")
            if ApiKey.objects.filter(client=self.client, name=config.name).exists():
                self.add_error(
                    "name",
                    "this client has a key of that name: choose another, or revoke it first",
                )
        return cleaned
