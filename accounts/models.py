"""Who may use the console: where people sign in, what they may do then, and their second factor."""

import secrets
import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django_otp.models import Device

from oidc_clients.models import Provider
from policies.secrets import SecretField


def the_one() -> uuid.UUID:
    """The primary key of what there is one of."""
    return uuid.UUID(int=1)


class ConsoleSignIn(models.Model):
    """How people sign in to the console. There is one row at most; without it, local accounts."""

    id = models.UUIDField(primary_key=True, default=the_one, editable=False)
    provider = models.ForeignKey(
        Provider,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where people sign in besides local accounts. Empty: nowhere.",
    )
    client_id = models.CharField(
        "client id",
        max_length=255,
        blank=True,
        help_text="The console's client at the provider. Empty: the gateway's own client.",
    )
    client_secret = SecretField(blank=True, default="")
    scopes = models.JSONField(
        default=list, blank=True, help_text="Asked for besides openid, such as profile or groups."
    )
    group_claim = models.CharField(
        max_length=200,
        default="groups",
        help_text="The claim of the ID token or of userinfo that names a person's groups.",
    )
    required_claims = models.JSONField(
        default=dict,
        blank=True,
        help_text='What claims must say, e.g. {"email_verified": true, "hd": "example.org"}; '
        "of a list of values, one must be there.",
    )
    second_factor_required = models.BooleanField(
        default=False, help_text="Local accounts cannot work without a second factor."
    )
    idle_minutes = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text="Minutes without a request after which somebody is signed out.",
    )
    lifetime_minutes = models.PositiveIntegerField(
        default=8 * 60,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text="Minutes after sign-in at which somebody is signed out, however busy.",
    )

    class Meta:
        verbose_name = "console sign-in"
        verbose_name_plural = "console sign-in"

    def __str__(self) -> str:
        return "Console sign-in"

    @classmethod
    def current(cls) -> Self:
        """The one row; what holds without one, where there is none."""
        return cls.objects.select_related("provider__client").first() or cls()


class ConsoleRole(models.Model):
    """What somebody may do of whom the provider says that they are in a group."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sign_in = models.ForeignKey(ConsoleSignIn, on_delete=models.CASCADE, related_name="roles")
    value = models.CharField(
        max_length=500, help_text="The group as the provider names it, to the letter."
    )
    group = models.ForeignKey(
        Group,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        help_text="The console's group whose permissions they get.",
    )
    administrator = models.BooleanField(default=False, help_text="They may do everything.")

    class Meta:
        ordering = ["value"]

    def __str__(self) -> str:
        return self.value


class ConsoleIdentity(models.Model):
    """Whose account it is: a subject of an issuer. Nobody is found by name or e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="console_identities"
    )
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)

    class Meta:
        ordering = ["issuer", "subject"]
        verbose_name_plural = "console identities"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="console_identity_once")
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


def random_id() -> int:
    """A primary key that is known before the row is written, as sealing needs it."""
    return secrets.randbelow(2**62) + 1


class Authenticator(Device):  # type: ignore[misc]
    """A person's authenticator app (TOTP, RFC 6238), by the rules of ``accounts.second_factor``.

    ``last_step`` is the time step of the newest code that was accepted: none is accepted twice.
    """

    id = models.BigIntegerField(primary_key=True, default=random_id, editable=False)
    key = SecretField()
    last_step = models.BigIntegerField(default=-1)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "confirmed"], name="authenticator_one_that_counts_and_one_offered"
            )
        ]

    def verify_token(self, token: str) -> bool:
        """See ``Device``. To be asked of a row that is locked for update."""
        from accounts.second_factor import accepts

        return accepts(self, token)


class RecoveryCode(models.Model):
    """A code that stands in for the authenticator once; only its keyed digest is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=80)

    def __str__(self) -> str:
        return "recovery code"
