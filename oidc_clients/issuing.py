"""API keys that are made here: issued, rotated with an overlap, and written down when used.

An issued key belongs to no configuration file until one names it: a file that does not mention
it leaves it alone (``apis.merge``).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from oidc_clients.credentials import ISSUED, Peppers, make_api_key, shown_prefix
from oidc_clients.models import ApiKey, Client

DEFAULT_OVERLAP = timedelta(days=1)
MAX_OVERLAP_HOURS = 24 * 90
_WRITTEN_AT_ONCE = 500


def issue(
    client: Client, name: str, scopes: Iterable[str] = (), expires: datetime | None = None
) -> str:
    """Give a client a new key. What is returned exists nowhere else: only its digest is kept."""
    key = make_api_key()
    client.api_keys.create(
        name=name,
        prefix=shown_prefix(key),
        digest=Peppers(settings.SECRET_KEYS).digest(key),
        source=ISSUED,
        scopes=list(scopes),
        expires=expires,
    )
    return key


@transaction.atomic
def rotate(former: ApiKey, overlap: timedelta = DEFAULT_OVERLAP) -> str:
    """A new key with the scopes and the expiry of ``former``, which goes on working for
    ``overlap`` (and not beyond its own expiry)."""
    key = issue(former.client, free_name(former.client), former.scopes, former.expires)
    until = timezone.now() + overlap
    if former.expires is None or former.expires > until:
        former.expires = until
        former.save(update_fields=["expires"])
    return key


def free_name(client: Client) -> str:
    """``key-1``, ``key-2``, …: what a key is called among the client's."""
    taken = set(client.api_keys.values_list("name", flat=True))
    return next(
        name for name in map("key-{}".format, range(1, len(taken) + 2)) if name not in taken
    )


def write_used(digests: Iterable[str], moment: datetime) -> None:
    """Write down that keys were used, at the latest at ``moment``. This is no change of the
    configuration: no generation rises."""
    rest = list(digests)
    while rest:
        now, rest = rest[:_WRITTEN_AT_ONCE], rest[_WRITTEN_AT_ONCE:]
        earlier = Q(last_used=None) | Q(last_used__lt=moment)
        ApiKey.objects.filter(earlier, digest__in=now).update(last_used=moment)
