"""P12: thousands of clients that keep a connection and say nothing cost little, and are kept."""

import asyncio
import resource
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

IDLE = 4000
ALLOWED = 20_000  # bytes of a worker's memory for each of them
REQUEST = b"GET /-/live HTTP/1.1\r\nHost: a\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module", autouse=True)
def open_files() -> Iterator[None]:
    """As many as the connections need, here and in the gateway that is started after this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, open_files: None) -> Gateway:
    return start(document(None, api("open", upstream.url)), workers=1)


async def _ask(connection: Connection) -> None:
    reader, writer = connection
    writer.write(REQUEST)
    answer = await reader.readuntil(b"ok\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def _open(gateway: Gateway) -> Connection:
    connection = await asyncio.open_connection(*gateway.address)
    await _ask(connection)
    return connection


async def _close(connections: list[Connection]) -> None:
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections))


async def _many(gateway: Gateway) -> list[Connection]:
    opened: list[Connection] = []
    while len(opened) < IDLE:
        opened += await asyncio.gather(*(_open(gateway) for _ in range(100)))
    return opened


def test_P12_idle_connections_are_kept_and_cost_little(gateway: Gateway) -> None:
    async def play() -> None:
        await _close([await _open(gateway) for _ in range(50)])  # what is made once, is made
        before = worker.memory_info().rss
        opened = await _many(gateway)
        grown = worker.memory_info().rss - before
        await asyncio.gather(*(_ask(connection) for connection in opened))
        await _close(opened)
        assert grown / IDLE <= ALLOWED

    (pid,) = gateway.worker_pids()
    worker = psutil.Process(pid)
    asyncio.run(play())
    assert gateway.worker_pids() == [pid]
