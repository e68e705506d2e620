"""Follows what was taken back, for one worker: read when its generation rises, looked up in memory.

A database that cannot be asked leaves in force what there is; a worker that starts without one
takes what was last known on this machine.
"""

from collections.abc import Callable
from functools import partial

from gatewaysite.lastgood import LastRevocations
from oidc_clients.revocation import RevocationBook
from oidc_clients.revoking import stored_book

Install = Callable[[Callable[[], None]], None]


class FollowedRevocations:
    """Keeps one worker at the newest revocations."""

    def __init__(self, put: Callable[[RevocationBook], None], last_known: LastRevocations) -> None:
        """``put`` puts a book in force, in the event loop."""
        self._put = put
        self._last_known = last_known
        self._in_force: int | None = None

    def follow(self, generation: int, install: Install) -> None:
        """Put the newest in force, if they are others. Raises ``DatabaseError``."""
        if generation == self._in_force:
            return
        book = stored_book()  # of this generation, or of one that the next look will see
        install(partial(self._put, book))
        self._in_force = generation
        self._last_known.save(book)

    def use_last_known(self, install: Install) -> bool:
        """Put in force what was last known here; False when nothing is."""
        if self._in_force is not None:
            return True
        book = self._last_known.load()
        if book is not None:
            install(partial(self._put, book))
        return book is not None
