"""P12: what a client may stretch, and how far: header bytes, count, lines, times, connections."""

import contextlib
import time

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.memory import Peak
from tests.e2e.raw import Client, NoAnswer
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

GET = b"GET /open/a HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    return start(
        document(None, api("open", upstream.url)),
        {"GATEHOUSE_HEADER_TIMEOUT": "1", "GATEHOUSE_IDLE_TIMEOUT": "1"},
        workers=1,
    )


def _answers(gateway: Gateway, raw: bytes) -> list[tuple[int, str | None]]:
    with Client(gateway.address) as client:
        client.send(raw, "GET")
        return [(answer.status, answer.code) for answer in client.answers()]


@pytest.mark.parametrize(
    "raw",
    [
        GET + b"".join(b"X-%d: 1\r\n" % n for n in range(100)) + b"\r\n",
        GET + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 4000) for n in range(9)) + b"\r\n",
        GET + b"X: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /open/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["count", "bytes", "line", "target"],
)
def test_P12_a_head_that_is_too_large(gateway: Gateway, upstream: Upstream, raw: bytes) -> None:
    upstream.clear()
    assert _answers(gateway, raw) == [(431, "headers_too_large")]
    assert upstream.counts()["heads"] == 0


def test_P12_a_head_within_the_limits_passes(gateway: Gateway) -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 250) for n in range(90))
    with Client(gateway.address) as client:
        client.send(GET + lines + b"Y: " + b"b" * 8000 + b"\r\n\r\n", "GET")
        assert client.answer().status == 200


def test_J4_an_endless_head_is_refused_and_never_held(gateway: Gateway) -> None:
    (pid,) = gateway.worker_pids()
    with Peak(pid) as peak, Client(gateway.address) as client:
        client.send(GET + b"X: ", "GET")
        with contextlib.suppress(OSError):
            for _ in range(1024):  # 64 MiB; what follows the refusal is thrown away
                client.send(b"a" * 65536)
        assert client.answer().status == 431
    assert peak.growth < 8 << 20


def test_P12_a_head_that_does_not_come_is_not_waited_for(gateway: Gateway) -> None:
    assert _answers(gateway, GET + b"X: a") == [(408, "request_timeout")]


def test_P12_slow_bytes_of_a_head_do_not_extend_its_time(gateway: Gateway) -> None:
    with Client(gateway.address) as client:
        client.send(GET, "GET")
        deadline = time.monotonic() + 10
        try:
            while time.monotonic() < deadline and not client.messages.pending:
                client.send(b"X: a\r\n")
                if client.messages.take() is None:
                    _peek(client)
        except OSError:
            return
        assert time.monotonic() < deadline
        assert client.answer().status == 408


def _peek(client: Client) -> None:
    try:
        client.more(0.1)
    except NoAnswer:
        return


def test_P12_silent_and_idle_connections_are_closed(gateway: Gateway) -> None:
    with Client(gateway.address) as silent, Client(gateway.address) as idle:
        idle.request("GET", "/open/id/1")
        assert idle.answer().status == 200
        assert idle.closed(10)
        assert silent.closed(10)


def test_P12_too_many_requests_without_waiting(gateway: Gateway) -> None:
    with Client(gateway.address) as client:
        slow = b"GET /open/delay/300 HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(slow + (GET + b"\r\n") * 200, "GET")
        answers = [client.answer()]
        while not client.closed():
            client._asked.append("GET")
            answers.append(client.answer())
    assert answers[0].status == 200
    assert answers[-1].status == 400
    assert len(answers) < 60


def test_figure_7_slow_clients_do_not_hinder_others(gateway: Gateway) -> None:
    """200 clients that never finish their head; a load beside them is served all the same."""
    slow = [Client(gateway.address) for _ in range(200)]
    try:
        for client in slow:
            client.send(b"GET /open/a HTTP/1.1\r\nHost: a\r\nX: ", "GET")
        with Load(gateway.address, ["none"], 4, "/open/id/") as load:
            load.await_answers(300)
        assert load.totals.spotless(), load.totals
        for client in slow:  # their slots are freed
            assert client.answer().status == 408
    finally:
        for client in slow:
            client.close()


