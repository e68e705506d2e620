"""A body larger than memory allows is never held: one gibibyte each way through one worker."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.answers import BLOCK
from tests.e2e.conftest import Start
from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.memory import Peak
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

GIB = 1 << 30
ALLOWED = 64 << 20


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    return start(standard(provider, upstream), workers=1)


def _blocks(size: int) -> Iterator[bytes]:
    for _ in range(size // len(BLOCK)):
        yield BLOCK


def _upload(client: Client, token: str, chunked: bool) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIB}"
    head = f"POST /orders/big HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{framing}"
    client.send(head.encode() + b"\r\n\r\n", "POST")
    digest = hashlib.sha256()
    for block in _blocks(GIB):
        client.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        digest.update(block)
    if chunked:
        client.send(b"0\r\n\r\n")
    answer = client.answer(60)
    assert answer.status == 200, answer.body
    assert answer.json()["length"] == GIB
    assert answer.json()["sha256"] == digest.hexdigest()
    return answer.body


def _download(client: Client, token: str, path: str) -> None:
    client.request("GET", path, bearer(token).items())
    assert client.head().status == 200
    received = 0
    while chunk := client.chunk():
        received += len(chunk)
    assert received == GIB


@pytest.mark.parametrize(
    ("name", "transfer"),
    [
        ("upload", lambda client, token: _upload(client, token, chunked=False)),
        ("upload_chunked", lambda client, token: _upload(client, token, chunked=True)),
        ("download", lambda client, token: _download(client, token, f"/orders/download/{GIB}")),
        (
            "download_chunked",
            lambda client, token: _download(client, token, f"/orders/chunked/{GIB}"),
        ),
    ],
)
def test_a_gibibyte_passes_without_being_held(
    gateway: Gateway,
    provider: Provider,
    record_property: Any,
    name: str,
    transfer: Callable[[Client, str], None],
) -> None:
    token = provider.token()
    assert gateway.call("GET", "/orders/id/1", bearer(token)).status == 200
    (pid,) = gateway.worker_pids()
    with Peak(pid) as peak, gateway.client() as client:
        transfer(client, token)
    print(f"{name}: peak growth {peak.growth / 2**20:.1f} MiB")
    record_property(f"{name}_growth_mib", round(peak.growth / 2**20, 1))
    assert peak.growth <= ALLOWED


def test_a_client_that_does_not_read_holds_back_the_upstream(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    token = provider.token()
    (pid,) = gateway.worker_pids()
    with Peak(pid) as peak, gateway.client() as client:
        client.request("GET", f"/orders/download/{GIB}", bearer(token).items())
        assert client.head().status == 200
        for _ in range(50):  # meanwhile the upstream pushes as much as it is allowed to
            assert gateway.call("GET", "/open/id/1").status == 200
    assert peak.growth <= ALLOWED
    assert upstream.given_up("/download", timeout=10)
