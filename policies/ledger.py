"""Where quotas outlive shared state: what was used is written into the configuration's database.

Shared state may forget: Redis that keeps nothing on disk, a state file that does not survive a
crash of the machine, the memory of a process. Theory of operation:

1. Each worker notes the units it admitted, and adds them to the rows of the database whenever
   its thread looks for a new configuration: several times a second, and at its end. Each unit
   is noted by one worker, so adding them up is exact.
2. An entry of shared state says that its counters are complete. Where it is missing, state was
   lost or is new: the counters are raised to what the rows say, and then the entry is made.
   A quota is counted only where the entry is there, in the same step; else it does what its
   ``on_failure`` says.
3. The database or the store being down changes nothing but that: what could not be written is
   kept, and what could not be put back is tried again.

So a loss of shared state costs at most what was admitted since the last writing, well below a
second's calls of each worker.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from django.db import DatabaseError, connection, transaction

from policies.core.errors import StateUnavailable
from policies.models import QuotaUsage
from policies.stores.operations import Backend, Delete, Operation, Publish, Raise, Read, Touch

logger = logging.getLogger(__name__)

_KEPT = 40 * 86400.0  # seconds: longer than any period
_RENEWED = 86400.0  # seconds between two renewals of the entry
_AT_ONCE = 500

_ADD = """
INSERT INTO policies_quotausage (key, used, ends) VALUES (%s, %s, %s)
ON CONFLICT (key) DO UPDATE SET used = policies_quotausage.used + excluded.used
"""


class QuotaLedger:
    """The ledger of one worker: ``policies.core.state.Ledger`` for its event loop, ``keep``
    for the thread that may ask the database."""

    complete = "quotas complete"

    def __init__(self, backend: Backend, clock: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._clock = clock
        self._lock = threading.Lock()
        self._unwritten: dict[str, tuple[int, float]] = {}
        self._failing = False
        self._renew_at = 0.0

    def spent(self, key: str, units: int, ends: float) -> None:
        """See ``policies.core.state.Ledger``."""
        with self._lock:
            before, _ = self._unwritten.get(key, (0, 0.0))
            self._unwritten[key] = before + units, ends

    def keep(self) -> None:
        """Write down what was spent, and put back what shared state has lost."""
        try:
            self._write()
            self._restore()
        except (DatabaseError, StateUnavailable) as error:
            if isinstance(error, DatabaseError):
                connection.close()
            if not self._failing:
                logger.warning("what is used of quotas cannot be kept at the moment: %s", error)
            self._failing = True
            return
        except Exception:
            connection.close()
            logger.exception("keeping what is used of quotas failed; it is tried again")
            return
        if self._failing:
            logger.warning("what is used of quotas is kept again")
        self._failing = False

    def _write(self) -> None:
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        if not taken:
            return
        # Sorted: workers that write the same rows never wait for each other in a circle.
        rows = [(key, units, int(ends)) for key, (units, ends) in sorted(taken.items())]
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(_ADD, rows)
        except BaseException:
            for key, (units, ends) in taken.items():
                self.spent(key, units, ends)
            raise

    def _restore(self) -> None:
        now = self._clock()
        # Renewing is a write, which costs all who use the store: several times a second, look.
        renewing = now >= self._renew_at
        look = Touch(self.complete, _KEPT) if renewing else Read(self.complete)
        complete = self._backend.execute([look])[0]
        if renewing or not complete:
            self._renew_at = now + _RENEWED
        if complete:
            return
        rows = QuotaUsage.objects.filter(ends__gt=now).values_list("key", "used", "ends")
        raises: list[Operation] = [Raise(key, used, ends - now) for key, used, ends in rows]
        for some in _pages([*raises, Publish(self.complete, b"1", _KEPT)]):
            self._backend.execute(some)
        logger.info("%d quotas were put back into shared state", len(raises))


def reset(backend: Backend, keys: Sequence[str]) -> int:
    """Let counters of limits begin anew, quotas also in the database. How many there were.

    What workers have admitted and not yet written down, or taken in advance, stays: the calls
    of about a second. Raises ``StateUnavailable`` and ``DatabaseError``.
    """
    QuotaUsage.objects.filter(key__in=keys).delete()
    count = 0
    for some in _pages([Delete(key) for key in keys]):
        count += sum(bool(result) for result in backend.execute(some))
    return count


def _pages(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    for first in range(0, len(operations), _AT_ONCE):
        yield operations[first : first + _AT_ONCE]
