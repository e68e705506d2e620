"""A worker follows what was taken back: at the next look, before anything else, and through
outages (F1)."""

from pathlib import Path
from typing import Any

import pytest

from oidc_clients.revocation import Kind
from oidc_clients.revoking import revoke
from policies.models import Generation
from tests.databases import database_down
from tests.gatewaysite.test_following import Worker

pytestmark = pytest.mark.django_db
ISSUER = "https://op.example.org"


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    made = Worker(tmp_path)
    made.poll()
    return made


def taken_back(worker: Worker) -> set[str]:
    return {entry.value for entry in worker.world.tokens._book.entries}


def begun(folder: Path) -> Worker:
    """A worker as it begins, and what it serves then."""
    made = Worker(folder)
    made.follower.begin(lambda step: step())
    return made


def test_what_is_taken_back_is_in_force_after_the_next_look(worker: Worker) -> None:
    revoke(ISSUER, Kind.SUBJECT, "mallory")
    assert taken_back(worker) == set()
    worker.poll()
    assert taken_back(worker) == {"mallory"}
    assert worker.world.introspector.book is worker.world.tokens._book


def test_nothing_is_read_while_nothing_is_taken_back(
    worker: Worker, django_assert_num_queries: Any
) -> None:
    revoke(ISSUER, Kind.SUBJECT, "mallory")
    worker.poll()
    book = worker.world.tokens._book
    with django_assert_num_queries(1):
        worker.poll()
    assert worker.world.tokens._book is book


def test_a_table_that_cannot_be_built_holds_no_revocation_up(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.world, "build", lambda *_: 1 / 0)
    monkeypatch.setattr(worker.world, "build_clients", lambda *_: 1 / 0)
    Generation.bump(Generation.CONFIGURATION)
    Generation.bump(Generation.CREDENTIALS)
    revoke(ISSUER, Kind.SUBJECT, "mallory")
    worker.poll()
    assert taken_back(worker) == {"mallory"}


def test_F1_a_database_that_is_down_gives_nothing_back(worker: Worker) -> None:
    revoke(ISSUER, Kind.SUBJECT, "mallory")
    worker.poll()
    with database_down():
        worker.poll()
    assert taken_back(worker) == {"mallory"}


def test_F1_a_worker_that_begins_without_a_database_knows_what_was_taken_back(
    worker: Worker, tmp_path: Path
) -> None:
    revoke(ISSUER, Kind.SUBJECT, "mallory")
    revoke(ISSUER, Kind.TOKEN, "t-1")
    worker.poll()
    assert (tmp_path / "last-revocations.json").stat().st_mode & 0o777 == 0o600
    with database_down():
        second = begun(tmp_path)
    assert taken_back(second) == {"mallory", "t-1"}
    assert second.world.tokens._book.entries == worker.world.tokens._book.entries
    assert second.world.live.current() is not None


@pytest.mark.parametrize("content", [None, "{", '{"a": 1}', '[["x"]]', '[["i", "no", "v", 1]]'])
def test_F1_a_worker_that_does_not_know_what_was_taken_back_serves_nothing(
    worker: Worker, tmp_path: Path, content: str | None
) -> None:
    kept = tmp_path / "last-revocations.json"
    if content is None:
        kept.unlink()
    else:
        kept.write_text(content)
    with database_down():
        second = begun(tmp_path)
    assert second.world.live.current() is None
    second.poll()  # the database is back
    assert second.world.live.current() is not None
