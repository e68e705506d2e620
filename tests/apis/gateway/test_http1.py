"""The door as a client meets it: bytes in, bytes out, and what reached the upstream.

A real listener and a real upstream connection on loopback; only the recording upstream is ours.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httptools
import pytest

from apis.gateway.balance import Upstreams
from apis.gateway.handle import Gateway
from apis.gateway.http1 import Http1Protocol
from apis.gateway.limits import Limits
from apis.gateway.observe import AccessLog, Metrics, Observer
from apis.live import Live
from apis.routing import Route, RoutingTable, Target, UpstreamSpec
from policies.core.chain import Attached, compile_chain
from policies.core.phase import Phase
from policies.core.policy import IdentityPolicy, Policy
from policies.core.values import ANONYMOUS, PASS, Call, Decision, Deny, Identity

LIMITS = Limits(
    header_bytes=4096,
    header_count=20,
    line_bytes=2048,
    header_timeout=0.4,
    idle_timeout=0.6,
    body_timeout=1.0,
    pipelined=4,
)


class Anyone(IdentityPolicy):
    kind = "public"

    def __init__(self) -> None:
        pass

    def credential(self, call: Call) -> bytes | Deny | None:
        return None

    async def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        return ANONYMOUS

    def missing(self) -> Identity:
        return ANONYMOUS


class ByHeader(Policy):
    """Refuses or breaks as the request's ``x-want`` says."""

    kind = "by_header"
    phase = Phase.AUTHORIZE

    def __init__(self) -> None:
        pass

    def check(self, call: Call) -> Decision:
        want = call.request.headers.get(b"x-want")
        if want == b"refusal":
            return Deny("claim_refused", "Refused by the test.")
        if want == b"defect":
            raise RuntimeError("a defect")
        return PASS


class Recorder(asyncio.Protocol):
    """An upstream that remembers complete messages, and how many were cut off."""

    messages: list[dict[str, Any]] = []
    broken = 0
    seen = threading.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.parser = httptools.HttpRequestParser(self)
        self.open = False

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open:
            type(self).broken += 1
        type(self).seen.set()

    def on_message_begin(self) -> None:
        self.open = True
        self.message: dict[str, Any] = {"target": b"", "fields": [], "body": b""}

    def on_url(self, part: bytes) -> None:
        self.message["target"] += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.message["fields"].append((name, value))

    def on_body(self, part: bytes) -> None:
        self.message["body"] += part

    def on_message_complete(self) -> None:
        self.open = False
        self.message["method"] = self.parser.get_method()
        self.messages.append(self.message)
        content = b"" if self.message["method"] == b"HEAD" else b"hello"
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + content)


