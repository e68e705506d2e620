"""S1: names lead only to addresses that were judged, and to no other afterwards."""

import asyncio
import socket

import pytest

from apis.gateway.resolve import Resolver
from apis.gateway.upstream import UpstreamUnreachable
from apis.routing import Target
from policies.core.addresses import networks
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    LOOPBACK,
    OK,
    SkippingLoop,
    answering,
    call,
    calling,
    serving,
)


def answers(monkeypatch, loop, *results):
    """The resolver's next answers, and how often it was asked."""
    asked = []

    async def getaddrinfo(host, port, **options):
        asked.append(host)
        found = results[min(len(asked), len(results)) - 1]
        if isinstance(found, Exception):
            raise found
        await asyncio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "::1", "::ffff:127.0.0.1",
        "0.0.0.0", "10.0.0.1", "169.254.169.254", "fe80::1",
    ],
)  # fmt: skip
def test_S1_private_addresses_are_not_connected_to(play, host):
    async def scene():
        async with serving(answering(OK)) as server:
            async with calling(Target(host, server.port), private_networks=()) as upstream:
                with pytest.raises(UpstreamUnreachable, match="must not be connected to"):
                    await call(upstream)
            assert server.visits == []

    play(scene())


def test_S1_link_local_is_refused_even_if_listed(play):
    async def scene():
        everything = ("0.0.0.0/0", "::/0")
        async with calling(Target("169.254.169.254", 80), private_networks=everything) as upstream:
            with pytest.raises(UpstreamUnreachable, match="never connected to"):
                await call(upstream)

    play(scene())


def test_S1_a_listed_network_is_connected_to_by_name(play):
    async def scene():
        async with serving(answering(OK)) as server:
            async with calling(Target("localhost", server.port)) as upstream:
                assert (await call(upstream)).status == 200
            assert server.heads == [b"GET / HTTP/1.1\r\nhost: localhost:%d\r\n\r\n" % server.port]

    play(scene())


def test_S1_every_address_of_a_name_is_judged_and_only_judged_ones_are_used(monkeypatch):
    async def scene():
        loop = asyncio.get_running_loop()
        answers(monkeypatch, loop, ["10.0.0.1", "8.8.8.8", "169.254.169.254", "8.8.4.4"])
        assert await Resolver("a.example", 80, ()).addresses() == ["8.8.8.8", "8.8.4.4"]

    scripted.play(scene(), SkippingLoop)


def test_S1_the_judged_address_is_the_one_connected_to(monkeypatch):
    """A name that means another address at the second question is not asked a second time."""

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(answering(OK)) as server:
            asked = answers(monkeypatch, loop, ["127.0.0.1"], ["127.0.0.2"])
            async with calling(Target("rebind.example", server.port)) as upstream:
                assert (await call(upstream)).status == 200
            assert asked == ["rebind.example"]

    scripted.play(scene(), SkippingLoop)


def test_a_name_is_looked_up_once_for_all_and_again_after_five_seconds(monkeypatch):
    async def scene():
        loop = asyncio.get_running_loop()
        asked = answers(monkeypatch, loop, ["8.8.8.8"], ["8.8.4.4"], ["10.0.0.1"])
        resolver = Resolver("a.example", 80, ())
        found = await asyncio.gather(*(resolver.addresses() for _ in range(10)))
        assert found == [["8.8.8.8"]] * 10
        await asyncio.sleep(4.9)
        assert await resolver.addresses() == ["8.8.8.8"]
        assert len(asked) == 1
        await asyncio.sleep(0.2)
        assert await resolver.addresses() == ["8.8.4.4"]
        await asyncio.sleep(5.1)
        with pytest.raises(UpstreamUnreachable):
            await resolver.addresses()
        assert len(asked) == 3

    scripted.play(scene(), SkippingLoop)


def test_a_resolver_that_hangs_is_asked_once_however_many_give_up(monkeypatch):
    async def scene():
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        asked = []

        async def getaddrinfo(host, port, **options):
            asked.append(host)
            return await answer

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        resolver = Resolver("a.example", 80, ())
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(resolver.addresses(), 1)
        answer.set_result([(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))])
        assert await resolver.addresses() == ["8.8.8.8"]
        assert asked == ["a.example"]

    scripted.play(scene(), SkippingLoop)


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "a" * 70 + ".example", ""])
def test_a_name_without_an_address_is_unreachable(monkeypatch, host):
    async def scene():
        loop = asyncio.get_running_loop()
        if host.endswith(".invalid"):
            answers(monkeypatch, loop, socket.gaierror("unknown"))
        with pytest.raises(UpstreamUnreachable):
            await Resolver(host, 80, networks(())).addresses()

    scripted.play(scene())


def test_another_address_is_tried_when_one_refuses(monkeypatch):
    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(answering(OK)) as server:
            answers(monkeypatch, loop, ["127.0.0.9", "127.0.0.1"])
            target = Target("a.example", server.port)
            async with calling(target, retries=0, private_networks=LOOPBACK) as upstream:
                assert (await call(upstream)).status == 200

    scripted.play(scene(), SkippingLoop)


def test_S3_proxies_of_the_environment_are_not_used(play, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            assert (await call(upstream)).status == 200
            assert server.heads[0].startswith(b"GET / HTTP/1.1\r\n")

    play(scene())
