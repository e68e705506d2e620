"""P9: what happens after the upstream's 101."""

import asyncio

import pytest

from apis.gateway.upstream import (
    UpstreamInvalid,
)
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    SWITCH,
    SkippingLoop,
    Visit,
    answering,
    call,
    calling,
    serving,
)


class Peer:
    """The client's end of a tunnel."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = asyncio.Event()
        self.calls: list[str] = []

    def write(self, data: bytes) -> None:
        self.received += data

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.closed.set()


def test_P9_a_101_makes_a_tunnel(play):
    async def script(visit: Visit) -> None:
        head = await visit.head()
        assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in head
        visit.send(SWITCH + b"early")
        assert await visit.read(5) == b"hello"
        visit.send(b"\x00HTTP/1.1 200 OK\r\n\r\n")
        visit.close()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream, upgrade=b"websocket")
            assert (response.status, response.content) == (101, None)
            peer = Peer()
            end = response.tunnel(peer)
            assert peer.received == b"early"
            end.write(b"hello")
            await peer.closed.wait()
            assert peer.received == b"early\x00HTTP/1.1 200 OK\r\n\r\n"
            end.write(b"too late")
            end.pause()
            end.resume()
            end.close()
            end.close()
            response.abort()

    play(scene())


def test_P9_closing_the_tunnel_delivers_what_was_written(play):
    seen = []

    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(SWITCH)
        seen.append(await visit.rest())

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            peer = Peer()
            end = (await call(upstream, upgrade=b"websocket")).tunnel(peer)
            end.write(b"x" * 1_000_000)
            end.close()
            assert peer.closed.is_set()
            await server.done()

    play(scene())
    assert seen == [b"x" * 1_000_000]


def test_P9_a_tunnel_holds_back_both_ways(play):
    async def scene():
        go = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(SWITCH)
            await go.wait()
            await visit.read(20_000_000)
            visit.send(b"done")
            visit.close()

        async with serving(script) as server, calling(server) as upstream:
            peer = Peer()
            end = (await call(upstream, upgrade=b"websocket")).tunnel(peer)
            end.pause()
            end.write(b"x" * 20_000_000)
            assert peer.calls == ["pause"]
            go.set()
            await server.done()
            await asyncio.sleep(0.01)
            assert peer.calls == ["pause", "resume"]
            assert peer.received == b""  # it is paused
            end.resume()
            await peer.closed.wait()
            assert peer.received == b"done"

    play(scene())


def test_P9_nothing_is_read_before_there_is_a_peer(play):
    async def scene():
        taken = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(SWITCH + b"x" * 20_000_000)
            await visit.writer.drain()
            taken.set()
            visit.close()

        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream, upgrade=b"websocket")
            transport = server.visits[0].writer.transport
            waiting = -1
            while waiting != transport.get_write_buffer_size():  # until it stands still
                waiting = transport.get_write_buffer_size()
                await asyncio.sleep(0.05)
            assert waiting > 0
            assert not taken.is_set()
            peer = Peer()
            response.tunnel(peer)
            await peer.closed.wait()
            assert peer.received == b"x" * 20_000_000

    play(scene())


def test_P9_a_tunnel_that_broke_before_it_had_a_peer_is_closed(play):
    async def scene():
        async with serving(answering(SWITCH + b"last")) as server, calling(server) as upstream:
            response = await call(upstream, upgrade=b"websocket")
            response.abort()
            peer = Peer()
            response.tunnel(peer)
            assert peer.closed.is_set()
            assert peer.received == b"last"

    play(scene())


@pytest.mark.parametrize(
    ("upgrade", "answer"),
    [
        (None, SWITCH),
        (b"h2c", SWITCH),
        (b"websocket", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ],
)
def test_P9_a_101_nobody_asked_for_is_invalid(play, upgrade, answer):
    async def scene():
        async with serving(answering(answer)) as server, calling(server) as upstream:
            with pytest.raises(UpstreamInvalid):
                await call(upstream, upgrade=upgrade)

    play(scene())


def test_P9_a_refused_upgrade_is_an_answer_like_others(play):
    refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"

    async def scene():
        async with serving(answering(refusal, OK)) as server, calling(server) as upstream:
            response = await call(upstream, upgrade=b"websocket")
            assert (response.status, response.content) == (403, b"no")
            with pytest.raises(RuntimeError):
                response.tunnel(Peer())

    play(scene())


def test_a_silent_tunnel_ends_after_idle_timeout():
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(SWITCH)
        await asyncio.sleep(8)
        visit.send(b"x")
        await visit.rest()

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(script) as server, calling(server, idle_timeout=10.0) as upstream:
            peer = Peer()
            response = await call(upstream, upgrade=b"websocket")
            began = loop.time()
            end = response.tunnel(peer)
            loop.call_later(15, end.write, b"y")
            await peer.closed.wait()
            assert 22.5 <= loop.time() - began <= 27.5

    scripted.play(scene(), SkippingLoop)


def test_an_upstream_that_takes_nothing_cannot_hold_a_closed_tunnel():
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(SWITCH)
        await asyncio.sleep(60)
        assert len(await visit.rest()) < 30_000_000

    async def scene():
        async with serving(script) as server, calling(server, write_timeout=5.0) as upstream:
            end = (await call(upstream, upgrade=b"websocket")).tunnel(Peer())
            end.write(b"x" * 30_000_000)
            end.close()
            await server.done()

    scripted.play(scene(), SkippingLoop)
