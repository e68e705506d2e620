"""How often somebody may try to sign in to the console: per account and per address.

Counted in shared state before the password is looked at, so that a refused attempt costs
nothing and tells nothing. An account that does not exist is counted like one that does.
"""

import unicodedata

from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django_ratelimit.core import get_usage

from policies.core.errors import StateUnavailable

PER_ACCOUNT = "10/5m"
PER_ADDRESS = "30/5m"


def seconds_to_wait(request: HttpRequest) -> int:
    """Count one attempt; 0 when it may be made, else the seconds until the next one may.

    Raises ``StateUnavailable`` when it cannot be counted.
    """
    limits = (
        _usage(request, "address", "ip", PER_ADDRESS),
        _usage(request, "account", _account, PER_ACCOUNT),
    )
    return max((max(1, left) for refused, left in limits if refused), default=0)


def _usage(request: HttpRequest, what: str, key: object, rate: str) -> tuple[bool, int]:
    group = f"console.sign_in.{what}"
    usage = get_usage(request, group=group, key=key, rate=rate, increment=True)
    if usage is None or usage["limit"] == 0:
        raise StateUnavailable("attempts to sign in cannot be counted")
    return usage["should_limit"], usage["time_left"]


def _account(group: str, request: HttpRequest) -> str:
    """A key that does not tell the account's name to who reads the store."""
    name = unicodedata.normalize("NFKC", request.POST.get("username", "")).strip().casefold()
    return salted_hmac("console.sign_in", name).hexdigest()
