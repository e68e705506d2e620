"""The same gateway behind an ASGI server, through Django's catch-all view."""

import sys
from collections.abc import Iterator

import pytest

from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.processes import Process
from tests.e2e.provider import Provider
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(provider: Provider, upstream: Upstream) -> Iterator[Gateway]:
    installation = Gateway(workers=1)
    installation.migrate()
    installation.apply(standard(provider, upstream))
    command = [sys.executable, "-m", "uvicorn", "gatewaysite.catch_all:application"]
    command += ["--port", str(installation.port), "--no-server-header", "--no-date-header"]
    installation.process = Process(command, installation.environ, clean=True)
    until(installation.ready, 60, installation.log())
    yield installation
    installation.remove()


def test_a_call_with_a_token_is_carried(gateway: Gateway, upstream: Upstream, mint: Mint) -> None:
    upstream.clear()
    headers = {**bearer(mint.token()), "X-Subject": "forged", "Content-Type": "text/plain"}
    answer = gateway.call("POST", "/orders/items/%7Eme?x=%2F&y", headers, b"hello")
    assert answer.status == 200
    assert answer.get("x-request-id")
    (seen,) = upstream.seen()
    assert (seen.method, seen.target) == ("POST", "/items/~me?x=%2F&y")
    assert seen.body == "hello"
    assert seen.get("authorization") is None
    assert seen.all("x-subject") != ["forged"]


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/orders/items", 401, "credentials_missing"),
        ("GET", "/orders/..%2fadmin", 400, "request_malformed"),
        ("GET", "/nowhere", 404, "route_not_found"),
        ("GET", "/admin/", 404, "route_not_found"),
        ("TRACE", "/open/x", 405, "method_not_allowed"),
    ],
)
def test_refusals_are_the_same_and_nothing_reaches_the_upstream(
    gateway: Gateway, upstream: Upstream, method: str, target: str, status: int, code: str
) -> None:
    upstream.clear()
    answer = gateway.call(method, target)
    assert (answer.status, answer.code) == (status, code)
    assert answer.get("content-type") == "application/problem+json"
    assert upstream.seen() == []


def test_head_and_large_answers_pass(gateway: Gateway, upstream: Upstream) -> None:
    head = gateway.call("HEAD", "/open/echo")
    assert (head.status, head.body) == (200, b"")
    assert int(head.get("content-length") or 0) > 0
    large = gateway.call("GET", "/open/download/3000000")
    assert (large.status, len(large.body)) == (200, 3_000_000)
