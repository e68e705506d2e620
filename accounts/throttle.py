"""How often somebody may try to sign in to the console: per account and per address.

Counted in shared state before anything is looked at, so that a refused attempt costs nothing
and tells nothing. An account that does not exist is counted like one that does. Each step of a
sign-in counts for itself: junk at one of them does not close another.
"""

import unicodedata

from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django_ratelimit.core import get_usage

from policies.core.errors import StateUnavailable

PER_ACCOUNT = "10/5m"
PER_ADDRESS = "30/5m"
CODES_PER_ACCOUNT = ("5/5m", "50/d")
"""Six digits can be guessed: of those who know a password, few attempts are taken."""


def password_wait(request: HttpRequest) -> int:
    """Count one password; 0 when it may be looked at, else the seconds until the next one may.

    Raises ``StateUnavailable`` when it cannot be counted.
    """
    name = unicodedata.normalize("NFKC", request.POST.get("username", "")).strip().casefold()
    return _wait(request, "sign_in", name, (PER_ACCOUNT,))


def code_wait(request: HttpRequest) -> int:
    """Count one code of a second factor of who is signed in; as ``password_wait``."""
    return _wait(request, "second_factor", str(request.user.pk), CODES_PER_ACCOUNT)


def provider_wait(request: HttpRequest) -> int:
    """Count one step of a sign-in at the provider; as ``password_wait``."""
    return _wait(request, "provider")


def _wait(request: HttpRequest, step: str, account: str = "", rates: tuple[str, ...] = ()) -> int:
    # The key does not tell the account's name to who reads the store.
    key = salted_hmac("console.sign_in", account).hexdigest()
    limits = [_usage(request, f"{step}.address", "ip", PER_ADDRESS)]
    limits += [_usage(request, f"{step}.account", lambda *_: key, rate) for rate in rates]
    return max((max(1, left) for refused, left in limits if refused), default=0)


def _usage(request: HttpRequest, what: str, key: object, rate: str) -> tuple[bool, int]:
    usage = get_usage(request, group=f"console.{what}", key=key, rate=rate, increment=True)
    if usage is None or usage["limit"] == 0:
        raise StateUnavailable("attempts to sign in cannot be counted")
    return usage["should_limit"], usage["time_left"]
