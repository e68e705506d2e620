"""What is exposed: APIs with their routes, the upstreams behind them, and attached policies."""

import uuid

from django.db import models
from django.db.models import Q

from oidc_clients.models import slug
from policies.secrets import SecretField


class Upstream(models.Model):
    """Where calls of an API are carried. All times in seconds, all finite."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[slug])
    connect_timeout = models.FloatField(default=2)
    read_timeout = models.FloatField(default=15)
    write_timeout = models.FloatField(default=15)
    total_timeout = models.FloatField(default=60)
    idle_timeout = models.FloatField(default=300)
    host = models.CharField(max_length=255, blank=True)
    retries = models.PositiveSmallIntegerField(default=1)
    tls_ca = models.TextField(blank=True)
    tls_cert = models.TextField(blank=True)
    tls_key = SecretField(blank=True, default="")
    tls_server_name = models.CharField(max_length=255, blank=True)
    health = models.JSONField(null=True, blank=True)
    breaker = models.JSONField(null=True, blank=True)
    files = models.JSONField(default=dict, blank=True, editable=False)  # field: path, sha256

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """One address of an upstream."""

    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="targets")
    url = models.CharField(max_length=500)
    weight = models.PositiveSmallIntegerField(default=1)

    class Meta:
        ordering = ["upstream", "id"]

    def __str__(self) -> str:
        return self.url


class Api(models.Model):
    """One API: the hosts and base path it is reached under, and the upstream behind it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[slug])
    hosts = models.JSONField(default=list, blank=True)
    base_path = models.CharField(max_length=500, default="/")
    strip_base_path = models.BooleanField(default=True)
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="apis")
    openapi = models.TextField(blank=True)
    files = models.JSONField(default=dict, blank=True, editable=False)  # field: path, sha256

    class Meta:
        ordering = ["name"]
        verbose_name = "API"

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """One path of an API and the methods it takes; an API without routes exposes everything."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    api = models.ForeignKey(Api, on_delete=models.CASCADE, related_name="routes")
    position = models.PositiveIntegerField(default=0)
    methods = models.JSONField(default=list, blank=True)
    path = models.CharField(max_length=500)
    websocket = models.BooleanField(default=False)

    class Meta:
        ordering = ["api", "position", "path"]

    def __str__(self) -> str:
        return f"{self.api} {' '.join(self.methods) or 'ANY'} {self.path}"


class AttachedPolicy(models.Model):
    """One configured policy: global when neither API nor route is set."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    api = models.ForeignKey(
        Api, on_delete=models.CASCADE, null=True, blank=True, related_name="policies"
    )
    route = models.ForeignKey(
        Route, on_delete=models.CASCADE, null=True, blank=True, related_name="policies"
    )
    position = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=32)
    name = models.CharField(max_length=63, blank=True)
    mode = models.CharField(max_length=8, default="enforce")
    config = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["position", "kind"]
        verbose_name_plural = "attached policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(api__isnull=True) | Q(route__isnull=True),
                name="policy_belongs_to_one_level",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.kind
