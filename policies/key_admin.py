"""The console's page of the gateway's own signing keys: seen, succeeded, revoked, never edited."""

import time
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from policies import key_life
from policies.models import GatewayKey


@admin.register(GatewayKey)
class GatewayKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys are made by themselves: when a policy needs one, and when one has served its time."""

    list_display = ("shown_id", "state", "signs_from", "created", "revoked")
    list_display_links = None
    actions = ("revoke", "succeed")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "The gateway's signing keys"})

    @admin.display(description="key id")
    def shown_id(self, key: GatewayKey) -> str:
        return format_html("<code>{}</code>", key.key_id)

    @admin.display(description="state")
    def state(self, key: GatewayKey) -> str:
        return key_life.state(key, time.time())

    @admin.action(description="Revoke: stop signing and publishing now", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[GatewayKey]) -> None:
        """Another key signs from this moment on; every worker follows within a second."""
        for key in keys:
            if key_life.revoke(key):
                said = f"Key {key.key_id} is revoked: what it signed no longer verifies."
                self.message_user(request, said, messages.WARNING)
                self.log_change(request, key, "Revoked.")
            else:
                said = f"Key {key.key_id} was revoked before."
                self.message_user(request, said, messages.INFO)

    @admin.action(description="Rotate: publish a successor now", permissions=["change"])
    def succeed(self, request: HttpRequest, keys: QuerySet[GatewayKey]) -> None:
        """The successor signs an hour later, when nobody knows an older key set any more."""
        if key_life.succeed():
            said = "A successor is published now and signs in an hour."
            self.message_user(request, said, messages.SUCCESS)
        else:
            self.message_user(request, "A successor is waiting already.", messages.INFO)
