"""State shared by the processes of one machine: an SQLite file of its own.

Theory of operation. A batch is one ``BEGIN IMMEDIATE`` transaction: the write lock is taken
before anything is read, so a batch is exact across processes. The file is in WAL mode with
``synchronous=OFF``: what it holds is worth nothing after a crash of the machine, and no commit
waits for the disk. Times are wall-clock microseconds, which all processes of a machine share.

Each thread of each process opens connections of its own when it first needs them: SQLite's
connections must not cross ``fork``.

Buckets are by far the most of what is asked. Those of a batch are read by one statement and
written by one, and what a connection knows of them it reads again only when somebody else has
written since (see ``policies.stores.buckets``).

Purging: no index is kept on the end of entries, because every request would pay for it.
Instead batches scan a few rows in passing, onward from where the last scan stopped, four for
each operation done, and delete the ended ones: so these stay below a third of the live ones.

An event loop asks by ``attempt``, which gives up at once where another process has the lock.
It lets the log of changes (WAL) grow; ``tidy``, in a thread, brings it into the file.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from policies.core.errors import StateUnavailable
from policies.core.state import Allowance, Window
from policies.stores import slots, windows
from policies.stores.buckets import Buckets
from policies.stores.operations import (
    Consume,
    Count,
    Delete,
    Hold,
    Increment,
    Lease,
    Occupy,
    Operation,
    Publish,
    Raise,
    RareOperation,
    Read,
    Release,
    RememberOnce,
    Replace,
    Result,
    Slide,
    Touch,
    Vacate,
)
from policies.stores.windows import SECOND

_PATIENCE = 0.5  # seconds to wait for other processes' transactions
_PAUSE = 5e-5  # mean seconds between two attempts; a transaction takes about twice as long
_SCAN_EVERY = 64  # operations between two scans for ended entries
_SCAN_ROWS = 4 * _SCAN_EVERY
_TIDY_PATIENCE = 0.005  # seconds to find a moment at which nobody writes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value ANY NOT NULL, ends INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""
_READ = "SELECT value FROM entries WHERE key = ? AND ends > ?"
_READ_WITH_END = "SELECT value, ends FROM entries WHERE key = ? AND ends > ?"
_PUT = "INSERT OR REPLACE INTO entries (key, value, ends) VALUES (?, ?, ?)"
_ADD = """
INSERT INTO entries (key, value, ends) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends
WHERE entries.ends <= ?
"""
_LEASE = f"{_ADD} OR entries.value = excluded.value"
_ADD_TO = """
UPDATE entries SET value = CAST(value AS INTEGER) + ? WHERE key = ? AND ends > ? RETURNING value
"""
_REPLACE = "UPDATE entries SET value = ?, ends = ? WHERE key = ? AND value = ? AND ends > ?"
_RAISE = """
UPDATE entries SET value = max(CAST(value AS INTEGER), ?) WHERE key = ? AND ends > ?
RETURNING value
"""
_RELEASE = "DELETE FROM entries WHERE key = ? AND value = ? AND ends > ?"
_TOUCH = "UPDATE entries SET ends = ? WHERE key = ? AND ends > ?"
_DELETE = "DELETE FROM entries WHERE key = ? AND ends > ?"
_KEYS = "SELECT key FROM entries WHERE key > ? AND ends > ? ORDER BY key LIMIT ?"
_KEYS_AT_ONCE = 500
_SCAN = "SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT 1 OFFSET ?"
_PURGE = "DELETE FROM entries WHERE key > ? AND key <= ? AND ends <= ?"
_Done = TypeVar("_Done")
_AFTER_ALL = b""  # in the order of SQLite, bytes come after every text


class _Locked(StateUnavailable):
    """Another process has the lock."""


class _Connection:
    """One thread's connection, and how far it has scanned for ended entries."""

    def __init__(self, path: Path, patience: float) -> None:
        self.pid = os.getpid()
        self._path = path
        self.scanned = ""
        self.unscanned = 0
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self.sql = sqlite3.connect(path, timeout=0, isolation_level=None)
        self.buckets = Buckets(self.sql)
        self.patiently("PRAGMA journal_mode = WAL", patience)
        self.patiently("PRAGMA synchronous = OFF", patience)
        if not patience:
            self.patiently("PRAGMA wal_autocheckpoint = 0", patience)
        self.patiently(_SCHEMA, patience)

    def patiently(self, statement: str, patience: float) -> None:
        """Execute a statement that other processes may hold up.

        Raises ``_Locked`` after ``patience`` seconds; with 0, at once.

        SQLite's own busy handler sleeps for up to 100 ms at a time: its slowest hundredth of
        the batches of four busy processes took 8 to 9 ms, with these pauses 1 to 3 ms.
        """
        deadline = None
        while True:
            try:
                self.sql.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                now = time.monotonic()
                if deadline is None:
                    deadline = now + patience
                if now >= deadline:
                    raise _Locked(f"state file {self._path}: {error}") from error
            else:
                return
            time.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)

    def apply(self, batch: Sequence[Operation], now: int) -> list[Result]:
        """Do the operations, within a transaction."""
        results: list[Result] = []
        taking: list[Consume] = []  # since the last other operation: order is kept
        self.buckets.begin()
        for operation in batch:
            if isinstance(operation, Consume):
                taking.append(operation)
                continue
            if taking:
                results += self.buckets.take(taking, now)
                taking = []
            self.buckets.forget(operation.key)
            results.append(_apply(self.sql, operation, now))
        if taking:
            results += self.buckets.take(taking, now)
        self.unscanned += len(batch)
        if self.unscanned >= _SCAN_EVERY:
            self.unscanned = 0
            self.scanned, _ = _scan(self.scanned, self, now)
        return results

    def roll_back(self) -> None:
        """Undo what the transaction has done, if SQLite has not done so by itself."""
        self.buckets.roll_back()
        if self.sql.in_transaction:
            self.sql.execute("ROLLBACK")