class Door:
    """A listening door in a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        self.recorder = await self._loop.create_server(Recorder, "127.0.0.1", 0)
        port = self.recorder.sockets[0].getsockname()[1]
        self.upstreams = Upstreams()
        spec = UpstreamSpec((Target("127.0.0.1", port),), private_networks=("127.0.0.0/8",))
        chain = compile_chain(
            [Attached(Anyone(), "public"), Attached(ByHeader(), "by_header")], lambda *_: None
        )
        carrier = self.upstreams.carrier(spec)
        routes = [
            Route("all", "api", "/api", "/{rest*}", frozenset(), chain, carrier),
            Route("get", "api", "/get", "/only", frozenset({"GET"}), chain, carrier),
        ]
        live = Live(RoutingTable([(("*",), route) for route in routes], 1))
        observer = Observer(AccessLog("off"), Metrics(), time.time)
        self.gateway = Gateway(live, observer, time.time, LIMITS)
        self.state = SimpleNamespace(connections=set(), tasks=set())
        config = SimpleNamespace(loaded_app=self.gateway)
        self.server = await self._loop.create_server(
            lambda: Http1Protocol(config, self.state), "127.0.0.1", 0
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something on the door's loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    def close(self) -> None:
        async def stop() -> None:
            self.server.close()
            self.recorder.close()
            await self.upstreams.close()
            tasks = list(self.state.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    running = Door()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def hits(door: Door) -> list[dict[str, Any]]:
    Recorder.messages.clear()
    Recorder.broken = 0
    Recorder.seen.clear()
    return Recorder.messages


class Client:
    """A raw connection to the door."""

    def __init__(self, door: Door) -> None:
        self.socket = socket.create_connection(("127.0.0.1", door.port), timeout=5)
        self.buffer = b""

    def send(self, data: bytes) -> "Client":
        self.socket.sendall(data)
        return self

    def answer(self, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, content of the next answer."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        status = int(first.split()[1])
        length = 0 if head_only or status < 200 else int(fields.get("content-length", 0))
        while len(self.buffer) < length:
            self._more()
        content, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, fields, content

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the connection ended early"
        self.buffer += data

    def ended(self) -> bool:
        """Waits until the door closes; True when nothing more was sent."""
        try:
            rest = self.socket.recv(65536)
        except ConnectionResetError:
            rest = b""
        self.socket.close()
        return rest == b"" and self.buffer == b""


@pytest.fixture
def client(door: Door) -> Iterator[Client]:
    connection = Client(door)
    yield connection
    connection.socket.close()


GET = b"GET /api/x HTTP/1.1\r\nhost: a\r\n\r\n"


def code_of(content: bytes) -> str:
    return str(json.loads(content)["code"])


def test_a_request_is_carried_and_the_connection_kept(client: Client, hits: list[Any]) -> None:
    for _ in range(3):
        status, fields, content = client.send(GET).answer()
        assert (status, content) == (200, b"hello")
        assert fields["x-request-id"]
        assert "connection" not in fields
    assert [hit["target"] for hit in hits] == [b"/x"] * 3


def test_pipelined_requests_are_answered_in_order(client: Client, hits: list[Any]) -> None:
    client.send(b"".join(b"GET /api/%d HTTP/1.1\r\nhost: a\r\n\r\n" % n for n in range(4)))
    assert [client.answer()[0] for _ in range(4)] == [200] * 4
    assert [hit["target"] for hit in hits] == [b"/%d" % n for n in range(4)]


def test_P12_more_pipelined_requests_than_allowed_end_the_connection(
    client: Client, hits: list[Any]
) -> None:
    client.send(GET * 30)
    statuses = []
    while not statuses or statuses[-1] == 200:
        statuses.append(client.answer()[0])
    assert statuses[-1] == 400
    assert len(hits) == len(statuses) - 1 <= LIMITS.pipelined + 1
    assert client.ended()


MALFORMED = {
    "CL and TE": b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two Content-Length": b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n"
    b"content-length: 5\r\n\r\nhello",
    "list Content-Length": b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello",
    "signed Content-Length": b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
    "hex Content-Length": b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nhello",
    "gzip, chunked": b"POST /api/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
    b"0\r\n\r\n",
    "identity": b"POST /api/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
    "TE in HTTP/1.0": b"POST /api/x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    "obs-fold": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n 2\r\n\r\n",
    "bare LF": b"GET /api/x HTTP/1.1\nhost: a\n\n",
    "bare CR in a value": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-a: 1\r2\r\n\r\n",
    "NUL in a value": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-a: 1\x002\r\n\r\n",
    "form feed in a value": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-a: 1\x0c2\r\n\r\n",
    "space before the colon": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx-a : 1\r\n\r\n",
    "underscore in a name": b"GET /api/x HTTP/1.1\r\nhost: a\r\nx_request_id: 1\r\n\r\n",
    "no Host": b"GET /api/x HTTP/1.1\r\nx-a: 1\r\n\r\n",
    "empty Host": b"GET /api/x HTTP/1.1\r\nhost:\r\n\r\n",
    "two Hosts": b"GET /api/x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
    "other authority": b"GET http://b/api/x HTTP/1.1\r\nhost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
    "unknown method": b"BREW /api/x HTTP/1.1\r\nhost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "encoded slash": b"GET /api%2fx HTTP/1.1\r\nhost: a\r\n\r\n",
    "upgrade with a body": b"POST /api/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n"
    b"upgrade: websocket\r\ncontent-length: 5\r\n\r\nhello",
    "unknown expectation": b"GET /api/x HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_P3_malformed_messages_are_refused_and_end_the_connection(
    client: Client, hits: list[Any], name: str
) -> None:
    status, fields, content = client.send(MALFORMED[name]).answer()
    assert (status, code_of(content)) == (400, "request_malformed")
    assert fields["connection"] == "close"
    client.socket.shutdown(socket.SHUT_WR)
    assert client.ended()
    assert hits == []


def test_P6_trace_is_not_served(client: Client, hits: list[Any]) -> None:
    status, fields, _ = client.send(b"TRACE /api/x HTTP/1.1\r\nhost: a\r\n\r\n").answer()
    assert (status, "TRACE" in fields["allow"], hits) == (405, False, [])


def test_P3_a_bad_chunk_aborts_the_upstream_request(client: Client, hits: list[Any]) -> None:
    client.send(
        b"POST /api/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"
    )
    status, _, content = client.send(b"zz\r\n").answer()
    assert (status, code_of(content)) == (400, "request_malformed")
    assert Recorder.seen.wait(5)
    assert hits == []


def test_P3_a_body_cut_off_by_the_client_is_never_a_complete_message(
    client: Client, hits: list[Any]
) -> None:
    client.send(b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhello")
    client.socket.shutdown(socket.SHUT_RDWR)
    assert Recorder.seen.wait(5)
    assert (hits, Recorder.broken) == ([], 1)


def test_P2_trailers_are_dropped_and_never_become_headers(client: Client, hits: list[Any]) -> None:
    chunked = (
        b"POST /api/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nx-subject: admin\r\nx-real-ip: 1.1.1.1\r\n\r\n"
    )
    client.send(chunked + GET)
    assert [client.answer()[0], client.answer()[0]] == [200, 200]
    assert hits[0]["body"] == b"hello"
    names = {name for hit in hits for name, _ in hit["fields"]}
    assert not names & {b"x-subject", b"x-real-ip"}


def test_P12_trailers_are_bounded(client: Client, hits: list[Any]) -> None:
    client.send(b"POST /api/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    client.send(b"x: " + b"y" * 600_000)  # more than one read takes
    status, _, content = client.answer()
    assert (status, code_of(content), hits) == (431, "headers_too_large", [])


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"y" * 5000,  # more bytes than allowed, and no end in sight
        b"".join(b"x-%d: y\r\n" % n for n in range(25)) + b"\r\n",
        b"x: " + b"y" * 2100 + b"\r\n\r\n",
    ],
    ids=["bytes", "count", "line"],
)
def test_P12_large_heads_are_refused(client: Client, hits: list[Any], head: bytes) -> None:
    status, _, content = client.send(b"GET /api/x HTTP/1.1\r\nhost: a\r\n" + head).answer()
    assert (status, code_of(content), hits) == (431, "headers_too_large", [])


def test_P12_a_long_target_is_refused(client: Client, hits: list[Any]) -> None:
    client.send(b"GET /api/" + b"x" * 2100 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert client.answer()[0] == 431
    assert hits == []


def test_P12_a_slow_head_is_answered_408(client: Client) -> None:
    status, _, content = client.send(b"GET /api/x HTTP/1.1\r\nho").answer()
    assert (status, code_of(content)) == (408, "request_timeout")


def test_P12_a_silent_body_is_answered_408_and_never_complete(
    client: Client, hits: list[Any]
) -> None:
    client.send(b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhello")
    status, _, content = client.answer()
    assert (status, code_of(content), hits) == (408, "request_timeout", [])


def test_P12_an_idle_connection_is_closed(client: Client) -> None:
    assert client.send(GET).answer()[0] == 200
    assert client.ended()


def test_P8_the_body_is_asked_for_only_after_the_policies_passed(
    client: Client, hits: list[Any]
) -> None:
    head = b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n"
    client.send(head + b"\r\n")
    assert client.answer()[0] == 100
    assert client.send(b"hello").answer()[0] == 200
    assert hits[0]["body"] == b"hello"
    assert b"expect" not in [name for name, _ in hits[0]["fields"]]


def test_P8_a_refused_upload_is_not_asked_for(client: Client, hits: list[Any]) -> None:
    head = b"POST /api/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n"
    status, fields, _ = client.send(head + b"x-want: refusal\r\n\r\n").answer()
    assert (status, fields["connection"], hits) == (403, "close", [])


def test_a_refusal_before_the_body_was_read_can_be_read(client: Client, hits: list[Any]) -> None:
    client.send(
        b"POST /api/x HTTP/1.1\r\nhost: a\r\nx-want: refusal\r\ncontent-length: 4000000\r\n\r\n"
    )
    client.send(b"x" * 2_000_000)
    assert client.answer()[0] == 403
    assert hits == []


def test_F4_an_exception_in_the_chain_refuses(client: Client, hits: list[Any]) -> None:
    status, _, content = client.send(GET[:-2] + b"x-want: defect\r\n\r\n").answer()
    assert (status, code_of(content), hits) == (503, "misconfigured", [])
    assert b"defect" not in content


def test_head_is_served_by_get_without_content(client: Client, hits: list[Any]) -> None:
    client.send(b"HEAD /get/only HTTP/1.1\r\nhost: a\r\n\r\n")
    status, fields, _ = client.answer(head_only=True)
    assert (status, fields["content-length"]) == (200, "5")
    assert client.send(GET).answer()[0] == 200  # nothing was left in between


def test_http10_is_answered_and_closed(client: Client) -> None:
    status, fields, content = client.send(b"GET /api/x HTTP/1.0\r\nhost: a\r\n\r\n").answer()
    assert (status, fields["connection"], content) == (200, "close", b"hello")
    assert client.ended()


def test_P9_an_upgrade_elsewhere_is_refused(client: Client, hits: list[Any]) -> None:
    client.send(GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n" + GET)
    status, _, content = client.answer()
    assert (status, code_of(content)) == (426, "upgrade_refused")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.ended()  # what came behind the upgrade was not taken for a request
    assert hits == []


def test_a_client_that_closes_its_side_still_gets_a_quick_answer(client: Client) -> None:
    client.send(GET).socket.shutdown(socket.SHUT_WR)
    assert client.answer()[0] == 200
    assert client.ended()


def test_draining_lets_the_next_answer_be_the_last(door: Door, client: Client) -> None:
    assert client.send(GET).answer()[0] == 200
    door.call(lambda: [connection.shutdown() for connection in door.state.connections])
    try:
        status, fields, _ = client.send(GET).answer()
        assert (status, fields["connection"]) == (200, "close")
        assert client.ended()
        other = Client(door).send(b"GET /-/ready HTTP/1.1\r\nhost: a\r\n\r\n")
        status, _, content = other.answer()
        other.socket.close()
        assert (status, code_of(content)) == (503, "draining")
    finally:
        door.gateway.draining = False
