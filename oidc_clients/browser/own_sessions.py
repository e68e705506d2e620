"""``/auth/sessions``: a person sees where they are signed in, and ends what they do not know.

Only the sessions of the one who is signed in, at the same provider; no script is needed. Who
asks to end one is proven by where it asks from (``Visit.require_same_origin``).
"""

from datetime import UTC, datetime

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from oidc_clients.browser.agents import browser_name
from oidc_clients.browser.desk import desk
from oidc_clients.browser.http import Visit, page, redirect
from oidc_clients.browser.store import Found
from oidc_clients.browser.views import end_session_url


@csrf_exempt
def sessions(request: HttpRequest) -> HttpResponse:
    """The list."""
    visit = Visit.of(request, "GET")
    own, others = async_to_sync(_those_of)(visit)
    if own is None:
        return page(request, "browser/signed_out.html", {"needed": True}, 401)
    context = {
        "name": own.session.name or own.session.subject,
        "provider": own.session.provider,
        "sessions": [_shown(own, True), *(_shown(item, False) for item in others)],
    }
    return page(request, "browser/sessions.html", context, to=end_session_url(visit, own))


@csrf_exempt
def end(request: HttpRequest) -> HttpResponse:
    """End the sessions that were chosen: one, or all others."""
    visit = Visit.of(request, "POST")
    visit.require_same_origin()
    own, others = async_to_sync(_those_of)(visit)
    if own is None:
        return redirect("/auth/sessions", 303)
    chosen = set(request.POST.getlist("session"))
    keys = [item.key for item in others if item.key in chosen or "others" in request.POST]
    async_to_sync(desk().sessions.end)(own.session.provider, own.session.subject, keys)
    return redirect("/auth/sessions", 303)


async def _those_of(visit: Visit) -> tuple[Found | None, list[Found]]:
    """This browser's session, and the same person's others, the newest first."""
    store = desk().sessions
    own = await visit.session(store)
    if own is None:
        return None, []
    rows = await store.of_person(own.session.provider, own.session.subject)
    others = await store.alive(row for row in rows if row.key != own.key)
    return own, sorted(others, key=lambda item: item.session.created, reverse=True)


def _shown(found: Found, current: bool) -> dict[str, object]:
    held = found.session
    return {
        "key": found.key,
        "current": current,
        "agent": browser_name(held.agent),
        "address": held.address,
        "created": moment(held.created),
        "ends": moment(held.ends),
    }


def moment(seconds: float) -> datetime:
    """Seconds since the epoch, for people."""
    return datetime.fromtimestamp(seconds, UTC)
