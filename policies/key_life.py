"""The life of the gateway's signing keys in the database: made, succeeded, revoked, forgotten.

Every step finds its work in the rows, so that it may run at any time, twice or never; steps at
the same moment take turns. ``policies.gateway_keys`` says how long a key lives.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import wraps
from typing import NamedTuple

from django.db import transaction

from policies import gateway_keys
from policies.gateway_keys import AHEAD, KEEP, PERIOD
from policies.http.algorithms import p256_jwk, thumbprint
from policies.models import GatewayKey, Generation
from policies.references import SecretUnreadable
from policies.secrets import SealedValue, Secret

logger = logging.getLogger(__name__)


def _step(step: Callable[..., bool]) -> Callable[..., bool]:
    """One change of the keys: in a transaction, and after any other."""

    @wraps(step)
    def locked(*arguments: object, now: float | None = None) -> bool:
        with transaction.atomic():
            Generation.lock(Generation.SIGNING)
            return step(*arguments, time.time() if now is None else now)

    return locked


@_step
def ensure(now: float) -> bool:
    """Make the first key, if there is none. Whether it was made."""
    if GatewayKey.objects.filter(revoked=None).exists():
        return False
    _make(now, signs_from=now)
    return True


@_step
def rotate(now: float) -> bool:
    """Publish a successor in time, and forget what no signature needs. Whether anything changed.

    Without a first key there is nothing to rotate: nobody asked for signatures.
    """
    newest = GatewayKey.objects.filter(revoked=None).first()
    if newest is None:
        return _forget(now)
    succeeded = newest.signs_from.timestamp() + PERIOD - AHEAD <= now
    if succeeded:
        _make(now, signs_from=now + AHEAD)
    return _forget(now) or succeeded


@_step
def succeed(now: float) -> bool:
    """Publish a successor now, whatever the age of the key. Whether one was made.

    None is made while another successor is waiting for its turn.
    """
    if GatewayKey.objects.filter(revoked=None, signs_from__gt=_moment(now)).exists():
        return False
    _make(now, signs_from=now + AHEAD)
    return True


@_step
def revoke(key: GatewayKey, now: float) -> bool:
    """Take a key out of use at once, and out of what is published. Whether it was in it.

    If no other one signs, the waiting successor does from now on, or a new one.
    """
    row = GatewayKey.objects.get(pk=key.pk)
    if row.revoked is not None:
        return False
    row.revoked = _moment(now)
    row.save(update_fields=["revoked"])
    usable = GatewayKey.objects.filter(revoked=None)
    if not usable.filter(signs_from__lte=row.revoked).exists():
        waiting = usable.last()
        if waiting is None:
            _make(now, signs_from=now)
        else:
            waiting.signs_from = row.revoked
            waiting.save(update_fields=["signs_from"])
    return True


class SealedKey(NamedTuple):
    """A published key as the database holds it."""

    key_id: str
    signs_from: float
    sealed: str
    context: str


def sealed_keys() -> list[SealedKey]:
    """The keys that are published. Asks the database."""
    rows = GatewayKey.objects.filter(revoked=None)
    return [
        SealedKey(row.key_id, row.signs_from.timestamp(), *_as_stored(row.private_key))
        for row in rows
    ]


def _as_stored(secret: SealedValue) -> tuple[str, str]:
    return secret.stored, secret.context


def opened(keys: Iterable[SealedKey]) -> list[gateway_keys.GatewayKey]:
    """The keys, ready to sign.

    One that cannot be opened is left out, and said: better another key signs than none.
    """
    ready = []
    for key in keys:
        try:
            private = gateway_keys.from_pem(SealedValue(key.sealed, key.context).reveal())
        except (ValueError, SecretUnreadable) as error:
            logger.error("signing key %s cannot be used: %s", key.key_id, error)
            continue
        ready.append(gateway_keys.GatewayKey(key.key_id, key.signs_from, private))
    return ready


def state(key: GatewayKey, now: float) -> str:
    """What a key is there for at a moment, in words for people."""
    if key.revoked is not None:
        return "revoked"
    if key.signs_from > _moment(now):
        return "published, will sign"
    newer = GatewayKey.objects.filter(
        revoked=None, signs_from__gt=key.signs_from, signs_from__lte=_moment(now)
    )
    return "published, has signed" if newer.exists() else "signs"


def _make(now: float, signs_from: float) -> None:
    private = gateway_keys.make_private_key()
    row = GatewayKey(
        key_id=thumbprint(p256_jwk(private.public_key())),
        created=_moment(now),
        signs_from=_moment(signs_from),
    )
    row.private_key = Secret(gateway_keys.as_pem(private))
    row.save()


def _forget(now: float) -> bool:
    """Delete what was succeeded or revoked long enough ago. Whether that was published."""
    GatewayKey.objects.filter(revoked__lt=_moment(now - KEEP)).delete()
    usable = GatewayKey.objects.filter(revoked=None)
    successor = usable.filter(signs_from__lt=_moment(now - KEEP)).first()
    if successor is None:
        return False
    deleted, _ = usable.filter(signs_from__lt=successor.signs_from).delete()
    if deleted:
        Generation.bump(Generation.SIGNING)
    return deleted > 0


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
