"""Configuration changes, replaced, stopped and killed workers: what a client notices of them."""

import os
import signal
import statistics
import threading
import time
from typing import Any

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import Document, api, bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

CHANGES = 20
WORKERS = 2


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    return start(standard(provider, upstream), backend(), workers=WORKERS)


def _changed(provider: Provider, upstream: Upstream, number: int) -> Document:
    document = standard(provider, upstream)
    document["apis"].append(api(f"change-{number}", upstream.url))
    return document


def _sees(client: Client, path: str) -> bool:
    client.request("GET", path)
    return client.answer().status == 200


def test_twenty_changes_under_load_lose_nothing_and_reach_every_worker_within_a_second(
    gateway: Gateway,
    provider: Provider,
    upstream: Upstream,
    record_property: Any,
) -> None:
    clients = gateway.client_of_each_worker()
    delays = []
    with Load(gateway.address, [provider.token()], 8) as load:
        for number in range(CHANGES):
            result = gateway.apply(_changed(provider, upstream, number), "--prune")
            for client in clients:
                path = f"/change-{number}/id/1"
                until(lambda c=client, p=path: _sees(c, p), 10, f"change {number}")
            delays.append(time.time() - result.at)
            load.await_answers(50)
    for client in clients:
        client.close()
    assert load.totals.spotless(), load.totals
    record_property("change_seen_median_s", round(statistics.median(delays), 3))
    record_property("change_seen_longest_s", round(max(delays), 3))
    assert statistics.median(delays) <= 1.0, delays


def test_F6_a_refused_change_changes_nothing(gateway: Gateway, upstream: Upstream) -> None:
    broken = api("broken", upstream.url, [{"jwt": {"providers": ["nobody"]}}])
    path = gateway.write({"format": 1, "apis": [broken, api("fine", upstream.url)]})
    result = gateway.quick("apply_config", str(path))
    assert result.code == 2
    assert "apis[0]" in result.output
    assert gateway.call("GET", "/open/id/1").status == 200
    assert gateway.call("GET", "/fine/id/1").status == 404


def test_hangups_under_load_lose_nothing(gateway: Gateway, provider: Provider) -> None:
    with Load(gateway.address, [provider.token()], 8) as load:
        for _ in range(3):
            before = set(gateway.worker_pids())
            gateway.proxy().send_signal(signal.SIGHUP)
            until(lambda b=before: _replaced(gateway, b), 60, "replaced workers")
            load.await_answers(100)
    assert load.totals.spotless(), load.totals


def _replaced(gateway: Gateway, before: set[int]) -> bool:
    now = set(gateway.worker_pids())
    return len(now) == gateway.workers and not now & before


def test_a_killed_worker_costs_only_its_own_requests(gateway: Gateway, provider: Provider) -> None:
    connections = 8
    with Load(gateway.address, [provider.token()], connections) as load:
        load.await_answers(100)
        victim = gateway.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        until(
            lambda: len(gateway.worker_pids()) == WORKERS and victim not in gateway.worker_pids(),
            30,
            "a new worker",
        )
        load.await_answers(300)
    totals = load.totals
    assert len(totals.lost) <= connections, totals
    assert set(totals.statuses) == {200}, totals
    assert not totals.mismatched, totals
    assert not totals.violations, totals


def test_a_stop_drains_and_says_so_first(
    start: Start, provider: Provider, upstream: Upstream, backend: Backend
) -> None:
    gateway = start(standard(provider, upstream), backend(), workers=WORKERS, only=None)
    token = provider.token()
    watcher = gateway.client()  # a connection that stays open, as a load balancer's check does
    streams: list[bytes] = []

    def stream() -> None:
        with gateway.client() as client:
            client.request("GET", "/orders/slow/30/100", bearer(token).items())
            client.head()
            started.release()
            streams.append(b"".join(iter(client.chunk, b"")))

    started = threading.Semaphore(0)
    threads = [threading.Thread(target=stream) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert started.acquire(timeout=20)
    watcher.request("GET", "/-/ready")
    assert watcher.answer().status == 200
    gateway.signal(signal.SIGTERM)
    until(lambda: not _ready_on(watcher), 5, "readiness to be withdrawn")
    assert all(thread.is_alive() for thread in threads)
    gateway.signal(signal.SIGTERM)  # a second one changes nothing
    for thread in threads:
        thread.join(20)
    expected = b"".join(b"%d\n" % number for number in range(30))
    assert streams == [expected] * 20
    assert gateway.process is not None
    assert gateway.process.wait(20) == 0
    watcher.close()


def _ready_on(client: Client) -> bool:
    """Whether the worker behind an open connection calls itself ready."""
    if client.ended:
        return False
    client.request("GET", "/-/ready")
    answer = client.answer()
    if answer.status == 503:
        assert answer.code == "draining"
    return answer.status == 200
