"""The registry of upstreams: shared by equal specs, retired with them."""

import asyncio
import threading
from dataclasses import replace

import pytest

from apis.gateway.balance import Upstreams
from apis.gateway.upstream import UpstreamUnreachable
from apis.routing import Health, Target, Tls, UpstreamSpec
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    LOOPBACK,
    OK,
    SkippingLoop,
    Visit,
    answering,
    call,
    content_of,
    serving,
)


def test_equal_specs_share_one_upstream_whichever_thread_asks():
    upstreams = Upstreams()
    specs = [
        UpstreamSpec((Target("a.example", 80),), tls=Tls(server_name=f"{i % 3}.example"))
        for i in range(300)
    ]
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(upstreams.carrier(spec) for spec in specs))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1200
    assert len({id(upstream) for upstream in found}) == 3
    assert all(replace(upstream.spec) == upstream.spec for upstream in found)


def test_a_retired_upstream_finishes_its_calls_and_keeps_no_connection(play):
    async def scene():
        go = asyncio.Event()
        ended = []

        async def script(visit: Visit) -> None:
            await visit.head()
            if len(server.visits) == 2:
                visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
                await go.wait()
                visit.send(b"k")
            else:
                visit.send(OK)
            ended.append(await visit.rest())

        upstreams = Upstreams()
        async with serving(script) as server:
            target = scripted.target(server)
            spec = UpstreamSpec((target,), private_networks=LOOPBACK)
            kept = UpstreamSpec((target,), private_networks=LOOPBACK, retries=3)
            upstream, other = upstreams.carrier(spec), upstreams.carrier(kept)
            assert (await call(upstream)).content == b"ok"
            idle = upstream._members[0].pool.take()
            under_way = await call(upstream)
            upstream._members[0].pool.released(idle)
            upstreams.retain([kept])
            go.set()
            assert await content_of(under_way) == b"ok"
            assert (await call(upstream)).content == b"ok"  # still carries who holds it
            await server.done()  # and every connection was closed
            assert ended == [b"", b"", b""]
            assert upstreams.carrier(kept) is other
            assert upstreams.carrier(spec) is not upstream
            await upstreams.close()

    play(scene())


def test_close_ends_what_is_under_way(play):
    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.rest()

    async def scene():
        upstreams = Upstreams()
        async with serving(script) as server:
            spec = UpstreamSpec(
                (scripted.target(server),), private_networks=LOOPBACK, health=Health("/", 1)
            )
            task = asyncio.ensure_future(call(upstreams.carrier(spec)))
            while not server.heads:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await upstreams.close()
            with pytest.raises(UpstreamUnreachable):
                await task
            await server.done()

    play(scene())


def test_a_spec_that_cannot_be_used_says_so():
    upstreams = Upstreams()
    target = Target("a.example", 443, secure=True)
    for spec in (
        UpstreamSpec((target,), tls=Tls(ca="nonsense")),
        UpstreamSpec((target,), private_networks=("nonsense",)),
        UpstreamSpec((Target("b\xfccher.example", 80),)),
    ):
        with pytest.raises(ValueError, match=r"."):
            upstreams.carrier(spec)


def test_a_retired_upstream_checks_no_health_any_more():
    async def scene():
        upstreams = Upstreams()
        async with serving(answering(OK)) as server:
            spec = UpstreamSpec(
                (scripted.target(server),), private_networks=LOOPBACK, health=Health("/healthz", 1)
            )
            await call(upstreams.carrier(spec))
            await asyncio.sleep(3.5)
            upstreams.retain([])
            checks = len(server.heads)
            assert checks > 3
            await asyncio.sleep(10)
            assert len(server.heads) == checks

    scripted.play(scene(), SkippingLoop)
