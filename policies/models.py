"""What all rooms share in the database: generation counters, and what of quotas was used."""

from django.db import models
from django.db.models import F


class Generation(models.Model):
    """A counter that rises with every committed change of one kind.

    Workers poll it and rebuild only what changed: ``configuration`` rebuilds the routing
    table, ``credentials`` and ``revocations`` only their look-up sets.
    """

    CONFIGURATION = "configuration"
    KEYS = "keys"

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
        return dict(cls.objects.values_list("name", "value"))


class QuotaUsage(models.Model):
    """How much of one quota was used in one period: what outlives a loss of shared state."""

    key = models.TextField(primary_key=True)  # of the counter in shared state
    used = models.BigIntegerField()
    ends = models.BigIntegerField(db_index=True)  # epoch seconds

    class Meta:
        verbose_name_plural = "quota usage"

    def __str__(self) -> str:
        return f"{self.key}: {self.used}"
