"""The parts these tests are made of do what they say, without a gateway between them."""

import base64
import hashlib
import json
import urllib.error
from collections import deque
from urllib.parse import urlsplit

import pytest

from tests.e2e.provider import AUDIENCE, Provider
from tests.e2e.raw import Client, call
from tests.e2e.strict import END, Head, Messages, Violation
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
        b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: a\r\n\r\n",
    ],
)
def test_the_strict_reader_objects_to_what_is_not_plain(raw: bytes) -> None:
    messages = Messages()
    messages.feed(raw)
    with pytest.raises(Violation):
        list(iter(messages.take, None))


def test_the_strict_reader_takes_messages_apart_at_every_boundary() -> None:
    raw = (
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"
        b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    messages = Messages()
    events: list[object] = []
    for byte in raw:
        messages.feed(bytes([byte]))
        while (event := messages.take()) is not None:
            events.append(event)
    targets = [event.target for event in events if isinstance(event, Head)]
    content = b"".join(event for event in events if isinstance(event, bytes))
    assert targets == ["/a", "/b", "/c"]
    assert content == b"abcdexy"
    assert events.count(END) == 3


def test_a_response_to_head_has_no_content() -> None:
    messages = Messages(deque(["HEAD", "GET"]))
    messages.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No\r\n\r\n")
    statuses = []
    while (event := messages.take()) is not None:
        if isinstance(event, Head):
            statuses.append(event.status)
    assert statuses == [200, 204]


def test_the_upstream_records_what_it_got(upstream: Upstream) -> None:
    upstream.clear()
    body = b"abc" * 1000
    answer = call(_address(upstream.url), "POST", "/a/b?c", {"X-One": "1"}, body)
    (seen,) = upstream.seen()
    assert (answer.status, seen.method, seen.target) == (200, "POST", "/a/b?c")
    assert answer.json()["sha256"] == seen.sha256 == hashlib.sha256(body).hexdigest()
    assert seen.complete
    assert seen.get("x-one") == "1"


def test_the_upstream_records_an_aborted_request_as_incomplete(upstream: Upstream) -> None:
    upstream.clear()
    with Client(_address(upstream.url)) as client:
        client.send(b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert upstream.given_up("/cut", timeout=5)
    (seen,) = upstream.seen()
    assert not seen.complete
    assert upstream.counts()["complete"] == 0


def test_the_upstream_streams_events_when_it_is_told_to(upstream: Upstream) -> None:
    upstream.clear()
    with Client(_address(upstream.url)) as client:
        client.request("GET", "/sse")
        assert client.head().get("content-type") == "text/event-stream"
        assert client.chunk() == b"data: 0\n\n"
        upstream.emit()
        assert client.chunk() == b"data: 1\n\n"
    assert upstream.given_up("/sse", timeout=5)


def test_the_upstream_answers_in_other_ways(upstream: Upstream) -> None:
    address = _address(upstream.url)
    upstream.script(b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok")
    assert call(address, "GET", "/raw").status == 299
    assert len(call(address, "GET", "/download/1000000").body) == 1000000
    assert len(call(address, "GET", "/until-close/300000").body) == 300000
    assert call(address, "GET", "/interim").interim[0].status == 103
    assert call(address, "HEAD", "/id/1").body == b""
    assert call(address, "GET", "/slow/3/1").body == b"0\n1\n2\n"


def test_the_provider_gives_tokens_rotates_and_fails_on_demand(provider: Provider) -> None:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=="))
        for part in provider.token("reader", "read").split(".")[:2]
    )
    assert header["typ"] == "at+jwt"
    assert claims["aud"] == AUDIENCE
    assert claims["iss"] == provider.issuer
    assert claims["scope"] == "read"

    signing = provider.rotate()
    header = json.loads(base64.urlsafe_b64decode(provider.token().split(".")[0] + "=="))
    assert header["kid"] == signing
    assert len(provider.private_keys()) == 4
    provider.rotate(drop=True)
    assert len(provider.private_keys()) == 2

    provider.fault("down")
    with pytest.raises(urllib.error.URLError, match="refused"):
        provider.token()
    provider.fault("500", "/token")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        provider.token()
    provider.fault("none")
    assert provider.token()
