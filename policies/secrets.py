"""Secrets at rest: an AEAD-encrypted model field whose values redact themselves.

Threat model. Someone reads the database, a backup or an export: ciphertext only. Someone
writes one row's ciphertext into another row: it does not open, because table, column and
primary key are authenticated with it. Someone prints a model, a form or a log record: the
value's ``repr`` is a redaction.

Stored form: ``<key id>:<base64url(nonce || ciphertext)>``, AES-256-GCM (NIST SP 800-38D) with
a random 96-bit nonce; where it is known which variable or file the secret was read from, that
follows after a blank (``env:NAME``, ``file:/path``) and is authenticated as well. It stands in
the same column, so that a secret that is typed in replaces both. The first key of
``SECRET_KEYS`` encrypts; all of them decrypt, so that keys rotate by prepending one and
running ``manage.py rotate_secrets``.
"""

import base64
import hashlib
import os
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

from policies.references import SecretUnreadable

REDACTED = "[redacted]"


class Secret:
    """A secret in memory: shows itself only through ``reveal``.

    ``source`` is where it was read from, ``env:NAME`` or ``file:/path``; empty: not known.
    """

    __slots__ = ("_plain", "source")

    def __init__(self, plain: str, source: str = "") -> None:
        self._plain = plain
        self.source = source

    def reveal(self) -> str:
        return self._plain

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._plain == self._plain

    def __hash__(self) -> int:
        return hash(self._plain)

    def __bool__(self) -> bool:
        return bool(self._plain)


class Keyring:
    """The encryption keys: the first encrypts, every one may decrypt."""

    def __init__(self, keys: list[str]) -> None:
        if not keys:
            raise ValueError("at least one secret key is needed")
        self._ciphers: dict[str, AESGCM] = {}
        for key in keys:
            derived = hashlib.sha256(b"gatehouse at rest\0" + key.encode()).digest()
            key_id = hashlib.sha256(b"key id\0" + derived).hexdigest()[:8]
            self._ciphers.setdefault(key_id, AESGCM(derived))
        self.primary = next(iter(self._ciphers))

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.SECRET_KEYS)

    def seal(self, plain: str, context: str, source: str = "") -> str:
        """Encrypt; ``context`` must be given again to open."""
        nonce = os.urandom(12)
        data = _authenticated(context, source)
        body = self._ciphers[self.primary].encrypt(nonce, plain.encode(), data)
        stored = f"{self.primary}:{base64.urlsafe_b64encode(nonce + body).decode()}"
        return f"{stored} {source}" if source else stored

    def open(self, stored: str, context: str) -> str:
        """Decrypt. Raises ``SecretUnreadable``."""
        sealed, _, source = stored.partition(" ")
        key_id, _, body = sealed.partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable(f"{context}: sealed with a key that is not configured")
        try:
            raw = base64.urlsafe_b64decode(body.encode())
            return cipher.decrypt(raw[:12], raw[12:], _authenticated(context, source)).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable(f"{context}: does not open with its key") from error


def _authenticated(context: str, source: str) -> bytes:
    return f"{context} {source}".encode() if source else context.encode()


class SealedValue:
    """What the database holds for one secret, until somebody asks to reveal it."""

    __slots__ = ("context", "stored")

    def __init__(self, stored: str, context: str) -> None:
        self.stored = stored
        self.context = context

    @property
    def source(self) -> str:
        """Where the secret was read from, ``env:NAME`` or ``file:/path``; empty: not known."""
        return self.stored.partition(" ")[2]

    def reveal(self) -> str:
        """The plain text. Raises ``SecretUnreadable``."""
        return Keyring.from_settings().open(self.stored, self.context)

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.stored)


class _Attribute:
    """Reads a stored secret as ``SealedValue``; takes plain text as ``Secret``."""

    def __init__(self, field: "SecretField") -> None:
        self._field = field

    def __get__(self, instance: models.Model | None, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.__dict__.get(self._field.attname, "")
        if isinstance(value, Secret):
            return value
        return SealedValue(value, self._field.context(instance))

    def __set__(self, instance: models.Model, value: Any) -> None:
        if isinstance(value, SealedValue):
            value = value.stored
        instance.__dict__[self._field.attname] = value


class SecretField(models.TextField):  # type: ignore[type-arg]
    """Text encrypted at rest. Assign ``Secret("...")``; read ``.reveal()``.

    A plain string assigned to it is taken for the stored form (that is what the database
    layer does), so application code always assigns a ``Secret``. The model needs a primary
    key that is known before the row is written (a UUID default).
    """

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]
        super().contribute_to_class(cls, name, **kwargs)
        setattr(cls, self.attname, _Attribute(self))

    def context(self, instance: models.Model) -> str:
        return f"{instance._meta.db_table}.{self.column}:{instance.pk}"

    def to_python(self, value: Any) -> Any:
        """Secrets pass validation as they are: as text they would be their redaction."""
        return value if isinstance(value, Secret | SealedValue) else super().to_python(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname, "")
        if isinstance(value, Secret):
            plain = value.reveal()
            context = self.context(model_instance)
            sealed = Keyring.from_settings().seal(plain, context, value.source)
            value = sealed if plain else ""
            model_instance.__dict__[self.attname] = value
        return value
