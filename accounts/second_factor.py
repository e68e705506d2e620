"""The second factor of local accounts: codes of an authenticator app, and recovery codes.

RFC 6238 with its defaults (SHA-1, six digits, 30 seconds), as every app knows it. Rules:

1. A code is accepted once: of each time step at most one, and none older than the newest that
   was accepted (RFC 6238 5.2). The row is locked meanwhile, so two requests cannot share one.
2. One step before and after the present is accepted, for clocks that differ and slow fingers.
3. Recovery codes are random (59 bits), kept as keyed digests, and used up one by one.
4. Keys are sealed at rest; a key counts only once a code of it was typed.

How often somebody may try is ``accounts.throttle``'s.
"""

import base64
import re
import secrets
import time
from datetime import timedelta
from enum import Enum
from urllib.parse import quote, urlencode

import segno
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django_otp import login
from django_otp.oath import TOTP

from accounts.models import Authenticator, ConsoleSignIn, RecoveryCode
from oidc_clients.credentials import Peppers
from policies.secrets import Secret

KEY_BYTES = 20
TOLERANCE = 1
RECOVERY_CODES = 10
SET_UP_TIME = timedelta(minutes=15)
"""How long a key is offered before another one is made."""
PROVIDER_BACKEND = "accounts.backend.ConsoleBackend"
PROVIDER_SESSION_KEY = "console.issuer"  # where somebody signed in who did so at a provider

_STANDING = "console.standing"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is read for something else
_GROUPS, _GROUP = 3, 4
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


class Standing(Enum):
    """How far somebody has come who gave the right password, or came from the provider."""

    COMPLETE = "complete"
    NEEDS_CODE = "code"
    NEEDS_SET_UP = "set-up"
    OVER = "over"  # the provider is not the console's any longer


def standing(request: HttpRequest) -> Standing:
    """How far the user of a request has come. Remembered for the request."""
    known: Standing | None = request.META.get(_STANDING)
    if known is None:
        known = request.META[_STANDING] = _standing(request)
    return known


def _standing(request: HttpRequest) -> Standing:
    sign_in = ConsoleSignIn.current()
    if request.session.get(BACKEND_SESSION_KEY) == PROVIDER_BACKEND:
        provider = sign_in.provider
        issuer = request.session.get(PROVIDER_SESSION_KEY)
        current = provider is not None and provider.enabled and provider.issuer == issuer
        return Standing.COMPLETE if current else Standing.OVER
    if request.user.is_verified():  # type: ignore[union-attr]
        return Standing.COMPLETE
    if authenticator_of(request.user) is not None:  # type: ignore[arg-type]
        return Standing.NEEDS_CODE
    return Standing.NEEDS_SET_UP if sign_in.second_factor_required else Standing.COMPLETE


def authenticator_of(user: User) -> Authenticator | None:
    """The one that counts."""
    found: Authenticator | None = Authenticator.objects.filter(user=user, confirmed=True).first()
    return found


def accepts(authenticator: Authenticator, code: str) -> bool:
    """Whether a code is right, and new; if so it is used up. The row must be locked."""
    digits = code.replace(" ", "")
    if not _CODE.fullmatch(digits):
        return False
    totp = TOTP(base64.b32decode(authenticator.key.reveal()))
    totp.time = time.time()
    if not totp.verify(int(digits), TOLERANCE, authenticator.last_step + 1):
        return False
    authenticator.last_step = totp.t()
    authenticator.save(update_fields=["last_step"])
    return True


@transaction.atomic
def proven(user: User, code: str) -> Authenticator | None:
    """The authenticator that a code, or a recovery code instead of it, speaks for."""
    row = Authenticator.objects.select_for_update().filter(user=user, confirmed=True).first()
    if row is None:
        return None
    return row if row.verify_token(code) or _recovers(user, code) else None


def offered(user: User) -> Authenticator:
    """A key that somebody may put into their app; it does not count yet."""
    begun = timezone.now() - SET_UP_TIME
    Authenticator.objects.filter(user=user, confirmed=False, created__lt=begun).delete()
    key = base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()
    made = {"name": "authenticator", "key": Secret(key)}
    row: Authenticator
    row, _ = Authenticator.objects.get_or_create(user=user, confirmed=False, defaults=made)
    return row


@transaction.atomic
def set_up(user: User, code: str) -> tuple[Authenticator, list[str]] | None:
    """From now on the offered key counts, and no other; with it come recovery codes, shown this
    once. None where the code is not one of it."""
    row = Authenticator.objects.select_for_update().filter(user=user, confirmed=False).first()
    if row is None or not row.verify_token(code):
        return None
    Authenticator.objects.filter(user=user, confirmed=True).delete()
    row.confirmed = True
    row.save(update_fields=["confirmed"])
    return row, new_recovery_codes(user)


@transaction.atomic
def remove(user: User) -> None:
    """Forget the second factor of an account."""
    Authenticator.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()


@transaction.atomic
def new_recovery_codes(user: User) -> list[str]:
    """Fresh ones; all earlier ones end."""
    RecoveryCode.objects.filter(user=user).delete()
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    peppers = Peppers(settings.SECRET_KEYS)
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, digest=peppers.digest(_digested(user, code))) for code in codes
    )
    return codes


def pass_on(request: HttpRequest, authenticator: Authenticator) -> None:
    """The session has come all the way; it is a new one, which nobody knew before."""
    request.session.cycle_key()
    login(request, authenticator)
    request.META.pop(_STANDING, None)


def readable(authenticator: Authenticator) -> str:
    """The key as it is typed where there is no camera."""
    key = authenticator.key.reveal()
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))


def uri(authenticator: Authenticator) -> str:
    """What an authenticator app reads (the otpauth key URI format)."""
    label = quote(f"Gatehouse:{authenticator.user.get_username()}")
    secret = authenticator.key.reveal()
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': 'Gatehouse'})}"


def qr_code(text: str) -> str:
    """A text as SVG markup, without styles or scripts."""
    return segno.make(text, error="m").svg_inline(omitsize=True, border=4, light="white")


def _recovery_code() -> str:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _recovers(user: User, code: str) -> bool:
    """Whether it is a recovery code of the account; if so it is used up."""
    digests = Peppers(settings.SECRET_KEYS).candidates(_digested(user, code))
    deleted, _ = RecoveryCode.objects.filter(user=user, digest__in=digests).delete()
    return deleted > 0


def _digested(user: User, code: str) -> str:
    letters = re.sub(r"[\s-]", "", code.lower())
    return f"recovery {user.pk} {letters}"
