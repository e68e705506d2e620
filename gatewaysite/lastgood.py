"""What was last put in force, kept on this machine.

A worker that starts while the database is down serves the configuration that is kept here (F1).
Secrets stand in it as they stand in the database: sealed. It is a copy for this installation
alone, not an export.
"""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from apis.config import Document
from oidc_clients.revocation import Entry, RevocationBook
from policies.key_life import SealedKey
from policies.references import STORED

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _File:
    """One file, replaced as a whole, readable by its owner alone.

    What goes wrong with it is logged: serving does not depend on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, value: Any) -> None:
        """Keep a value that JSON can say."""
        content = json.dumps(value, sort_keys=True).encode()
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            if self._path.exists() and self._path.read_bytes() == content:
                return
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            logger.error("what is in force was not kept in %s: %s", self._path, error)
            fresh.unlink(missing_ok=True)

    def read(self, made_of: Callable[[Any], T]) -> T | None:
        """What ``made_of`` makes of the value that was kept; None when it cannot be used.

        ``made_of`` raises ``ValueError`` or ``TypeError``.
        """
        try:
            return made_of(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            logger.error("what is kept in %s cannot be used: %s", self._path, error)
            return None


class LastGood(_File):
    """A document."""

    def save(self, document: Document) -> None:
        self.write(document.model_dump(mode="json", context=STORED))

    def load(self) -> Document | None:
        return self.read(lambda value: Document.model_validate(value, context=STORED))


class LastKeys(_File):
    """The gateway's own signing keys, sealed."""

    def save(self, keys: list[SealedKey]) -> None:
        self.write([key._asdict() for key in keys])

    def load(self) -> list[SealedKey] | None:
        return self.read(lambda value: [SealedKey(**key) for key in value])


class LastRevocations(_File):
    """What was taken back."""

    def save(self, book: RevocationBook) -> None:
        self.write(book.entries)

    def load(self) -> RevocationBook | None:
        return self.read(lambda value: RevocationBook(Entry.of(*entry) for entry in value))
