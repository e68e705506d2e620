"""Quotas outlive shared state: written down by the workers, put back where it was lost."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from policies import ledger as module
from policies.core.errors import StateUnavailable
from policies.core.state import Window
from policies.ledger import QuotaLedger, reset
from policies.models import QuotaUsage
from policies.stores.memory import MemoryBackend
from policies.stores.operations import Count, Raise, Read
from policies.tasks import purge_quotas
from tests.databases import database_down

pytestmark = pytest.mark.django_db

TOMORROW = 1_800_050_000.0


class Store(MemoryBackend):
    """A store that can be down."""

    down = False

    def execute(self, batch: Any) -> Any:
        if self.down:
            raise StateUnavailable("off")
        return super().execute(batch)


@pytest.fixture
def make_store(clock: Any) -> Callable[[], Store]:
    return lambda: Store(clock)


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' transaction lives on the connection that the ledger would close."""
    monkeypatch.setattr(connection, "close", lambda: None)


def rows() -> dict[str, int]:
    return dict(QuotaUsage.objects.values_list("key", "used"))


def used(store: Store, key: str) -> int:
    return 1000 - store.execute([Count(key, Window(1000, 60), 0)])[0].remaining


def test_what_two_workers_spent_is_added_up(make_store: Any, clock: Any) -> None:
    store = make_store()
    one, two = QuotaLedger(store, clock), QuotaLedger(store, clock)
    for worker, times in ((one, 3), (two, 4)):
        for _ in range(times):
            worker.spent("quota a", 1, TOMORROW)
        worker.spent("quota b", 1, TOMORROW)
    one.keep()
    two.keep()
    one.spent("quota a", 1, TOMORROW)
    one.keep()
    one.keep()
    assert rows() == {"quota a": 8, "quota b": 2}


def test_a_store_that_was_lost_gets_back_what_was_written(
    make_store: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    worker = QuotaLedger(make_store(), clock)
    for number in range(1200):  # more than one page
        worker.spent(f"quota {number}", number + 1, TOMORROW)
    worker.keep()
    worker.spent("quota ended", 9, clock.now - 1)
    worker.keep()
    fresh = make_store()
    after = QuotaLedger(fresh, clock)
    window = Window(1000, 60)
    assert fresh.execute([Count("quota 0", window, 1, after.complete)]) == [None]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        after.keep()
    assert "1200 quotas were put back" in caplog.text  # and not the one that has ended
    assert fresh.execute([Count("quota 0", window, 0, after.complete)])[0].remaining == 999
    assert [used(fresh, f"quota {number}") for number in (0, 599, 1199)] == [1, 600, 1000]
    allowance = fresh.execute([Count("quota 0", Window(5, 60), 0)])[0]
    assert allowance.reset_after == TOMORROW - clock.now


def test_a_store_that_is_complete_is_left_as_it_is(make_store: Any, clock: Any) -> None:
    store = make_store()
    QuotaLedger(store, clock).keep()
    QuotaUsage.objects.create(key="quota a", used=5, ends=TOMORROW)
    QuotaLedger(store, clock).keep()
    assert used(store, "quota a") == 0


def test_putting_back_never_lowers_what_was_counted_meanwhile(make_store: Any, clock: Any) -> None:
    store = make_store()
    QuotaUsage.objects.create(key="quota a", used=5, ends=TOMORROW)
    store.execute([Raise("quota a", 7, 600)])
    QuotaLedger(store, clock).keep()
    assert used(store, "quota a") == 7


def test_F1_without_the_database_nothing_is_lost_and_a_lost_store_is_not_believed(
    make_store: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store()
    worker = QuotaLedger(store, clock)
    worker.keep()
    with caplog.at_level(logging.WARNING), database_down():
        worker.spent("quota a", 2, TOMORROW)
        worker.keep()
        worker.spent("quota a", 1, TOMORROW)
        worker.keep()
        other = make_store()
        lost = QuotaLedger(other, clock)
        lost.keep()
        assert other.execute([Read(lost.complete)]) == [None]
    worker.keep()
    lost.keep()
    assert other.execute([Read(lost.complete)]) == [b"1"]
    assert rows() == {"quota a": 3}
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [("cannot be kept" in text, "kept again" in text) for text in said] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]


def test_F2_without_the_store_what_was_spent_is_written_all_the_same(
    make_store: Any, clock: Any
) -> None:
    store = make_store()
    worker = QuotaLedger(store, clock)
    store.down = True
    worker.spent("quota a", 2, TOMORROW)
    worker.keep()
    assert rows() == {"quota a": 2}
    store.down = False
    worker.keep()
    assert used(store, "quota a") == 2


def test_a_defect_does_not_end_the_thread_that_keeps(
    make_store: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    worker = QuotaLedger(make_store(), clock)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_ADD", None)
        worker.spent("quota a", 1, TOMORROW)
        worker.keep()
        assert "it is tried again" in caplog.text
    worker.keep()
    assert rows() == {"quota a": 1}


def test_spending_while_the_thread_writes_loses_nothing(make_store: Any, clock: Any) -> None:
    worker = QuotaLedger(make_store(), clock)

    def spend() -> None:
        for number in range(3000):
            worker.spent(f"quota {number % 7}", 1, TOMORROW)

    threads = [threading.Thread(target=spend) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        worker.keep()
    worker.keep()
    assert sum(rows().values()) == 9000


def test_a_reset_begins_anew_in_the_store_and_in_the_database(make_store: Any, clock: Any) -> None:
    store = make_store()
    worker = QuotaLedger(store, clock)
    worker.keep()
    for key in ("quota a", "quota b"):
        store.execute([Count(key, Window(1000, 60), 3)])
        worker.spent(key, 3, TOMORROW)
    worker.keep()
    assert reset(store, ["quota a", "quota unknown"]) == 1
    assert store.execute([Read("quota a"), Read("quota b")]) == [None, b"3"]
    assert rows() == {"quota b": 3}


def test_rows_of_ended_periods_are_purged(clock: Any) -> None:
    QuotaUsage.objects.create(key="quota old", used=1, ends=1_000_000_000)
    QuotaUsage.objects.create(key="quota new", used=1, ends=99_000_000_000)
    purge_quotas()
    assert rows() == {"quota new": 1}
