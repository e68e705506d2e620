"""What the worker process does for shared state and for the gateway's own keys."""

import logging
import time

from celery import shared_task
from django.conf import settings

from policies import key_life
from policies.core.errors import StateUnavailable
from policies.models import QuotaUsage
from policies.stores.database import DatabaseBackend
from policies.stores.open import open_backend

logger = logging.getLogger(__name__)


@shared_task(name="policies.tasks.purge_state")
def purge_state() -> None:
    """Delete what has ended from the local store; other stores drop it by themselves."""
    backend = open_backend(settings.CACHES["default"]["LOCATION"])
    if not isinstance(backend, DatabaseBackend):
        return
    try:
        count = backend.purge()
    except StateUnavailable as error:
        logger.warning("the local store was not purged, the next run will try again: %s", error)
        return
    logger.debug("%d ended entries were purged", count)


@shared_task(name="policies.tasks.rotate_signing_keys")
def rotate_signing_keys() -> None:
    """Let the gateway's signing keys succeed each other."""
    if key_life.rotate():
        logger.info("the gateway's signing keys have changed")


@shared_task(name="policies.tasks.purge_quotas")
def purge_quotas() -> None:
    """Delete what was used of quotas in periods that have ended."""
    count, _ = QuotaUsage.objects.filter(ends__lte=time.time()).delete()
    logger.debug("%d rows of ended quotas were purged", count)
