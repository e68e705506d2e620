"""The SQLite store as an event loop asks it: without waiting, and no less exact."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.core.errors import StateUnavailable
from policies.core.state import Rate, Window
from policies.stores.batching import BatchingState
from policies.stores.database import DatabaseBackend
from policies.stores.memory import MemoryBackend
from policies.stores.operations import (
    Consume,
    Count,
    Delete,
    Increment,
    Operation,
    Publish,
    Read,
    Result,
    Touch,
)

RATE = Rate(limit=5, per=60, burst=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes for as long as this lasts."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.readline()\n"
        "c.execute('ROLLBACK')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    try:
        yield
    finally:
        process.communicate("\n", timeout=30)


def test_an_attempt_does_what_execute_does(path: Path) -> None:
    backend = DatabaseBackend(path)
    assert backend.attempt([Increment("n", 1, 60)]) == [1]
    assert backend.execute([Increment("n", 1, 60)]) == [2]
    assert backend.attempt([Increment("n", 1, 60), Read("n")]) == [3, b"3"]


def test_an_attempt_does_not_wait_for_another_process_and_does_nothing(path: Path) -> None:
    backend = DatabaseBackend(path)
    backend.attempt([Increment("n", 1, 60)])
    with locked(path):
        assert backend.attempt([Increment("n", 1, 60)]) is None
    assert backend.attempt([Read("n")]) == [b"1"]


def test_an_attempt_does_not_wait_to_make_the_file(path: Path) -> None:
    path.touch()
    with locked(path):
        assert DatabaseBackend(path).attempt([Read("n")]) is None


def test_R1_the_loop_goes_on_while_another_process_has_the_lock(path: Path) -> None:
    async def play() -> None:
        state = BatchingState(DatabaseBackend(path))
        for _ in range(2):  # the second time on the spot
            await state.consume("k", RATE)
        with locked(path):
            asked = [asyncio.ensure_future(state.consume("k", RATE)) for _ in range(5)]
            for _ in range(100):
                await asyncio.sleep(0)
            assert not any(one.done() for one in asked)
        answers = await asyncio.gather(*asked)
        assert [answer.allowed for answer in answers] == [True] * 3 + [False] * 2

    asyncio.run(play())


def test_R1_takes_of_one_batch_see_each_other_and_what_is_done_between(path: Path) -> None:
    take = Consume("k", RATE, 2)
    batch = [take, take, take, Delete("k"), take, Publish("k", b"no bucket", 60), take]
    answers = DatabaseBackend(path, lambda: 1_800_000_000.0).attempt(batch)
    assert [
        (answer.allowed, answer.remaining) if isinstance(answer, tuple) else answer
        for answer in answers
    ] == [(True, 3), (True, 1), (False, 1), True, (True, 3), True, (True, 3)]


KEYS = st.sampled_from(["a", "b", "c"])
OPERATIONS = st.one_of(
    st.builds(Consume, KEYS, st.just(RATE), st.integers(0, 3)),
    st.builds(Consume, KEYS, st.just(Rate(1000, 1, 2)), st.integers(0, 3)),
    st.builds(Delete, KEYS),
    st.builds(Touch, KEYS, st.floats(0.001, 100)),
    st.builds(Increment, KEYS, st.integers(1, 3), st.floats(0.001, 100)),
    st.builds(Count, KEYS, st.just(Window(3, 1)), st.integers(0, 2)),
    st.builds(Publish, KEYS, st.sampled_from([b"x", b"\xff"]), st.floats(0.001, 100)),
    st.builds(Read, KEYS),
)
STEP = st.tuples(
    st.sampled_from(["one", "other", "blocking"]), st.floats(0, 3), st.lists(OPERATIONS, max_size=9)
)


TOUCHED: list[Operation] = [Consume("a", RATE), Touch("a", 1.0), Consume("a", RATE, 0)]


@settings(max_examples=100, deadline=None)
@example(steps=[("one", 0.0, TOUCHED)])  # a bucket that was touched is the same bucket
@given(steps=st.lists(STEP, max_size=12))
def test_R1_several_connections_to_one_file_answer_as_one_memory_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float, list[Operation]]]
) -> None:
    path = tmp_path_factory.mktemp("steps") / "state.sqlite3"
    now = [1_800_000_000.0]
    one, other = (DatabaseBackend(path, lambda: now[0]) for _ in range(2))
    ask: dict[str, Callable[[list[Operation]], list[Result] | None]] = {
        "one": one.attempt,
        "other": other.attempt,
        "blocking": one.execute,
    }
    memory = MemoryBackend(lambda: now[0])
    for who, passed, batch in steps:
        now[0] += passed
        assert ask[who](batch) == memory.execute(batch)


def test_R1_more_buckets_than_are_read_at_once_are_all_read(path: Path) -> None:
    takes = [Consume(f"k{n}", RATE, 5) for n in range(200)]
    assert all(answer.allowed for answer in DatabaseBackend(path).attempt(takes))
    assert not any(answer.allowed for answer in DatabaseBackend(path).attempt(takes))


def test_R1_a_batch_that_failed_took_nothing(path: Path) -> None:
    backend = DatabaseBackend(path)
    backend.attempt([Consume("k", RATE, 2)])
    with pytest.raises(UnicodeEncodeError):
        backend.attempt([Consume("k", RATE, 3), Read("\udc80")])
    assert backend.attempt([Consume("k", RATE, 3)])[0].allowed


def test_R6_a_full_disk_is_unavailable_until_there_is_room(path: Path) -> None:
    backend = DatabaseBackend(path)
    backend.attempt([Consume("k", RATE, 2)])
    sql = backend._prompt.connection.sql
    sql.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StateUnavailable, match="full"):
        backend.attempt([Consume("k", RATE, 1), Publish("large", b"x" * 100_000, 60)])
    sql.execute("PRAGMA max_page_count = 100000")
    answers = backend.attempt([Consume("k", RATE, 3), Publish("large", b"x" * 100_000, 60)])
    assert answers[0].allowed


def test_a_file_that_is_no_database_is_unavailable_at_once(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StateUnavailable, match="not a database"):
        DatabaseBackend(path).attempt([Read("k")])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_attempts_with_a_connection_of_its_own(path: Path) -> None:
    backend = DatabaseBackend(path)
    backend.attempt([Increment("n", 1, 600)])
    child = os.fork()
    if child == 0:
        os._exit(0 if backend.attempt([Increment("n", 1, 600)]) == [2] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert backend.attempt([Increment("n", 1, 600)]) == [3]


def test_R1_another_process_that_leaves_takes_nothing_along(path: Path) -> None:
    """Who closes a file loses all its locks on it: then others would take it for abandoned."""
    backend = DatabaseBackend(path)
    backend.execute([Increment("n", 1, 600)])
    assert backend.attempt([Increment("n", 1, 600)]) == [2]
    thread = threading.Thread(target=backend.execute, args=([Increment("n", 1, 600)],))
    thread.start()
    thread.join()
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM entries')"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        backend.attempt([Increment("n", 1, 600)])
    reader = sqlite3.connect(path)
    assert reader.execute("SELECT value FROM entries").fetchall() == [(5,)]
    reader.close()


def test_tidying_keeps_the_log_from_growing(path: Path) -> None:
    def sizes() -> list[int]:
        log = path.with_name(f"{path.name}-wal")
        backend, found = DatabaseBackend(path), []
        for _ in range(3):
            for n in range(200):
                backend.attempt([Consume(f"k{n}", RATE)])
            found.append(log.stat().st_size)
            tidy(backend)
        return found

    def tidy(backend: DatabaseBackend) -> None:
        thread = threading.Thread(target=backend.tidy)
        thread.start()
        thread.join()

    first, second, third = sizes()
    assert first > 200 * 4096
    assert second == first
    assert third == first
