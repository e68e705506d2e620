"""rate_limit and body_limit as a client meets them, through several workers."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

LIMIT = 20


def _rate(by: str, limit: int = LIMIT) -> dict[str, object]:
    return {"rate_limit": {"limit": limit, "per": 86400, "by": by}}


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    url = upstream.url
    return start(
        document(
            provider,
            protected("identity", url, _rate("identity")),
            api("address", url, [{"public": {}}, _rate("ip")]),
            protected("guess", url, _rate("ip", 5)),
            api("small", url, [{"public": {}}, {"body_limit": {"max_bytes": 1000}}]),
        ),
        backend(),
    )


def test_R1_parallel_calls_through_two_workers_never_get_more_than_the_limit(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    token = mint.token(sub="greedy")
    with ThreadPoolExecutor(16) as pool:
        paths = [f"/identity/id/{n}" for n in range(4 * LIMIT)]
        answers = list(pool.map(lambda p: gateway.call("GET", p, bearer(token)), paths))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == LIMIT
    assert statuses.count(429) == 3 * LIMIT
    assert upstream.counts()["heads"] == LIMIT


def test_R3_headers_of_a_limited_call_and_of_a_refused_one(gateway: Gateway, mint: Mint) -> None:
    token = mint.token(sub="counting")
    first = gateway.call("GET", "/identity/id/1", bearer(token))
    assert first.status == 200
    assert first.get("ratelimit").startswith(f'"default";r={LIMIT - 1};t=')
    assert first.get("ratelimit-policy") == f'"default";q={LIMIT};w=86400'
    for _ in range(LIMIT):
        last = gateway.call("GET", "/identity/id/1", bearer(token))
    assert (last.status, last.code) == (429, "rate_limited")
    assert 1 <= int(last.get("retry-after")) <= 86400 // LIMIT
    assert last.get("ratelimit").startswith('"default";r=0;t=')
    assert last.get("x-request-id")


def test_R2_one_identity_does_not_use_up_anothers_limit(gateway: Gateway, mint: Mint) -> None:
    for subject in ("one", "two"):
        for _ in range(3):
            answer = gateway.call("GET", "/identity/id/1", bearer(mint.token(sub=subject)))
        assert answer.status == 200
        assert answer.get("ratelimit").startswith(f'"default";r={LIMIT - 3};')


def test_R2_a_forwarding_header_does_not_make_another_address(gateway: Gateway) -> None:
    statuses = []
    for number in range(LIMIT + 5):
        spoof = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
        statuses.append(gateway.call("GET", "/address/id/1", spoof).status)
    assert statuses == [200] * LIMIT + [429] * 5


def test_R4_bad_credentials_are_limited_too(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    guesses = [gateway.call("GET", "/guess/id/1", bearer("a.b.c")).status for _ in range(8)]
    assert guesses == [401] * 5 + [429] * 3
    assert upstream.counts()["heads"] == 0


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    assert gateway.call("POST", "/small/a", body=b"x" * 1000).status == 200
    upstream.clear()
    with gateway.client() as client:
        client.send(b"POST /small/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "POST")
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert client.closed()
    assert upstream.counts()["heads"] == 0


def test_a_body_that_grows_too_large_never_completes_upstream(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    with gateway.client() as client:
        head = b"POST /small/grow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"1f4\r\n" + b"x" * 500 + b"\r\n", "POST")
        client.send(b"1f4\r\n" + b"y" * 500 + b"\r\n")
        client.send(b"1\r\nz\r\n")
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert client.closed()
    assert upstream.counts()["complete"] == 0


def test_P8_an_upload_is_refused_before_100_continue(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    for path, length, status in (("/small/a", 5000, 413), ("/identity/a", 10, 401)):
        with gateway.client() as client:
            fields = [("Expect", "100-continue"), ("Content-Length", str(length))]
            client.request("POST", path, fields)
            answer = client.answer()
            assert answer.status == status
            assert answer.interim == []
    assert upstream.counts()["heads"] == 0


def test_P8_100_continue_comes_when_the_checks_have_passed(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    with gateway.client() as client:
        token = mint.token(sub="patient")
        fields = [("Expect", "100-continue"), ("Content-Length", "5"), *bearer(token).items()]
        client.request("POST", "/identity/a", fields)
        assert client.head().status == 100
        client.send(b"hello")
        answer = client.answer()
    assert answer.status == 200
    assert answer.json()["body"] == "hello"
    (seen,) = upstream.seen()
    assert seen.all("expect") == []
