"""The console's page of counters: what limits have counted, searched, and reset."""

from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apis.counters import Counter, Limiting, counters, keys, limits
from apis.describe import NotDescribable, describe
from apis.models import AttachedPolicy
from policies.core.errors import StateUnavailable
from policies.ledger import reset
from policies.stores.open import open_backend, open_state

MOST = 100  # counters of one limit that are shown


class Shown(NamedTuple):
    """A limit with the counters that were searched for."""

    limiting: Limiting
    counters: list[Counter]
    more: bool  # there are some that are not shown


@require_http_methods(["GET", "HEAD", "POST"])
def counters_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Shows counters; a POST resets one (``key``) or all of a limit (``prefix``)."""
    user = cast(User, request.user)  # the admin site let nobody else in
    if not user.has_perm("apis.view_attachedpolicy"):
        raise PermissionDenied
    try:
        known = limits(describe(), open_state(_state_url()))
        problem = ""
    except NotDescribable as error:
        known, problem = [], f"The configuration cannot be read: {error}"
    if request.method == "POST":
        if not user.has_perm("apis.change_attachedpolicy"):
            raise PermissionDenied
        _reset(request, user, known)
        query = {name: request.POST.get(name, "") for name in ("q", "limit")}
        return HttpResponseRedirect(f"{reverse('admin:counters')}?{urlencode(query)}")
    text, chosen = request.GET.get("q", ""), request.GET.get("limit", "")
    shown: list[Shown] = []
    try:
        wanted = [each for each in known if chosen in ("", each.policy.prefix)]
        shown = [_shown(each, text) for each in wanted]
    except StateUnavailable as error:
        problem = f"Shared state cannot be reached: {error}"
    return TemplateResponse(
        request,
        "console/counters.html",
        {
            **context,
            "title": "Counters of limits",
            "problem": problem,
            "known": known,
            "shown": shown,
            "text": text,
            "chosen": chosen,
            "private": _state_url().startswith("memory:"),
            "may_reset": user.has_perm("apis.change_attachedpolicy"),
        },
    )


def _state_url() -> str:
    url: str = settings.CACHES["default"]["LOCATION"]
    return url


def _shown(limiting: Limiting, text: str) -> Shown:
    found = counters(open_backend(_state_url()), limiting, text, MOST + 1)
    return Shown(limiting, found[:MOST], len(found) > MOST)


def _reset(request: HttpRequest, user: User, known: list[Limiting]) -> None:
    """Reset what the form names, if it is a limit's: other entries of shared state are none."""
    key, prefix = request.POST.get("key", ""), request.POST.get("prefix", "")
    named = key or prefix
    limiting = next((each for each in known if named.startswith(each.policy.prefix)), None)
    if limiting is None or (prefix and prefix != limiting.policy.prefix):
        messages.error(request, "Not done. That limit is not there any more.")
        return
    backend = open_backend(_state_url())
    try:
        count = reset(backend, [key] if key else list(keys(backend, limiting)))
    except (StateUnavailable, DatabaseError) as error:
        messages.error(request, f"Not done. {error}")
        return
    what = "1 counter" if count == 1 else f"{count} counters"
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(AttachedPolicy),
        object_repr=str(limiting)[:200],
        action_flag=CHANGE,
        change_message=f"Reset {what}{f': {key}' if key else ''}",
    )
    messages.success(request, f"{what} of {limiting} reset.")
