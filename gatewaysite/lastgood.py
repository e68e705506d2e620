"""The last configuration that was put in force, kept on this machine.

A worker that starts while the database is down serves this one (F1). Secrets stand in it as
they stand in the database: sealed. It is a copy for this installation alone, not an export.
"""

import json
import logging
import os
from pathlib import Path

from apis.config import Document
from policies.references import STORED

logger = logging.getLogger(__name__)


class LastGood:
    """One file, replaced as a whole, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, document: Document) -> None:
        """Keep a document. What goes wrong is logged: serving does not depend on it."""
        content = json.dumps(
            document.model_dump(mode="json", context=STORED), sort_keys=True
        ).encode()
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
            logger.error("the configuration was not kept in %s: %s", self._path, error)
            fresh.unlink(missing_ok=True)

    def load(self) -> Document | None:
        """The document that was kept; None when there is none that can be used."""
        try:
            content = json.loads(self._path.read_bytes())
            return Document.model_validate(content, context=STORED)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.error("the configuration kept in %s cannot be used: %s", self._path, error)
            return None
