"""What was last put in force, kept on this machine.

A worker that starts while the database is down serves the configuration that is kept here (F1).
Secrets stand in it as they stand in the database: sealed. It is a copy for this installation
alone, not an export.
"""

import json
import logging
import os
from pathlib import Path

from apis.config import Document
from policies.references import STORED

logger = logging.getLogger(__name__)


class Kept:
    """One file, replaced as a whole, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, content: bytes) -> None:
        """Keep a content. What goes wrong is logged: serving does not depend on it."""
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            if self.path.exists() and self.path.read_bytes() == content:
                return
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            logger.error("%s cannot be written: %s", self.path, error)
            fresh.unlink(missing_ok=True)


class LastGood(Kept):
    """The last good configuration."""

    def save(self, document: Document) -> None:
        """Keep a document; see ``Kept.write``."""
        stored = document.model_dump(mode="json", context=STORED)
        self.write(json.dumps(stored, sort_keys=True).encode())

    def load(self) -> Document | None:
        """The document that was kept; None when there is none that can be used."""
        try:
            content = json.loads(self.path.read_bytes())
            return Document.model_validate(content, context=STORED)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.error("the configuration kept in %s cannot be used: %s", self.path, error)
            return None
