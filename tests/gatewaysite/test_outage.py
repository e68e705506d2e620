"""A PostgreSQL server that goes away and comes back, under running workers (F1)."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.servers import Absent, Postgres, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except Absent as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    recorder = Upstream()
    yield recorder
    recorder.stop()


def test_F1_workers_old_and_new_serve_through_an_outage_and_follow_after_it(
    postgres: Postgres, upstream: Upstream
) -> None:
    gateway = Gateway({"GATEHOUSE_DATABASE_URL": postgres.database()}, workers=2)
    try:
        gateway.migrate()
        gateway.apply(document(None, api("open", upstream.url)))
        gateway.serve("--only", "proxy")
        postgres.halt()
        until(lambda: gateway.log().count("the database cannot be asked") == 2, 30, "an outage")
        assert served(gateway) == {200}

        old, victim = gateway.worker_pids()
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in gateway.worker_pids(), 30, "the end of a worker")
        until(lambda: len(gateway.worker_pids()) == 2, 30, "a new worker")
        until(lambda: "last good configuration" in gateway.log(200), 60, gateway.log())
        assert served(gateway) == {200}

        postgres.start()
        later = document(None, api("open", upstream.url), api("later", upstream.url))
        assert gateway.command("apply_config", str(gateway.write(later))).code == 0
        until(lambda: served(gateway, "/later/id/1") == {200}, 30, gateway.log())
        assert old in gateway.worker_pids()
        assert gateway.log(500).count("the database cannot be asked") == 3
        assert gateway.log(500).count("the database answers again") == 2
    finally:
        gateway.remove()


def served(gateway: Gateway, path: str = "/open/id/1") -> set[int]:
    """The statuses of enough calls to meet every worker."""
    return {gateway.call("GET", path).status for _ in range(20)}
