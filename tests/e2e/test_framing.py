"""P3: what is not plainly one request is refused, ends the connection, and reaches nobody."""

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Client
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

SECOND = b"GET /open/second HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /open/first HTTP/1.1\r\nHost: a\r\n"

REFUSED = {
    "cl-te": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-cl": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two-lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "same-length-twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length-list": POST + b"Content-Length: 1, 1\r\n\r\na",
    "length-plus": POST + b"Content-Length: +1\r\n\r\na",
    "length-minus": POST + b"Content-Length: -1\r\n\r\na",
    "length-hex": POST + b"Content-Length: 0x1\r\n\r\na",
    "length-empty": POST + b"Content-Length: \r\n\r\n",
    "length-huge": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "length-underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "te-gzip": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te-identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "te-chunked-identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "te-chunked-twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "te-two-lines": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "te-on-1.0": b"POST /open/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-tab": POST + b"Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
    "te-space-colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "te-underscore": POST + b"Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    "obs-fold": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "bare-lf": b"GET /open/a HTTP/1.1\nHost: a\n\n",
    "bare-lf-in-head": b"GET /open/a HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare-cr": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n",
    "nul": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX: y\x00\r\n\r\n",
    "escape": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n",
    "space-before-colon": b"GET /open/a HTTP/1.1\r\nHost : a\r\n\r\n",
    "space-before-name": b"GET /open/a HTTP/1.1\r\n Host: a\r\n\r\n",
    "no-colon": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "empty-name": b"GET /open/a HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "two-hosts": b"GET /open/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "same-host-twice": b"GET /open/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "no-host": b"GET /open/a HTTP/1.1\r\n\r\n",
    "empty-host": b"GET /open/a HTTP/1.1\r\nHost:\r\n\r\n",
    "host-userinfo": b"GET /open/a HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "host-path": b"GET /open/a HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host-list": b"GET /open/a HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "underscore-name": b"GET /open/a HTTP/1.1\r\nHost: a\r\nX_Subject: b\r\n\r\n",
    "http-2.0": b"GET /open/a HTTP/2.0\r\nHost: a\r\n\r\n",
    "http-1.2": b"GET /open/a HTTP/1.2\r\nHost: a\r\n\r\n",
    "http-0.9": b"GET /open/a\r\n\r\n",
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "expect-other": POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\na",
}

# The head is right, so the request may be on its way before the body shows what it is.
BROKEN_BODIES = {
    "chunk-size-plus": b"+1\r\na\r\n0\r\n\r\n",
    "chunk-size-0x": b"0x1\r\na\r\n0\r\n\r\n",
    "chunk-size-empty": b"\r\na\r\n0\r\n\r\n",
    "chunk-size-huge": b"11111111111111111\r\na\r\n0\r\n\r\n",
    "chunk-size-space": b"1 \r\na\r\n0\r\n\r\n",
    "chunk-bare-lf": b"1\na\n0\n\n",
    "chunk-too-long": b"1\r\nabc\r\n0\r\n\r\n",
    "chunk-extension-lf": b"1;a\nb\r\na\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    return start(document(None, api("open", upstream.url)), workers=1)


@pytest.mark.parametrize("name", REFUSED)
def test_P3_a_malformed_request_is_refused_and_ends_the_connection(
    gateway: Gateway, upstream: Upstream, name: str
) -> None:
    upstream.clear()
    with Client(gateway.address) as client:
        client.send(REFUSED[name] + SECOND, "GET")
        (answer,) = client.answers()
    assert answer.status == 400, answer.body
    assert answer.code == "request_malformed"
    assert answer.get("connection") == "close"
    assert answer.get("x-request-id")
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_P3_a_malformed_body_never_completes_a_request(
    gateway: Gateway, upstream: Upstream, name: str
) -> None:
    upstream.clear()
    with Client(gateway.address) as client:
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        client.send(head + BROKEN_BODIES[name] + SECOND, "POST")
        answers = client.answers()
    assert [answer.status for answer in answers] == [400]
    assert upstream.counts()["complete"] == 0
    assert upstream.counts()["violations"] == [] or not upstream.counts()["complete"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET /open/a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /open/a HTTP/1.1\r\nhost:a\r\n\r\n",
        b"GET /open/a HTTP/1.1\r\nHOST:  a  \r\n\r\n",
        b"GET  /open/a HTTP/1.1\r\nHost: a\r\n\r\n",  # RFC 9112 3: MAY be parsed on blanks
        b"GET http://a/open/a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /open/a HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
        b"GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n",
        POST + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n00\r\n\r\n",
        POST + b"Content-Length: 0005\r\n\r\nhello",
    ],
)
def test_P3_what_is_unusual_but_right_passes(
    gateway: Gateway, upstream: Upstream, raw: bytes
) -> None:
    upstream.clear()
    with Client(gateway.address) as client:
        client.send(raw, "GET")
        assert client.answer().status == 200
    assert upstream.counts()["complete"] == 1
    assert upstream.counts()["violations"] == []


def test_P6_connect_trace_and_unknown_methods_are_refused(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    for method, target in (
        ("CONNECT", "example.org:443"),
        ("TRACE", "/open/a"),
        ("BREW", "/open/a"),
        ("get", "/open/a"),
    ):
        with Client(gateway.address) as client:
            client.request(method, target)
            answer = client.answer()
            assert answer.status in (400, 405), (method, answer.body)
            if answer.status == 405:
                assert "GET" in (answer.get("allow") or "")
    assert upstream.counts()["heads"] == 0


def test_http_1_0_is_answered_and_closed(gateway: Gateway) -> None:
    with Client(gateway.address) as client:
        client.send(b"GET /open/chunked/1000 HTTP/1.0\r\nHost: a\r\n\r\n", "GET")
        answer = client.answer()
        assert answer.get("transfer-encoding") is None
        assert len(answer.body) == 1000
        assert client.closed()
    with Client(gateway.address) as client:
        client.send(b"GET /open/id/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET")
        answer = client.answer()
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert client.closed()
