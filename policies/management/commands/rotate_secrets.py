"""``manage.py rotate_secrets``: seal every stored secret again, under the newest key.

Run it after a new key was put in front of ``GATEHOUSE_SECRET_KEYS`` and every process was
restarted with both; afterwards the old key may go.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from policies.references import SecretUnreadable
from policies.secrets import Keyring, Secret, SecretField


class Command(BaseCommand):
    help = "Re-encrypt every stored secret under the first of GATEHOUSE_SECRET_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            # Saving a row tells the workers, which renew their sealed copy of the configuration.
            unreadable, lines, total = rotate(Keyring.from_settings())
            if unreadable:
                raise CommandError(
                    "\n".join([*unreadable, "nothing was changed: add the key that sealed them"]),
                    returncode=2,
                )
        for line in lines:
            self.stdout.write(line)
        self.stdout.write(f"{total} re-encrypted")


def rotate(keyring: Keyring) -> tuple[list[str], list[str], int]:
    """Seal again what is not sealed under the newest key.

    Returns what no key opens, a line for each column, and how many were sealed again. The
    caller holds the transaction, and undoes it if anything could not be opened.
    """
    unreadable: list[str] = []
    lines: list[str] = []
    total = 0
    for model, field in _columns():
        count = rotated = 0
        for row in model._default_manager.exclude(**{field.attname: ""}).select_for_update():
            count += 1
            sealed = getattr(row, field.attname)
            if sealed.stored.startswith(f"{keyring.primary}:"):
                continue
            try:
                setattr(row, field.attname, Secret(sealed.reveal(), sealed.source))
            except SecretUnreadable as error:
                unreadable.append(str(error))
                continue
            row.save(update_fields=[field.name])
            rotated += 1
        total += rotated
        lines.append(f"{model._meta.label}.{field.name}: {rotated} of {count} re-encrypted")
    return unreadable, lines, total


def _columns() -> Iterator[tuple[type[models.Model], SecretField]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, SecretField):
                yield model, field
