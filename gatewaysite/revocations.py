"""Follows what was taken back, for one worker: read when its generation rises, looked up in memory.

A database that cannot be asked leaves in force what there is; a worker that starts without one
takes what was last known on this machine.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from gatewaysite.lastgood import Kept
from oidc_clients.revocation import Entry, RevocationBook
from oidc_clients.revoking import stored_book
from oidc_clients.tokens import ProviderTokens

logger = logging.getLogger(__name__)

_ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])


class FollowedRevocations:
    """Keeps one worker's tokens at the newest revocations."""

    def __init__(self, tokens: ProviderTokens, folder: Path) -> None:
        """``folder`` keeps what was last known."""
        self._tokens = tokens
        self._kept = Kept(folder / "last-revocations.json")
        self._in_force: int | None = None

    def follow(self, generation: int, install: Callable[[Callable[[], None]], None]) -> None:
        """Put the newest in force, if they are others. Raises ``DatabaseError``."""
        if generation == self._in_force:
            return
        book = stored_book()  # of this generation, or of one that the next look will see
        install(partial(self._tokens.revoke, book))
        self._in_force = generation
        self._kept.write(_ENTRIES.dump_json(list(book.entries)))

    def use_last_known(self, install: Callable[[Callable[[], None]], None]) -> bool:
        """Put in force what was last known here; False when nothing is."""
        if self._in_force is not None:
            return True
        try:
            entries = _ENTRIES.validate_json(self._kept.path.read_bytes())
        except (OSError, ValueError) as error:
            logger.error("the revocations kept in %s cannot be used: %s", self._kept.path, error)
            return False
        install(partial(self._tokens.revoke, RevocationBook(entries)))
        return True
