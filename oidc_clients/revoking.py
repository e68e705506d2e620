"""Taking tokens back: what the console and the ``revoke`` command do, and what workers read.

A token that is pasted is taken apart, not verified: whoever may revoke may name any token, and
the keys that signed it may be gone. Only its issuer, ``jti`` and expiry are kept.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from oidc_clients.claims import is_time
from oidc_clients.compact import parse
from oidc_clients.models import Provider, Revocation
from oidc_clients.provider import MAX_LEEWAY
from oidc_clients.revocation import NEVER, Entry, Kind, RevocationBook
from oidc_clients.strict import NotStrict, json_object

KEPT = timedelta(days=366)
"""How long an entry is kept that does not know when its tokens expire: no token issued before
may be valid longer."""
MAX_VALUE = 1000


class NotRevocable(ValueError):
    """Why something cannot be taken back; the message is for the administrator."""


class Named(NamedTuple):
    """One token: whose it is, its ``jti``, and when it ends."""

    issuer: str
    token_id: str
    expires: datetime


def named_by(token: str) -> Named:
    """What a pasted token says of itself. Raises ``NotRevocable``; nothing of the token is in
    the message."""
    text = token.strip()
    if text[:7].lower() == "bearer ":
        text = text[7:].strip()
    try:
        claims = json_object(parse(text.encode()).payload)
    except NotStrict:
        raise NotRevocable("this is not a signed JWT") from None
    issuer, token_id = claims.get("iss"), claims.get("jti")
    ends: Any = claims.get("exp")
    if not isinstance(issuer, str) or not Provider.objects.filter(issuer=issuer).exists():
        raise NotRevocable("the token comes from no registered provider")
    if not isinstance(token_id, str) or not token_id:
        raise NotRevocable("the token has no jti: take back the tokens of its subject instead")
    if not is_time(ends) or ends > datetime.max.replace(tzinfo=UTC).timestamp() - MAX_LEEWAY:
        raise NotRevocable("the token has no valid exp")
    expires = datetime.fromtimestamp(ends + MAX_LEEWAY, UTC)
    if expires <= timezone.now():
        raise NotRevocable("the token has expired already")
    return Named(issuer, token_id, expires)


@transaction.atomic
def revoke(
    issuer: str,
    kind: Kind,
    value: str = "",
    *,
    before: datetime | None = None,
    expires: datetime | None = None,
    reason: str = "",
) -> Revocation:
    """Take back one token (``value``: its ``jti``), or all that a subject, a client or the whole
    issuer got ``before`` a moment (None: now).

    What was taken back already stays so: of two moments the later one holds.
    Raises ``NotRevocable``.
    """
    if bool(value) == (kind is Kind.ISSUER):
        raise NotRevocable("say whose tokens, or which one" if not value else "name no value")
    if len(value) > MAX_VALUE:
        raise NotRevocable(f"this is longer than {MAX_VALUE} characters")
    now = timezone.now()
    moment = None if kind is Kind.TOKEN else before or now
    if moment is not None and moment > now + timedelta(days=1):
        raise NotRevocable("the moment is more than a day away")
    until = expires or max(moment or now, now) + KEPT
    key = _digest(issuer, kind, value)
    former = Revocation.objects.select_for_update().filter(pk=key).first()
    if former is not None:
        until = max(until, former.expires)
        if moment is not None and former.before is not None:
            moment = max(moment, former.before)
    row = Revocation(
        id=key,
        issuer=issuer,
        kind=kind,
        value=value,
        before=moment,
        expires=until,
        reason=reason or (former.reason if former else ""),
        created=former.created if former else now,
    )
    row.save(force_insert=former is None)
    return row


def stored_book() -> RevocationBook:
    """What is in force, as the database has it."""
    rows = Revocation.objects.filter(expires__gt=timezone.now())
    return RevocationBook(
        Entry(
            row.issuer, Kind(row.kind), row.value, row.before.timestamp() if row.before else NEVER
        )
        for row in rows.iterator()
    )


@transaction.atomic
def purge() -> int:
    """Delete the entries that cover no valid token any more; how many there were."""
    ended = Revocation.objects.filter(expires__lte=timezone.now())
    count, _ = ended.delete()
    return count


def _digest(*parts: str) -> str:
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
