"""A PostgreSQL server that goes away and comes back, under running workers (F1)."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.servers import Postgres, started, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e
DOWN = "the database cannot be asked"


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    yield from started(Postgres)


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
        until(lambda: said(gateway, "startup complete") == 2, 60, "both workers")
        postgres.halt()
        until(lambda: said(gateway, DOWN) == 2, 30, "an outage")
        assert served(gateway) == {200}

        old, victim = gateway.worker_pids()
        os.kill(victim, signal.SIGKILL)
        until(lambda: said(gateway, "startup complete") == 3, 60, "a new worker")
        assert said(gateway, "serving the last good configuration") == 1
        assert served(gateway) == {200}

        postgres.start()
        later = document(None, api("open", upstream.url), api("later", upstream.url))
        assert gateway.command("apply_config", str(gateway.write(later))).code == 0
        until(lambda: served(gateway, "/later/id/1") == {200}, 30, gateway.log())
        assert old in gateway.worker_pids()
        assert said(gateway, DOWN) == 3
        assert said(gateway, "the database answers again") == 2
    finally:
        gateway.remove()


def said(gateway: Gateway, text: str) -> int:
    """How often the workers have logged a text."""
    return gateway.log(1000).count(text)


def served(gateway: Gateway, path: str = "/open/id/1") -> set[int]:
    """The statuses of enough calls to meet every worker."""
    return {gateway.call("GET", path).status for _ in range(20)}
