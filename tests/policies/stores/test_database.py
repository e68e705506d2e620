"""The SQLite store: its file, its purging, and processes that fork, crash or hold the lock."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.core.errors import StateUnavailable
from policies.core.state import Rate
from policies.stores import database
from policies.stores.database import DatabaseBackend
from policies.stores.operations import Increment, Publish, Read, RememberOnce


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
    finally:
        connection.close()


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    DatabaseBackend(path).execute([Publish("k", b"v", 60)])
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_ended_rows_are_purged_in_passing(path: Path, clock: Callable[[], float]) -> None:
    backend = DatabaseBackend(path, clock)
    for start in range(0, 5000, 500):
        backend.execute([RememberOnce(f"old {n}", 10) for n in range(start, start + 500)])
    assert rows(path) == 5000
    clock.now += 20
    for n in range(5000):
        backend.execute([RememberOnce(f"kept {n % 100}", 1000)])
    assert rows(path) == 100


def test_purge_deletes_every_ended_row(path: Path, clock: Callable[[], float]) -> None:
    backend = DatabaseBackend(path, clock)
    backend.execute([RememberOnce(f"old {n}", 10) for n in range(1000)])
    backend.execute([RememberOnce("new", 100)])
    clock.now += 20
    assert backend.purge() == 1000
    assert rows(path) == 1
    assert backend.purge() == 0


def test_purging_lets_others_take_their_turn(path: Path, clock: Callable[[], float]) -> None:
    backend = DatabaseBackend(path, clock)
    backend.execute([RememberOnce(f"old {n}", 10) for n in range(1000)])
    clock.now += 20
    statements: list[str] = []
    backend._local.connection.sql.set_trace_callback(statements.append)
    backend.purge()
    assert statements.count("COMMIT") == 4


def test_threads_share_the_file_exactly(path: Path) -> None:
    backend = DatabaseBackend(path)
    sums: list[int] = []

    def add() -> None:
        for _ in range(50):
            sums.extend(backend.execute([Increment("n", 1, 600)]))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sums) == list(range(1, 401))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_opens_a_connection_of_its_own(path: Path) -> None:
    backend = DatabaseBackend(path)
    backend.execute([Increment("n", 1, 600)])
    child = os.fork()
    if child == 0:
        held = backend._local.connection
        ok = backend.execute([Increment("n", 1, 600)]) == [2]
        os._exit(0 if ok and backend._local.connection is not held else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert backend.execute([Increment("n", 1, 600)]) == [3]


def test_R6_a_held_write_lock_makes_it_unavailable_not_stuck(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    backend = DatabaseBackend(path)
    backend.execute([Publish("k", b"v", 60)])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StateUnavailable, match="locked"):
            backend.execute([Read("k")])
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert backend.execute([Read("k")]) == [b"v"]


def test_a_file_that_is_no_database_is_unavailable(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StateUnavailable, match="not a database"):
        DatabaseBackend(path).execute([Read("k")])


def test_a_folder_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable):
        DatabaseBackend(tmp_path / "absent" / "state.sqlite3").execute([Read("k")])


def test_a_failed_batch_changes_nothing_and_leaves_the_store_usable(path: Path) -> None:
    backend = DatabaseBackend(path)
    with pytest.raises(UnicodeEncodeError):
        backend.execute([Increment("n", 1, 60), Read("\udc80")])
    assert backend.execute([Increment("n", 1, 60)]) == [1]


def test_a_batch_of_any_size_is_one_transaction(path: Path) -> None:
    backend = DatabaseBackend(path)
    rate = Rate(10, 60, 10)
    assert backend.execute([Increment("n", 1, 60)] * 2000)[-1] == 2000
    assert rate.interval == 6
