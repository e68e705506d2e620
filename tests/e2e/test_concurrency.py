"""``concurrency`` as a client meets it: streams, tunnels, clients that leave, workers that die."""

import asyncio
import time

import pytest
from websockets.asyncio.client import connect

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


def _slots(limit: int, **options: object) -> list[dict[str, object]]:
    return [{"public": {}}, {"concurrency": {"limit": limit, "by": "route", **options}}]


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, backend: Backend) -> Gateway:
    websocket = [{"path": "/{rest*}", "websocket": True}]
    return start(
        document(
            None,
            api("two", upstream.url, _slots(2)),
            api("one", upstream.url, _slots(1)),
            api("tunnel", upstream.websocket_url, _slots(1), routes=websocket),
            api("watched", upstream.url, _slots(1, mode="report")),
            api("rush", upstream.url, _slots(5)),
        ),
        backend(),
        workers=4,
    )


def hold(gateway: Gateway, path: str, upstream: Upstream) -> Client:
    """A call that is under way until it is given up, and has reached the upstream."""
    before = upstream.counts()["heads"]
    client = gateway.client()
    client.request("GET", path)
    until(lambda: upstream.counts()["heads"] > before, 10, "the call at the upstream")
    return client


def passes(gateway: Gateway, name: str) -> bool:
    return gateway.call("GET", f"/{name}/id/1").status == 200


def test_R1_through_four_workers_no_more_than_the_limit_are_under_way(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    held = [hold(gateway, "/two/hang", upstream) for _ in range(2)]
    refused = [gateway.call("GET", "/two/id/1") for _ in range(8)]
    assert {(answer.status, answer.code) for answer in refused} == {(429, "too_many_concurrent")}
    assert refused[0].get("retry-after") == "1"
    assert refused[0].get("ratelimit") == '"concurrency";r=0;t=1'
    assert refused[0].get("ratelimit-policy") == '"concurrency";q=2;qu="concurrent-requests"'
    assert upstream.counts()["heads"] == 2
    held[0].close()
    until(lambda: passes(gateway, "two"), 10, "the slot of a client that left")
    held[1].close()


def test_R1_a_rush_through_four_workers_never_has_more_under_way(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    clients = [client for _ in range(4) for client in gateway.client_of_each_worker()]
    for client in clients:
        client.request("GET", "/rush/delay/1500")
    statuses = sorted(client.answer().status for client in clients)
    assert statuses == [200] * 5 + [429] * 11
    assert upstream.counts()["heads"] == 5
    for client in clients:
        client.close()
    assert passes(gateway, "rush")


def test_a_stream_holds_its_slot_to_its_end(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    client = hold(gateway, "/one/sse", upstream)
    assert client.head().status == 200
    assert client.chunk() == b"data: 0\n\n"
    began = time.monotonic()
    # Longer than shared state lets a slot live that nobody says is still held.
    while time.monotonic() < began + 10:
        upstream.emit()
        assert client.chunk()
        assert not passes(gateway, "one")
        time.sleep(0.5)
    client.close()
    until(lambda: passes(gateway, "one"), 10, "the slot of the stream")


def test_a_tunnel_holds_its_slot_to_its_end(gateway: Gateway) -> None:
    async def talk() -> None:
        async with connect(f"ws://127.0.0.1:{gateway.port}/tunnel/chat") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
            answer = await asyncio.to_thread(gateway.call, "GET", "/tunnel/other")
            assert (answer.status, answer.code) == (429, "too_many_concurrent")

    asyncio.run(talk())
    until(lambda: gateway.call("GET", "/tunnel/x").status != 429, 10, "the slot of the tunnel")


def test_the_slots_of_a_killed_worker_come_free_within_ten_seconds(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    client = hold(gateway, "/one/hang", upstream)
    victim = gateway.worker_of(client)
    assert victim is not None
    assert not passes(gateway, "one")
    gateway.worker(victim).kill()
    killed = time.monotonic()
    until(lambda: passes(gateway, "one"), 20, "the slot of the killed worker")
    assert time.monotonic() - killed < 10
    client.close()
    until(lambda: len(gateway.worker_pids()) == gateway.workers, 60, "the next worker")


def test_in_report_mode_calls_pass_and_are_counted(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    client = hold(gateway, "/watched/hang", upstream)
    assert [passes(gateway, "watched") for _ in range(3)] == [True] * 3
    client.close()
    line = '"reported":["concurrency: too_many_concurrent"]'
    until(lambda: gateway.access_log().count(line) == 3, 10, "the reports in the log")
