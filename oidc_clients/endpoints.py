"""Where providers take token requests: their metadata, remembered for a while.

However many requests ask at once, one of them fetches and the others wait for it. A failure
is remembered too, briefly, so that a provider that is down does not hold one thread a request.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from oidc_clients.discovery import discover
from oidc_clients.fetch import TOTAL_TIME, FetchError, Reach
from oidc_clients.metadata import Metadata

LIFETIME = 300.0
"""Seconds for which fetched metadata are used."""
FAILURE_LIFETIME = 2.0
"""Seconds for which a failure answers everybody."""
MAX_ISSUERS = 256


class MetadataCache:
    """Metadata by issuer. Safe to use from several threads."""

    def __init__(
        self,
        fetch: Callable[[str, Reach], Metadata] = discover,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, Reach], tuple[Future[Metadata], float]] = {}

    def get(self, issuer: str, reach: Reach) -> Metadata:
        """The issuer's metadata. Raises ``FetchError``, within ``TOTAL_TIME``."""
        key = (issuer, reach)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and self._clock() < entry[1]:
                future, asks = entry[0], False
            else:
                future, asks = self._keep(key, Future(), LIFETIME), True
        if asks:
            self._ask(key, future)
        try:
            return future.result(TOTAL_TIME)
        except TimeoutError as error:
            raise FetchError("another request still waits for the metadata") from error

    def _ask(self, key: tuple[str, Reach], future: Future[Metadata]) -> None:
        try:
            future.set_result(self._fetch(*key))
        except BaseException as error:  # noqa: BLE001 - raised again where the future is read
            future.set_exception(error)
            with self._lock:
                self._keep(key, future, FAILURE_LIFETIME)

    def _keep(
        self, key: tuple[str, Reach], future: Future[Metadata], lifetime: float
    ) -> Future[Metadata]:
        """Remember; the caller holds the lock."""
        if len(self._entries) >= MAX_ISSUERS:
            self._entries.clear()  # only issuers that were configured once and no longer are
        self._entries[key] = (future, self._clock() + lifetime)
        return future
