"""The console's page of browser sessions: who is signed in at a provider, and ending that."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from oidc_clients.browser.agents import browser_name
from oidc_clients.browser.desk import desk
from oidc_clients.browser.own_sessions import moment
from oidc_clients.browser.store import Found, Listed
from oidc_clients.models import Provider
from policies.admin import ConfigurationAdmin

SHOWN = 200
"""Sessions on the page, the newest; the others are found by their subject."""


class SessionsPage(ConfigurationAdmin):
    """Adds the page to a provider's: who may see the provider may see it, and who may change the
    provider may end sessions."""

    def get_urls(self) -> list[URLPattern]:
        view = never_cache(self.admin_site.admin_view(self.sessions_view))
        name = "oidc_clients_provider_sessions"
        return [path("<uuid:pk>/sessions/", view, name=name), *super().get_urls()]

    def sessions_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        provider = get_object_or_404(Provider, pk=pk)
        if not self.has_view_permission(request, provider):
            raise PermissionDenied
        subject = request.GET.get("subject", "")
        if request.method == "POST":
            return self._end(request, provider, subject)
        rows, total = async_to_sync(_listed)(provider.name, subject)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": provider,
            "title": f"Browser sessions at {provider}",
            "subject": subject,
            "sessions": [_shown(item) for item in rows],
            "more": total - len(rows),
            "may_end": self.has_change_permission(request, provider),
        }
        return TemplateResponse(request, "console/sessions.html", context)

    def _end(self, request: HttpRequest, provider: Provider, subject: str) -> HttpResponse:
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        chosen = None if "all" in request.POST else set(request.POST.getlist("session"))
        ended = async_to_sync(_ended)(provider.name, subject, chosen)
        said = f"{ended} browser session{'' if ended == 1 else 's'} ended."
        self.log_change(request, provider, said)
        self.message_user(request, said)
        url = reverse("admin:oidc_clients_provider_sessions", args=[provider.pk])
        return HttpResponseRedirect(f"{url}?{urlencode({'subject': subject})}" if subject else url)


async def _rows(provider: str, subject: str) -> list[Listed]:
    store = desk().sessions
    rows = store.of_person(provider, subject) if subject else store.of_provider(provider)
    return sorted(await rows, key=lambda row: row.created, reverse=True)


async def _listed(provider: str, subject: str) -> tuple[list[Found], int]:
    """The newest sessions that are not over, and how many the directory lists in all."""
    rows = await _rows(provider, subject)
    found = await desk().sessions.alive(rows[:SHOWN])
    return found, len(rows) - len(rows[:SHOWN]) + len(found)


async def _ended(provider: str, subject: str, chosen: Iterable[str] | None) -> int:
    """End the chosen sessions, None: all that are listed. How many were not over."""
    rows = await _rows(provider, subject)
    meant = [row for row in rows if chosen is None or row.key in chosen]
    alive = await desk().sessions.alive(meant)
    for row in meant:
        await desk().sessions.end(provider, row.subject, [row.key])
    return len(alive)


def _shown(found: Found) -> dict[str, Any]:
    held = found.session
    return {
        "key": found.key,
        "subject": held.subject,
        "name": held.name,
        "address": held.address,
        "agent": browser_name(held.agent),
        "created": moment(held.created),
        "ends": moment(held.ends),
    }
