"""The connections to one target: how many, how long, and to which address."""

import asyncio
import socket

import pytest

from apis.gateway import pool as pool_module
from apis.gateway.pool import Pool
from apis.gateway.upstream import UpstreamTimeout, UpstreamUnavailable, UpstreamUnreachable
from apis.routing import Target
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import OK, SkippingLoop, Visit, answering, call, calling, serving


def test_the_last_released_connection_is_used_first(play):
    async def scene():
        gates = [asyncio.Event() for _ in range(3)]

        async def script(visit: Visit) -> None:
            gate = gates[len(server.visits) - 1]
            while True:
                await visit.head()
                await gate.wait()
                visit.send(OK)

        async with serving(script) as server, calling(server) as upstream:
            calls = []
            for number in range(3):
                calls.append(asyncio.ensure_future(call(upstream)))
                while len(server.heads) <= number:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            for gate, task in zip(gates, calls, strict=True):
                gate.set()
                await task
            for _ in range(5):
                await call(upstream)
            assert [len(visit.heads) for visit in server.visits] == [1, 1, 6]

    play(scene())


def test_connections_and_idle_ones_are_bounded(play, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(pool_module, "MAX_IDLE", 2)

    async def scene():
        go = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            await go.wait()
            visit.send(OK)
            await visit.head()
            visit.send(OK)

        async with serving(script) as server, calling(server) as upstream:
            calls = [asyncio.ensure_future(call(upstream)) for _ in range(9)]
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                assert isinstance(task.exception(), UpstreamUnavailable)  # at once
            go.set()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(result, UpstreamUnavailable) for result in results) == 4
            assert len(server.visits) == 5
            await asyncio.wait(server.plays, return_when=asyncio.FIRST_COMPLETED)
            while sum(play.done() for play in server.plays) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.gather(call(upstream), call(upstream))
            assert len(server.visits) == 5

    play(scene())


def test_a_bound_of_connections_counts_those_that_are_being_made(play, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_CONNECTIONS", 1)

    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            results = await asyncio.gather(
                *(call(upstream) for _ in range(3)), return_exceptions=True
            )
            kinds = sorted(type(result).__name__ for result in results)
            assert kinds == ["UpstreamResponse", "UpstreamUnavailable", "UpstreamUnavailable"]
            assert len(server.visits) == 1

    play(scene())


def test_a_refused_connection_is_unreachable(play):
    async def scene():
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))  # bound, but nobody listens
            async with calling(Target("127.0.0.1", bound.getsockname()[1])) as upstream:
                with pytest.raises(UpstreamUnreachable):
                    await call(upstream)

    play(scene())


def test_connect_timeout_bounds_one_attempt():
    async def scene():
        loop = asyncio.get_running_loop()
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = []
            for _ in range(4):  # until its queue takes no more
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(full.getsockname())
            target = Target("127.0.0.1", full.getsockname()[1])
            for options, expected in (({}, 2), ({"connect_timeout": 9, "total_timeout": 4}, 4)):
                async with calling(target, **options) as upstream:
                    began = loop.time()
                    with pytest.raises(UpstreamTimeout):
                        await call(upstream)
                    assert 0.9 * expected <= loop.time() - began <= 1.1 * expected
            for sock in waiting:
                sock.close()

    scripted.play(scene(), SkippingLoop)


def test_a_connection_that_is_closed_at_once_is_unreachable(play, monkeypatch):
    made = Pool._open_one

    async def made_and_closed(pool, loop):
        connection = await made(pool, loop)
        connection.data_received(b"421 too many connections\r\n")
        return connection

    monkeypatch.setattr(Pool, "_open_one", made_and_closed)

    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await call(upstream)
            assert server.heads == []

    play(scene())


def test_P10_a_server_that_speaks_first_is_not_used(play):
    async def script(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
        await visit.rest()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            try:
                response = await call(upstream)
            except UpstreamUnreachable:
                pass  # noticed before the request was sent
            else:  # the bytes came behind it: they are taken for the answer, and only for this one
                assert response.content == b"poison"
            assert len(server.visits) == 1

    play(scene())


def test_a_cancelled_connection_attempt_leaves_nothing_open(play):
    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            pool = upstream._members[0].pool
            for ticks in range(8):
                task = asyncio.ensure_future(call(upstream))
                for _ in range(ticks):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            assert pool._opening == 0
            while pool._open - set(pool._idle):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            assert (await call(upstream)).status == 200

    play(scene())
