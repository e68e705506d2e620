"""The last key set of each provider in the database: what a worker starts from when the
provider is down, and what the console shows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import transaction

from oidc_clients.jwks import KeySet
from oidc_clients.models import Provider, ProviderKey
from policies.models import Generation


class StoredSet(NamedTuple):
    """Admitted keys of a provider as a JWK Set, with what ``KeyStore.install`` wants to know."""

    provider: str
    source: str
    document: dict[str, Any]
    fetched_at: float


def store_keys(provider: Provider, source: str, keys: KeySet, fetched_at: float) -> bool:
    """Put a fetched set in the place of the stored one, as one transaction.

    ``source`` is the digest of the source it was fetched from. Returns whether anything but the
    moment has changed; only then the generation of keys rises.
    """
    moment = datetime.fromtimestamp(fetched_at, UTC)
    rows = [
        ProviderKey(
            provider=provider,
            kid=entry.kid or "",
            jwk=dict(entry.jwk),
            admitted=entry.key is not None,
            reason=entry.reason,
            source=source,
            fetched_at=moment,
        )
        for entry in keys.entries
    ]
    with transaction.atomic():
        # Two rotations at once take turns; a provider that was deleted meanwhile gets no keys.
        if not Provider.objects.select_for_update().filter(pk=provider.pk).exists():
            return False
        stored = ProviderKey.objects.filter(provider=provider).order_by("id")
        if list(map(_content, stored)) == list(map(_content, rows)):
            stored.update(fetched_at=moment)
            return False
        stored.delete()
        ProviderKey.objects.bulk_create(rows)
        Generation.bump(Generation.KEYS)
    return True


def _content(row: ProviderKey) -> tuple[object, ...]:
    return (row.kid, row.jwk, row.admitted, row.reason, row.source)


def stored_sets() -> Iterator[StoredSet]:
    """The stored set of every provider that has one."""
    rows = ProviderKey.objects.filter(admitted=True).select_related("provider")
    for name, group in groupby(rows.order_by("provider", "id"), attrgetter("provider.name")):
        keys = list(group)
        document = {"keys": [row.jwk for row in keys]}
        yield StoredSet(name, keys[0].source, document, keys[0].fetched_at.timestamp())
