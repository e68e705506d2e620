"""Who may ask: OpenID providers with their keys, our clients at them, and API clients."""

import uuid

from django.core.validators import RegexValidator
from django.db import models

from policies.secrets import SecretField

slug = RegexValidator(
    r"\A[a-z0-9][a-z0-9_.-]{0,62}\Z",
    "Use lower-case letters, digits, '-', '_' and '.', starting with a letter or digit.",
)


class Provider(models.Model):
    """One OpenID provider (issuer) whose tokens routes may accept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[slug])
    enabled = models.BooleanField(default=True)
    issuer = models.CharField(max_length=500)
    jwks_uri = models.CharField(max_length=500, blank=True)
    static_keys = models.JSONField(default=list, blank=True)
    audiences = models.JSONField(default=list)
    audience_claim = models.CharField(max_length=64, default="aud")
    scope_claim = models.CharField(max_length=64, default="scope")
    algorithms = models.JSONField(default=list)
    shared_secret = SecretField(blank=True, default="")
    former_shared_secret = SecretField(blank=True, default="")
    token_types = models.JSONField(default=list, blank=True)
    leeway = models.PositiveSmallIntegerField(default=30)
    insecure_http = models.BooleanField(default=False)
    grants = models.JSONField(default=list, blank=True)
    scopes = models.JSONField(default=list, blank=True)
    sign_in_parameters = models.JSONField(default=dict, blank=True)
    session_idle = models.PositiveIntegerField(default=1800)
    session_lifetime = models.PositiveIntegerField(default=28800)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProviderClient(models.Model):
    """The gateway's own registration at a provider: its client id, and a secret or a key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="client")
    client_id = models.CharField(max_length=255)
    secret = SecretField(blank=True, default="")
    key = SecretField(blank=True, default="")
    key_id = models.CharField(max_length=255, blank=True)
    assertion_audience = models.CharField(max_length=8, default="issuer")

    def __str__(self) -> str:
        return self.client_id


class ProviderKey(models.Model):
    """One key of a provider's key set as it was last fetched: admitted, or refused and why.

    Written only by the key rotation; the last good set of a provider is what its workers start
    from when the provider cannot be reached.
    """

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="keys")
    kid = models.CharField(max_length=256, blank=True)
    jwk = models.JSONField()
    admitted = models.BooleanField()
    reason = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=32)  # digest of where it was fetched from
    fetched_at = models.DateTimeField()

    class Meta:
        ordering = ["provider", "kid", "id"]

    def __str__(self) -> str:
        return f"{self.provider}: {self.kid or 'no kid'}"


class Client(models.Model):
    """An API client: a program or partner that calls routes with its own credentials."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[slug])
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """One API key of a client: only a prefix for people and a keyed digest for the gateway."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=63)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=80, unique=True)
    # env:NAME, file:path, or "issued" for one that was made here and that no file names
    source = models.CharField(max_length=4200, blank=True, editable=False)
    scopes = models.JSONField(default=list, blank=True)
    expires = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["client", "name"]
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], name="api_key_name_once_per_client")
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.name}"


class SigningKey(models.Model):
    """A key with which a client signs its requests: a public key, or a shared HMAC secret."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="signing_keys")
    key_id = models.CharField(max_length=255, unique=True)
    algorithm = models.CharField(max_length=32)
    public_key = models.TextField(blank=True)
    secret = SecretField(blank=True, default="")
    files = models.JSONField(default=dict, blank=True, editable=False)  # field: path, sha256

    class Meta:
        ordering = ["client", "key_id"]

    def __str__(self) -> str:
        return self.key_id


class ClientCertificate(models.Model):
    """What a client's TLS certificates are known by: a fingerprint, or a name and its issuer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="certificates")
    sha256 = models.CharField(max_length=64, blank=True)
    san = models.CharField(max_length=520, blank=True)
    issuer = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["client", "sha256", "san", "issuer"]
        constraints = [
            models.UniqueConstraint(
                fields=["sha256", "san", "issuer"], name="certificate_names_one_client"
            )
        ]

    def __str__(self) -> str:
        return f"sha256:{self.sha256}" if self.sha256 else self.san
