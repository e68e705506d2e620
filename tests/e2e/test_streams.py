"""WebSockets, server-sent events and clients that leave: what is neither short nor one answer."""

import asyncio
import hashlib
import os
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    document = standard(provider, upstream)
    websocket = [{"path": "/{rest*}", "websocket": True}]
    document["apis"].append(api("plain", upstream.url, routes=websocket))
    return start(document, workers=1)


def _socket(gateway: Gateway, token: str | None, path: str = "/ws/chat"):
    headers = bearer(token) if token else {}
    return connect(
        f"ws://127.0.0.1:{gateway.port}{path}",
        additional_headers={**headers, "X-Subject": "root", "X-Forwarded-For": "6.6.6.6"},
        max_size=1 << 24,
        open_timeout=10,
        close_timeout=10,
    )


def test_a_websocket_echoes_messages_of_every_size(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    token = provider.token()

    async def talk() -> None:
        async with _socket(gateway, token) as socket:
            for size in (0, 1, 125, 126, 65536, 3_000_000):
                message = os.urandom(size)
                await socket.send(message)
                assert await asyncio.wait_for(socket.recv(), 20) == message
            await socket.send("text")
            assert await asyncio.wait_for(socket.recv(), 20) == "text"

    upstream.clear()
    asyncio.run(talk())
    (handshake,) = upstream.counts()["handshakes"]
    assert handshake["path"] == "/chat"
    fields = [tuple(pair) for pair in handshake["fields"]]
    names = [name for name, _ in fields]
    assert "authorization" not in names
    assert "x-subject" not in names
    assert ("x-forwarded-for", "127.0.0.1") in fields
    assert names.count("upgrade") == names.count("connection") == 1


def test_P9_no_tunnel_without_a_token(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()

    async def refused() -> int:
        with pytest.raises(InvalidStatus) as failure:
            async with _socket(gateway, None):
                pass
        return failure.value.response.status_code

    assert asyncio.run(refused()) == 401
    assert upstream.counts()["handshakes"] == []


def test_P9_an_upgrade_is_refused_where_it_is_not_allowed(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    with gateway.client() as client:
        client.request("GET", "/orders/items", [*UPGRADE, *bearer(provider.token()).items()])
        answer = client.answer()
    assert (answer.status, answer.code) == (426, "upgrade_refused")
    assert upstream.counts()["heads"] == 0


def test_P9_no_bytes_pass_before_the_upstream_agreed(gateway: Gateway, upstream: Upstream) -> None:
    """The upstream answers 200 instead of 101: what the client sent behind is no request."""
    upstream.clear()
    smuggled = b"GET /open/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with gateway.client() as client:
        client.request("GET", "/plain/id/1", UPGRADE)
        client.send(smuggled)
        answer = client.answer()
        assert answer.status == 200
        assert client.closed()
    assert [seen.target for seen in upstream.seen()] == ["/id/1"]
    assert upstream.counts()["violations"] == []


def test_P9_an_upgrade_with_a_body_is_refused(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    smuggled = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    with gateway.client() as client:
        client.request("GET", "/plain/id/1", UPGRADE, smuggled)
        assert client.answer().status == 400
        assert client.closed()
    assert upstream.counts()["heads"] == 0


def test_a_tunnel_ends_with_either_side(gateway: Gateway, provider: Provider) -> None:
    token = provider.token()

    async def leave() -> None:
        async with _socket(gateway, token) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        await asyncio.wait_for(socket.wait_closed(), 10)

    asyncio.run(leave())


def test_an_event_is_seen_before_the_next_one_is_sent(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    with gateway.client() as client:
        client.request("GET", "/orders/sse", bearer(provider.token()).items())
        assert client.head().get("content-type") == "text/event-stream"
        assert client.chunk() == b"data: 0\n\n"
        for number in range(1, 6):
            upstream.emit()
            assert client.chunk() == f"data: {number}\n\n".encode()


@pytest.mark.parametrize("path", ["/orders/sse", "/orders/hang", "/orders/slow/1000/20"])
def test_a_client_that_leaves_ends_the_upstream_request(
    gateway: Gateway, provider: Provider, upstream: Upstream, path: str
) -> None:
    upstream.clear()
    client = gateway.client()
    client.request("GET", path, bearer(provider.token()).items())
    _await_arrival(upstream)
    client.close()
    assert upstream.given_up(path.removeprefix("/orders"), timeout=5)


def _await_arrival(upstream: Upstream) -> None:
    until(lambda: upstream.counts()["heads"] == 1, 10, "the request at the upstream")


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ("Content-Length: 1000000", b"x" * 70000),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
    ],
)
def test_P3_an_aborted_upload_is_never_a_complete_request(
    gateway: Gateway, upstream: Upstream, framing: str, sent: bytes, leave: Callable[[Client], None]
) -> None:
    upstream.clear()
    client = gateway.client()
    client.send(f"POST /open/cut HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode() + sent)
    _await_arrival(upstream)
    leave(client)
    assert upstream.given_up("/cut", timeout=5)
    assert upstream.counts()["complete"] == 0


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1_000_003])
def test_bodies_arrive_as_they_were_sent(gateway: Gateway, upstream: Upstream, size: int) -> None:
    body = os.urandom(size)
    digest = hashlib.sha256(body).hexdigest()
    assert gateway.call("POST", "/open/a", body=body).json()["sha256"] == digest
    with gateway.client() as client:
        client.send(b"PUT /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "PUT")
        for at in range(0, size, 10007):
            piece = body[at : at + 10007]
            client.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
        assert client.answer().json()["sha256"] == digest


@pytest.mark.parametrize("path", ["/open/download/300000", "/open/until-close/300000"])
def test_answers_arrive_as_they_were_given(gateway: Gateway, path: str) -> None:
    answer = gateway.call("GET", path)
    assert len(answer.body) == 300000
    assert answer.status == 200


def test_P8_interim_answers_pass_and_trailers_do_not(gateway: Gateway) -> None:
    answer = gateway.call("GET", "/open/interim")
    assert [head.status for head in answer.interim] == [103]
    assert len(gateway.call("GET", "/open/chunked/100000").body) == 100000


def test_P8_answers_without_content_are_framed_right(gateway: Gateway) -> None:
    """All on one connection: wrong framing of one would garble the next."""
    with Client(gateway.address) as client:
        for method, path, status in (
            ("HEAD", "/open/id/1", 200),
            ("GET", "/open/status/204", 204),
            ("GET", "/open/status/304", 304),
            ("HEAD", "/open/status/404", 404),
            ("DELETE", "/open/status/205", 205),
            ("GET", "/open/id/1", 200),
        ):
            client.request(method, path)
            answer = client.answer()
            assert answer.status == status
            if method == "HEAD" or status in (204, 304):
                assert answer.body == b""
        assert answer.body == b"/id/1"


def test_requests_sent_together_are_answered_in_order(gateway: Gateway) -> None:
    with Client(gateway.address) as client:
        for number in range(10):
            client.request("GET", f"/open/id/{number}")
        assert [client.answer().body for _ in range(10)] == [b"/id/%d" % n for n in range(10)]