class DatabaseBackend:
    """State in the SQLite file at ``path``, which is made with mode 0600 when absent."""

    unbroken_since = float("-inf")

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._local = threading.local()  # the connections of ``execute``
        self._prompt = threading.local()  # those of ``attempt``
        self._inherited: list[_Connection] = []

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        """See ``policies.stores.operations.Backend``."""
        return self._transact(_PATIENCE, lambda connection, now: connection.apply(batch, now))

    def attempt(self, batch: Sequence[Operation]) -> list[Result] | None:
        """See ``policies.stores.operations.PromptBackend``."""
        try:
            return self._transact(0, lambda connection, now: connection.apply(batch, now))
        except _Locked:
            return None

    def tidy(self) -> None:
        """See ``policies.stores.operations.PromptBackend``: bring the log into the file.

        Most of it beside those who write meanwhile (PASSIVE). They have to wait only for the
        rest (RESTART), without which the log would never begin anew while somebody writes.
        Where no moment for that is found, the log grows until the next time.
        """
        deadline = time.monotonic() + _TIDY_PATIENCE
        with self._sql() as sql:
            sql.execute("PRAGMA wal_checkpoint(PASSIVE)")
            while time.monotonic() < deadline:
                busy, _, _ = sql.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                if not busy:
                    return
                time.sleep(_PAUSE)

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``policies.stores.operations.Backend``. Many short reads, none of which locks."""
        after = prefix[:-1]  # comes before the prefix, and so do few others
        while True:
            now = int(self._clock() * SECOND)
            with self._sql() as sql:
                rows = sql.execute(_KEYS, (after, now, _KEYS_AT_ONCE)).fetchall()
            for (key,) in rows:
                if key.startswith(prefix):
                    yield key
                elif key > prefix:
                    return
            if len(rows) < _KEYS_AT_ONCE:
                return
            after = rows[-1][0]

    def purge(self) -> int:
        """Delete every ended entry; how many there were.

        In many short transactions, so that nobody is kept waiting for the lock.
        """
        after, count = "", 0
        while True:
            after, ended = self._transact(_PATIENCE, partial(_scan, after))
            count += ended
            if not after:
                return count

    @contextmanager
    def _sql(self) -> Iterator[sqlite3.Connection]:
        """The connection, outside of transactions. What it raises is ``StateUnavailable``."""
        try:
            yield self._connection(_PATIENCE).sql
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(f"state file {self._path}: {error}") from error

    def _transact(self, patience: float, work: Callable[[_Connection, int], _Done]) -> _Done:
        """Do ``work``, which gets the time in microseconds, as one step.

        Raises ``StateUnavailable``; ``_Locked`` when nothing has been done, because another
        process had the lock for longer than ``patience``.
        """
        try:
            connection = self._connection(patience)
            connection.patiently("BEGIN IMMEDIATE", patience)
            try:
                done = work(connection, int(self._clock() * SECOND))
                connection.sql.execute("COMMIT")
            except BaseException:
                connection.roll_back()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(f"state file {self._path}: {error}") from error
        return done

    def _connection(self, patience: float) -> _Connection:
        """This thread's connection; the one without patience is another one."""
        local = self._local if patience else self._prompt
        held: _Connection | None = getattr(local, "connection", None)
        if held is None or held.pid != os.getpid():
            if held is not None:  # never to be closed here: that would be the parent's file
                self._inherited.append(held)
            held = local.connection = _Connection(self._path, patience)
        return held


