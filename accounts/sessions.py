"""How long a console session lasts: by idleness, and in all.

Django knows one age, counted from the last change of a session; here both are counted, whatever
the session holds. What is over is emptied, so that the cookie is worth nothing any more.
"""

import time
from collections.abc import Callable

from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from accounts.models import ConsoleSignIn

BEGAN, SEEN = "console.began", "console.seen"
_GRAIN = 20  # seconds within which a session that is in use is not written again


def begin(sender: type, request: HttpRequest, user: User, **kwargs: object) -> None:
    """Somebody signs in."""
    request.session[BEGAN] = request.session[SEEN] = int(time.time())


class SessionLimits:
    """Middleware: ends what has lasted too long. After authentication, before any view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            self._look(request)
        return self._get_response(request)

    def _look(self, request: HttpRequest) -> None:
        now, session = int(time.time()), request.session
        began, seen = session.get(BEGAN), session.get(SEEN)
        sign_in = ConsoleSignIn.current()
        if (
            not isinstance(began, int)
            or not isinstance(seen, int)
            or now - began >= sign_in.lifetime_minutes * 60
            or now - seen >= sign_in.idle_minutes * 60
        ):
            logout(request)
        elif now - seen >= _GRAIN:
            session[SEEN] = now
