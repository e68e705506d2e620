"""The buckets of an SQLite store, many at a time.

Nearly all that is asked of a store is to take from buckets (``Consume``), so those of a batch
are read by one statement and written by another. In between they are plain numbers: whoever
takes later from the same bucket sees what was taken before.

A connection knows the buckets that it has read and written. SQLite says whether anyone else has
changed the file since (``PRAGMA data_version``); as long as nobody has, they need not be read
again. All of it happens within a transaction that holds the write lock, so what is known stays
true until its end.
"""

import sqlite3
from collections.abc import Sequence

from policies.core.state import Allowance
from policies.stores import gcra
from policies.stores.operations import Consume

_MAX_KNOWN = 20_000
_READ_AT_ONCE = 64  # a power of two


def _reading(count: int) -> str:
    places = ", ".join("?" * count)
    return f"SELECT key, value FROM entries WHERE key IN ({places})"  # noqa: S608 (no values)


# Statements of few lengths, so that each is compiled once; what is too much is filled up.
_READ = {1 << n: _reading(1 << n) for n in range(_READ_AT_ONCE.bit_length())}
_WRITE = """
INSERT INTO entries (key, value, ends) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends
"""


class Buckets:
    """What one connection knows of the buckets in its file."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self._known: dict[str, int] = {}  # key -> TAT (see ``policies.stores.gcra``)
        self._version = 0  # of the file, when that was so

    def begin(self) -> None:
        """Forget what others may have changed. For the beginning of a transaction."""
        (version,) = self._sql.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._known) > _MAX_KNOWN:
            self._known.clear()
            self._version = version

    def forget(self, key: str) -> None:
        """It is written by somebody else of this connection."""
        self._known.pop(key, None)

    def roll_back(self) -> None:
        """What was done since ``begin`` did not happen."""
        self._known.clear()

    def take(self, batch: Sequence[Consume], now: int) -> list[Allowance]:
        """The answers to the batch, in order; ``now`` in microseconds since 1970."""
        known, moment = self._known, gcra.ticks(now)
        unknown = {key for key, _, _ in batch if key not in known}
        if unknown:
            self._read(list(unknown))
        answers: list[Allowance] = []
        changed: dict[str, int] = {}
        for key, rate, cost in batch:
            allowance, tat = gcra.take(rate, known[key], moment, cost)
            answers.append(allowance)
            if tat is not None:
                known[key] = changed[key] = tat
        if changed:
            rows = [(key, tat, gcra.microseconds(tat)) for key, tat in changed.items()]
            self._sql.executemany(_WRITE, rows)
        return answers

    def _read(self, keys: list[str]) -> None:
        """Make the buckets known. One whose time has passed is empty, there or not."""
        self._known.update(dict.fromkeys(keys, 0))
        for start in range(0, len(keys), _READ_AT_ONCE):
            some = keys[start : start + _READ_AT_ONCE]
            length = 1 << (len(some) - 1).bit_length()
            some += some[-1:] * (length - len(some))
            for key, value in self._sql.execute(_READ[length], some):
                if isinstance(value, int):
                    self._known[key] = value