def test_P12_connections_beyond_the_limit_are_refused(start: Start, upstream: Upstream) -> None:
    small = start(
        document(None, api("open", upstream.url)), {"GATEHOUSE_MAX_CONNECTIONS": "10"}, workers=1
    )
    held = []
    for _ in range(10):
        client = Client(small.address)
        client.request("GET", "/open/id/1")
        assert client.answer().status == 200
        held.append(client)
    with Client(small.address) as eleventh:
        assert eleventh.closed()
    held[0].request("GET", "/open/id/2")
    assert held[0].answer().status == 200
    for client in held:
        client.close()


SET = {
    "GATEHOUSE_MAX_HEADER_BYTES": "2000",
    "GATEHOUSE_MAX_HEADERS": "12",
    "GATEHOUSE_MAX_LINE_BYTES": "500",
    "GATEHOUSE_MAX_PIPELINED": "2",
    "GATEHOUSE_BODY_TIMEOUT": "2",
    "GATEHOUSE_BODY_RATE": "100000",
    "GATEHOUSE_SEND_TIMEOUT": "2",
}


@pytest.fixture(scope="module")
def strict(start: Start, upstream: Upstream) -> Gateway:
    """One whose every limit was set to something small."""
    return start(document(None, api("open", upstream.url)), SET, workers=1)


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (b"".join(b"X-%d: 1\r\n" % n for n in range(11)), b"X-11: 1\r\n"),
        (
            b"".join(b"X-%d: %b\r\n" % (n, b"a" * 400) for n in range(4)),
            b"Y: %b\r\n" % (b"b" * 400),
        ),
        (b"X: %b\r\n" % (b"a" * 495), b"Y: %b\r\n" % (b"b" * 497)),
    ],
    ids=["count", "bytes", "line"],
)
def test_P12_each_limit_of_the_head_is_a_setting(
    strict: Gateway, upstream: Upstream, within: bytes, beyond: bytes
) -> None:
    with Client(strict.address) as client:
        client.send(GET + within + b"\r\n", "GET")
        assert client.answer().status == 200
    upstream.clear()
    assert _answers(strict, GET + within + beyond + b"\r\n") == [(431, "headers_too_large")]
    assert upstream.counts()["heads"] == 0


def test_P12_a_head_shorter_than_a_line_may_be_is_bounded_all_the_same(
    start: Start, upstream: Upstream
) -> None:
    short = {"GATEHOUSE_MAX_HEADER_BYTES": "1024"}
    small = start(document(None, api("open", upstream.url)), short, workers=1)
    assert _answers(small, GET + b"X: " + b"a" * 1100 + b"\r\n\r\n") == [(431, "headers_too_large")]


@pytest.mark.parametrize("pause", [0.2, 30.0], ids=["a drip", "silence"])
def test_P12_a_body_that_comes_too_slowly_is_not_waited_for(
    strict: Gateway, upstream: Upstream, pause: float
) -> None:
    upstream.clear()
    with Client(strict.address) as client:
        head = b"POST /open/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        client.send(head + b"x", "POST")
        while not _speaks(client, pause):
            client.send(b"x")
        answer = client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert client.closed()
    assert upstream.counts()["complete"] == 0


def _speaks(client: Client, seconds: float) -> bool:
    try:
        return client.more(seconds)
    except NoAnswer:
        return False


def test_P12_a_client_that_takes_nothing_is_not_waited_for(
    strict: Gateway, upstream: Upstream
) -> None:
    target = "/download/50000000"
    with Client(strict.address) as client:
        client.request("GET", f"/open{target}")
        assert upstream.given_up(target, 30)


def test_P12_how_many_requests_may_wait_is_a_setting(strict: Gateway) -> None:
    with Client(strict.address) as client:
        slow = b"GET /open/delay/300 HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(slow + (GET + b"\r\n") * 20, "GET")
        client._asked.extend(["GET"] * 20)
        statuses = [answer.status for answer in client.answers()]
    assert statuses[0] == 200
    assert statuses[-1] == 400
    assert len(statuses) <= 5


def test_an_unknown_or_bad_setting_keeps_it_from_starting(gateway: Gateway) -> None:
    environ = dict(gateway.environ)
    try:
        gateway.environ["GATEHOUSE_WORKERZ"] = "2"
        result = gateway.command("serve")
        assert result.code != 0
        assert "GATEHOUSE_WORKERZ" in result.output
        assert "Traceback" not in result.output
    finally:
        gateway.environ = environ
