"""What all rooms share in the database: the generation counters that workers poll, the gateway's
own signing keys, and what of quotas was used."""

import uuid
from typing import Any

from django.db import connection, models
from django.db.models import F

from policies.secrets import SecretField


class Generation(models.Model):
    """A counter that rises with every committed change of one kind.

    Workers poll it and rebuild only what changed: ``configuration`` rebuilds the routing
    table, ``credentials`` (clients and what they prove themselves with), ``keys`` (of
    providers) and ``signing`` (the gateway's own keys) only what is looked up.
    """

    CONFIGURATION = "configuration"
    CREDENTIALS = "credentials"
    KEYS = "keys"
    REVOCATIONS = "revocations"
    SIGNING = "signing"

    name = models.CharField(max_length=32, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"

    @classmethod
    def bump(cls, name: str) -> None:
        """Count one change, inside the caller's transaction."""
        if not cls.objects.filter(name=name).update(value=F("value") + 1):
            cls.objects.create(name=name, value=1)

    @classmethod
    def lock(cls, name: str) -> None:
        """Let no other change of this kind in until the caller's transaction ends."""
        cls.objects.get_or_create(name=name)
        cls.objects.select_for_update().get(name=name)

    @classmethod
    def all_values(cls) -> dict[str, int]:
        """Every counter. Without the ORM: each worker asks several times a second, in a thread
        that its event loop waits for meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, value FROM policies_generation")
            return dict(cursor.fetchall())


class GatewayKey(models.Model):
    """A key with which the gateway signs responses and identity tokens.

    Written by ``policies.key_life`` alone. A revoked one is neither used nor published; its row
    stays for a while, to be seen.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key_id = models.CharField(max_length=64, unique=True)
    private_key = SecretField()
    created = models.DateTimeField()
    signs_from = models.DateTimeField()
    revoked = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-signs_from"]
        verbose_name = "signing key"

    def __str__(self) -> str:
        return self.key_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and tell the workers."""
        super().save(*args, **kwargs)
        Generation.bump(Generation.SIGNING)


class QuotaUsage(models.Model):
    """How much of one quota was used in one period: what outlives a loss of shared state."""

    key = models.TextField(primary_key=True)  # of the counter in shared state
    used = models.BigIntegerField()
    ends = models.BigIntegerField(db_index=True)  # epoch seconds

    class Meta:
        verbose_name_plural = "quota usage"

    def __str__(self) -> str:
        return f"{self.key}: {self.used}"
