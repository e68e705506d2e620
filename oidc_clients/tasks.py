"""What the worker process does for providers: it fetches their keys before they expire.

A rotation finds its work in the database and may run at any time, twice or never: what it
fetches goes to the database (workers start from it, the console shows it) and to shared state
(workers take it up instead of fetching themselves).
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from celery import shared_task
from django.conf import settings

from oidc_clients.discovery import FetchedKeys, fetch_keys
from oidc_clients.fetch import FetchError
from oidc_clients.jwks import SECRET_BYTES, KeySet
from oidc_clients.keystore import STALE_LIMIT
from oidc_clients.models import Provider
from oidc_clients.published import Published, Source
from oidc_clients.rows import spec_of
from oidc_clients.stored_keys import store_keys
from policies.core.errors import StateUnavailable
from policies.stores.open import open_backend
from policies.stores.operations import Publish

logger = logging.getLogger(__name__)

PARALLEL = 8
"""Providers that are asked at the same time."""


class Rotation(NamedTuple):
    """What became of one provider: its keys as they are now, or why there are none."""

    provider: str
    keys: KeySet | None = None
    changed: bool = False
    error: str = ""


@shared_task(name="oidc_clients.tasks.rotate_jwks")
def rotate_jwks() -> None:
    """Fetch the keys of every provider that is switched on."""
    for rotation in rotate(Provider.objects.filter(enabled=True)):
        if rotation.keys is None:
            logger.warning("provider %s: keys not rotated: %s", rotation.provider, rotation.error)
        elif rotation.changed:
            logger.info("provider %s: its keys have changed", rotation.provider)
            for refused in rotation.keys.refused:
                logger.warning("provider %s: key %r refused: %s", rotation.provider, *refused)


def fetches_keys(provider: Provider) -> bool:
    """Whether a provider's keys are fetched, and not configured or a shared secret."""
    return not provider.static_keys and SECRET_BYTES.keys().isdisjoint(provider.algorithms)


def rotate(providers: Iterable[Provider]) -> list[Rotation]:
    """Fetch, store and publish the keys of those providers that publish any, in their order.

    A provider that fails keeps the keys it has, and is no obstacle to the others.
    """
    rows = [provider for provider in providers if fetches_keys(provider)]
    networks = settings.ENVIRONMENT.allow_private_upstreams
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(map(_kept, rows, pool.map(partial(_fetched, networks=networks), rows)))


class _Fetched(NamedTuple):
    source: Source
    at: float
    keys: FetchedKeys


def _fetched(provider: Provider, networks: tuple[str, ...]) -> _Fetched | str:
    """The keys, or why there are none. Runs in a thread: it asks the provider, no database."""
    at = time.time()
    try:
        spec = spec_of(provider, networks)
        return _Fetched(Source.of(spec), at, fetch_keys(spec))
    except (FetchError, ValueError) as error:
        return str(error)


def _kept(provider: Provider, fetched: _Fetched | str) -> Rotation:
    if isinstance(fetched, str):
        return Rotation(provider.name, error=fetched)
    source, at, (keys, max_age) = fetched
    value = Published.of(keys.document, at, max_age).encode()
    try:
        backend = open_backend(settings.CACHES["default"]["LOCATION"])
        backend.execute([Publish(source.keys, value, STALE_LIMIT)])
    except StateUnavailable as error:
        logger.warning("provider %s: its keys were not shared: %s", provider.name, error)
    return Rotation(provider.name, keys, store_keys(provider, source.digest, keys, at))
