"""The time-outs of an upstream, on a loop whose clock jumps: exact, and quick."""

import asyncio

import pytest

from apis.gateway.upstream import (
    UpstreamTimeout,
)
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    SkippingLoop,
    Upload,
    Visit,
    call,
    calling,
    content_of,
    serving,
)


def ignore(status, fields) -> None:
    """An interim answer that does not matter."""


def timed(script, expected: float, body=None, **options) -> None:
    """The call ends in ``UpstreamTimeout`` within a tenth of the expected seconds."""

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(script) as server, calling(server, **options) as upstream:
            began = loop.time()
            with pytest.raises(UpstreamTimeout):
                await content_of(await call(upstream, "POST", body=body, on_interim=ignore))
            took = loop.time() - began
            await server.done()
            assert 0.9 * expected <= took <= 1.1 * expected, took

    scripted.play(scene(), SkippingLoop)


async def silent(visit: Visit) -> None:
    await visit.head()
    await visit.rest()


def test_read_timeout_bounds_the_wait_for_the_answer():
    timed(silent, 15)
    timed(silent, 1, read_timeout=1.0)
    timed(silent, 0.53, read_timeout=0.53)


def test_read_timeout_bounds_every_wait_within_the_answer():
    async def dribble(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(1.5)
            visit.send(b"x")
        assert await visit.rest() == b""

    timed(dribble, 5 * 1.5 + 2, read_timeout=2.0, total_timeout=4.0)


@pytest.mark.parametrize("part", [b"X: y\r\n", b"\r\nHTTP/1.1 102 Processing\r\n"])
def test_total_timeout_bounds_the_time_until_the_head(part):
    async def dribble(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 102 Processing\r\n")
        for _ in range(8):
            await asyncio.sleep(1)
            visit.send(part)
        await visit.rest()

    timed(
        dribble, 5, read_timeout=2.0, total_timeout=5.0,
    )  # fmt: skip


def test_write_timeout_bounds_the_wait_for_the_upstream_to_take_bytes():
    async def deaf(visit: Visit) -> None:
        await visit.head()
        await asyncio.sleep(100)

    body = Upload((b"x" * 65536 for _ in range(1000)), None)
    timed(deaf, 3, body, write_timeout=3.0, read_timeout=50.0)


def test_time_in_which_the_client_is_awaited_is_not_the_upstreams():
    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.read(13)
        await asyncio.sleep(4)
        visit.send(OK)

    async def scene():
        late = asyncio.Event()
        async with serving(script) as server, calling(server, total_timeout=5.0) as upstream:
            asyncio.get_running_loop().call_later(30, late.set)
            response = await call(upstream, "POST", body=Upload([b"abc", late], None))
            assert response.status == 200

    scripted.play(scene(), SkippingLoop)


@pytest.mark.parametrize(
    "kind",
    [b"transfer-encoding: chunked", b"content-type: text/event-stream\r\ncontent-length: 100"],
)
def test_idle_timeout_bounds_the_silence_of_streams(kind):
    async def stream(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % kind)
        await asyncio.sleep(10)
        visit.send(b"1\r\nx\r\n")
        assert await visit.rest() == b""

    timed(stream, 10 + 12, idle_timeout=12.0, read_timeout=5.0)


def test_the_upstreams_silence_counts_again_when_the_client_takes_again():
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 400_000)
        await visit.rest()

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream)
            await asyncio.sleep(40)
            began = loop.time()
            with pytest.raises(UpstreamTimeout):
                await content_of(response)
            assert 13.5 <= loop.time() - began <= 16.5

    scripted.play(scene(), SkippingLoop)


def test_an_idle_connection_is_closed_after_a_minute():
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(OK)
        await visit.rest()

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(script) as server, calling(server) as upstream:
            await call(upstream)
            began = loop.time()
            await server.done()
            assert 54 <= loop.time() - began <= 66

    scripted.play(scene(), SkippingLoop)


def test_a_client_that_takes_nothing_is_not_the_upstreams_silence():
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 4_000_000)
        await visit.head()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream)
            await asyncio.sleep(40)
            assert len(await content_of(response)) == 4_000_000

    scripted.play(scene(), SkippingLoop)
