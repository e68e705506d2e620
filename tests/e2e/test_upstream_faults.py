"""P10, P11, P13 and figures 5, 6: what a misbehaving upstream does to its own calls only."""

import time

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.raw import Client, NoAnswer
from tests.e2e.strict import Violation
from tests.e2e.upstream import Upstream
from tests.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    quick = {"read_timeout": 1, "total_timeout": 2, "idle_timeout": 1, "connect_timeout": 1}
    dead = f"http://127.0.0.1:{free_port()}"
    return start(
        document(
            None,
            api("open", upstream.url),
            api("quick", upstream.url, upstream=quick),
            api("dead", dead),
        ),
        workers=1,
    )


def test_P10_a_second_answer_is_never_somebody_elses(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    upstream.script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + second, "keep")
    assert gateway.call("GET", "/open/raw").body == b"ok"
    for number in range(20):
        assert gateway.call("GET", f"/open/id/{number}").body == b"/id/%d" % number
    poisoned = upstream.seen()[0].connection
    assert all(seen.connection != poisoned for seen in upstream.seen()[1:])


def test_P10_a_connection_is_used_again_only_when_its_exchange_was_complete(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    for number in range(5):
        assert gateway.call("GET", f"/open/id/{number}").status == 200
    assert len({seen.connection for seen in upstream.seen()}) == 1  # kept alive
    for path in ("/quick/hang", "/quick/stall"):
        upstream.clear()
        _call_or_cut(gateway, path)
        assert gateway.call("GET", "/open/id/1").body == b"/id/1"
        first, second = upstream.seen()
        assert first.connection != second.connection
    upstream.clear()
    body = b"x" * 100_000
    with gateway.client() as client:
        client.request("POST", "/open/early", body=body)
        assert client.answer().status == 413
    assert gateway.call("GET", "/open/id/1").status == 200
    first, second = upstream.seen()
    assert first.connection != second.connection


def _call_or_cut(gateway: Gateway, path: str) -> int | None:
    """The status; None when the answer was cut off."""
    try:
        return gateway.call("GET", path).status
    except (NoAnswer, Violation):
        return None


def test_figure_5_time_outs_of_the_upstream(gateway: Gateway) -> None:
    with Load(gateway.address, ["none"], 2, "/open/id/") as load:
        begun = time.monotonic()
        answer = gateway.call("GET", "/quick/hang")
        took = time.monotonic() - begun
        assert (answer.status, answer.code) == (504, "upstream_timeout")
        assert took > 0.9
        with gateway.client() as client:
            client.request("GET", "/quick/stall")
            assert client.head().status == 200
            with pytest.raises(Violation, match="ended within a message"):
                client.rest()
        load.await_answers(50)
    assert load.totals.spotless(), load.totals
    assert load.totals.longest < 1.0


def test_an_upstream_that_is_not_there(gateway: Gateway) -> None:
    for method in ("GET", "POST"):
        answer = gateway.call(method, "/dead/a", body=b"x" if method == "POST" else b"")
        assert (answer.status, answer.code) == (502, "upstream_unreachable")
        assert "127.0.0.1" not in answer.body.decode()


def test_figure_6_an_upstream_that_dies_half_of_the_time_poisons_nothing(gateway: Gateway) -> None:
    with Load(
        gateway.address, ["none"], 8, prefix="/open/flaky/50/", seen_as="/flaky/50/", pause=0
    ) as load:
        load.await_answers(4000, seconds=60)
    totals = load.totals
    assert not totals.lost, totals
    assert not totals.mismatched, totals
    assert not totals.violations, totals
    assert set(totals.statuses) <= {200, 502}, totals
    assert totals.statuses[200] > totals.answered / 3, totals


@pytest.mark.parametrize(
    ("method", "body", "tries"),
    [("GET", b"", 2), ("PUT", b"", 2), ("POST", b"", 1), ("PUT", b"some", 1)],
)
def test_P11_only_what_is_idempotent_and_has_sent_no_content_is_tried_again(
    gateway: Gateway, upstream: Upstream, method: str, body: bytes, tries: int
) -> None:
    """The kept connection closes instead of answering, as a stale one does."""
    upstream.clear()
    assert gateway.call("GET", "/open/id/1").status == 200  # leaves a connection to keep
    answer = gateway.call(method, "/open/raw", body=body)
    assert answer.status == 502
    asked = [seen.target for seen in upstream.seen()]
    assert asked == ["/id/1", *["/raw"] * tries]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_P13_a_malformed_answer_is_a_502(gateway: Gateway, upstream: Upstream, raw: bytes) -> None:
    upstream.clear()
    upstream.script(raw)
    answer = gateway.call("GET", "/open/raw")
    assert (answer.status, answer.code) == (502, "upstream_invalid"), answer.fields
    assert gateway.call("GET", "/open/id/1").status == 200


def test_P13_set_cookie_lines_stay_apart(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    )
    answer = gateway.call("GET", "/open/raw")
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.body == b"\x1f\x8b\x08\x00"  # passed on, never unpacked


def test_P14_redirects_are_passed_on(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    upstream.script(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
    )
    answer = gateway.call("GET", "/open/raw")
    assert (answer.status, answer.get("location")) == (302, "http://127.0.0.1:1/x")
    assert upstream.counts()["heads"] == 1


def test_a_cut_answer_is_seen_as_cut(gateway: Gateway, upstream: Upstream) -> None:
    for raw in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ):
        upstream.script(raw)
        with Client(gateway.address) as client:
            client.request("GET", "/open/raw")
            assert client.head().status in (200, 502)
            with pytest.raises(Violation, match="ended within a message"):
                client.rest()
