"""``timestamp`` on the wire: a window, a nonce that counts once, and a store that goes away."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Answer, Client
from tests.e2e.servers import Redis, started, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, backend: Backend) -> Gateway:
    url, nonce = upstream.url, {"nonce_header": "X-Nonce", "window": 60}
    return start(
        document(
            None,
            api("dated", url, [{"public": {}}, {"timestamp": {}}]),
            api("once", url, [{"public": {}}, {"timestamp": nonce}]),
            api("watched", url, [{"public": {}}, {"timestamp": {"mode": "report"}}]),
        ),
        backend(),
    )


def call(gateway: Gateway, target: str, moment: str | None, nonce: str | None = None) -> Answer:
    fields = {"X-Timestamp": moment, "X-Nonce": nonce}
    return gateway.call("GET", target, {n: v for n, v in fields.items() if v is not None})


def seconds(away: float = 0) -> str:
    return str(int(time.time() + away))


def unused() -> str:
    """A nonce that nobody has used."""
    return f"nonce-{time.monotonic_ns()}"


@pytest.mark.parametrize("away", [0, -290, 290])
def test_H4_a_moment_within_the_window_passes(gateway: Gateway, away: float) -> None:
    assert call(gateway, "/dated/a", seconds(away)).status == 200
    utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + away))
    assert call(gateway, "/dated/a", utc).status == 200


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (None, "timestamp_missing"),
        ("yesterday", "timestamp_outside_window"),
        ("0", "timestamp_outside_window"),
    ],
)
def test_H4_what_has_no_moment_is_refused(
    gateway: Gateway, upstream: Upstream, moment: str | None, code: str
) -> None:
    upstream.clear()
    answer = call(gateway, "/dated/a", moment)
    assert (answer.status, answer.code) == (401, code)
    assert upstream.counts()["heads"] == 0


def test_H4_outside_the_window_it_is_refused(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    for away in (-310, 310, 86400 * 365):
        assert call(gateway, "/dated/a", seconds(away)).code == "timestamp_outside_window"
    milliseconds = str(int(time.time() * 1000))
    assert call(gateway, "/dated/a", milliseconds).code == "timestamp_outside_window"
    assert upstream.counts()["heads"] == 0


def test_H4_of_a_hundred_at_once_with_one_nonce_exactly_one_passes(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    assert call(gateway, "/once/a", seconds()).code == "nonce_missing"
    one = partial(call, gateway, "/once/a", seconds())
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(one, ["the-same"] * 100))
    codes = [answer.code or answer.status for answer in answers]
    assert codes.count(200) == 1
    assert codes.count("nonce_replayed") == 99
    assert upstream.counts()["heads"] == 1


def test_in_report_mode_it_passes_and_is_counted_and_logged(gateway: Gateway) -> None:
    answer = call(gateway, "/watched/a", None)
    assert answer.status == 200
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["timestamp: timestamp_missing"]
    counted = ("watched ANY /{rest*}", "timestamp", "timestamp_missing")
    until(lambda: gateway.reported().get(counted) == 1, 20, "the counter")


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A server of this test alone, because it is killed."""
    yield from started(Redis)


def test_H4_while_the_store_is_away_nothing_passes_unseen(
    start: Start, upstream: Upstream, redis: Redis
) -> None:
    def once(**options: str) -> dict[str, object]:
        return {"timestamp": {"nonce_header": "X-Nonce", **options}}

    apis = [
        api("strict", upstream.url, [{"public": {}}, once()]),
        api("local", upstream.url, [{"public": {}}, once(on_failure="local")]),
    ]
    alone = start(document(None, *apis), {"GATEHOUSE_STATE_URL": redis.database()}, workers=1)
    assert call(alone, "/strict/a", seconds(), "n").status == 200
    redis.process.process.kill()
    redis.process.wait(10)
    upstream.clear()
    for value in ("n", "m"):
        answer = call(alone, "/strict/a", seconds(), value)
        assert (answer.status, answer.code) == (503, "state_unavailable")
        assert answer.get("retry-after") is not None
    assert upstream.counts()["heads"] == 0
    assert call(alone, "/local/a", seconds(), "n").status == 200
    assert call(alone, "/local/a", seconds(), "n").code == "nonce_replayed"
    redis.start()
    until(lambda: call(alone, "/strict/a", seconds(1), unused()).status == 200, 20, "the store")


def test_H4_a_store_that_came_back_without_its_memory_accepts_nothing_twice(
    start: Start, upstream: Upstream, redis: Redis
) -> None:
    once = [{"public": {}}, {"timestamp": {"nonce_header": "X-Nonce"}}]
    environ = {"GATEHOUSE_STATE_URL": redis.database()}
    pair = start(document(None, api("strict", upstream.url, once)), environ)
    clients = pair.client_of_each_worker()

    def ask(client: Client, moment: str, nonce: str) -> str | int:
        client.request("GET", "/strict/a", [("X-Timestamp", moment), ("X-Nonce", nonce)])
        answer = client.answer()
        return answer.code or answer.status

    def passes(client: Client) -> bool:
        return ask(client, seconds(1), unused()) == 200

    moment = seconds()
    assert [ask(client, moment, f"n{n}") for n, client in enumerate(clients)] == [200, 200]
    redis.process.process.kill()
    redis.process.wait(10)
    redis.start()
    for client in clients:
        until(partial(passes, client), 20, "the store again")
        for nonce in ("n0", "n1"):
            assert ask(client, moment, nonce) in ("state_unavailable", "nonce_replayed")
        client.close()