def _apply(sql: sqlite3.Connection, operation: RareOperation, now: int) -> Result:
    match operation:
        case Count(key, window, cost, needs):
            if needs is not None and _read(sql, needs, now) is None:
                return None
            return _count(sql, key, window, cost, now)
        case Slide(key, window, cost):
            allowance, entry = windows.slide(window, _read(sql, key, now), now, cost)
            if entry is not None:
                sql.execute(_PUT, (key, entry, _end(window.per, now)))
            return allowance
        case Occupy() | Hold() | Vacate():
            return _share(sql, operation, now)
        case Raise(key, amount, ttl):
            return _add(sql, _RAISE, key, amount, ttl, now)
        case Increment(key, amount, None):
            rows = sql.execute(_ADD_TO, (amount, key, now)).fetchall()
            return int(rows[0][0]) if rows else None
        case Increment(key, amount, ttl):
            return _add(sql, _ADD_TO, key, amount, ttl or 0.0, now)
        case RememberOnce(key, ttl):
            return _changed(sql, _ADD, (key, 1, _end(ttl, now), now))
        case Lease(key, holder, ttl):
            return _changed(sql, _LEASE, (key, holder, _end(ttl, now), now))
        case Release(key, holder):
            return _changed(sql, _RELEASE, (key, holder, now))
        case Publish(key, value, ttl, True):
            return _changed(sql, _ADD, (key, value, _end(ttl, now), now))
        case Publish(key, value, ttl):
            return _changed(sql, _PUT, (key, value, _end(ttl, now)))
        case Replace(key, before, value, ttl):
            return _changed(sql, _REPLACE, (value, _end(ttl, now), key, before, now))
        case Read(key):
            held = _read(sql, key, now)
            return str(held).encode() if isinstance(held, (int, str)) else held
        case Touch(key, ttl):
            return _changed(sql, _TOUCH, (_end(ttl, now), key, now))
        case Delete(key):
            return _changed(sql, _DELETE, (key, now))


def _count(sql: sqlite3.Connection, key: str, window: Window, cost: int, now: int) -> Allowance:
    row = sql.execute(_READ_WITH_END, (key, now)).fetchone()
    known = row is not None and isinstance(row[0], int)
    used, end = row if known else (0, _end(window.per, now))
    allowance = windows.assess_count(window, used, end - now, cost)
    if allowance.allowed and cost:
        sql.execute(_PUT, (key, used + cost, end))
    return allowance


def _share(sql: sqlite3.Connection, operation: Occupy | Hold | Vacate, now: int) -> Result:
    key, holder = operation.key, operation.holder
    shares = slots.shares_of(_read(sql, key, now), now)
    before = dict(shares)
    result: Result = True
    match operation:
        case Occupy(limit=limit, ttl=ttl, cost=cost):
            result = slots.occupy(shares, holder, limit, cost, _end(ttl, now))
        case Hold(least=least, most=most, ttl=ttl):
            slots.hold(shares, holder, least, most, _end(ttl, now))
        case Vacate():
            result = slots.vacate(shares, holder)
    if shares != before:
        sql.execute(_PUT, (key, *slots.entry_of(shares)))
    return result


def _add(
    sql: sqlite3.Connection, statement: str, key: str, amount: int, ttl: float, now: int
) -> int:
    """Change a counter by ``statement``, or start it with ``amount``. What it is now."""
    rows = sql.execute(statement, (amount, key, now)).fetchall()
    if rows:
        return int(rows[0][0])
    sql.execute(_PUT, (key, amount, _end(ttl, now)))
    return amount


def _read(sql: sqlite3.Connection, key: str, now: int) -> int | str | bytes | None:
    row = sql.execute(_READ, (key, now)).fetchone()
    return None if row is None else row[0]


def _changed(sql: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> bool:
    return sql.execute(statement, values).rowcount > 0


def _scan(after: str, connection: _Connection, now: int) -> tuple[str, int]:
    """Delete the ended entries among the next rows.

    The key to go on from, empty when the last row was seen, and how many were deleted.
    """
    last = connection.sql.execute(_SCAN, (after, _SCAN_ROWS - 1)).fetchone()
    upto = _AFTER_ALL if last is None else last[0]
    ended = connection.sql.execute(_PURGE, (after, upto, now)).rowcount
    return ("" if last is None else last[0]), ended


def _end(ttl: float, now: int) -> int:
    return now + int(ttl * SECOND)
