"""Which target gets a call, what is tried again, and what happens when a spec is gone."""

import asyncio
import socket
from collections import Counter

import pytest

from apis.gateway.balance import authority
from apis.gateway.upstream import (
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from apis.routing import Breaker, Health, Target
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    Arrived,
    SkippingLoop,
    Upload,
    Visit,
    answering,
    call,
    calling,
    serving,
)


def named(name: bytes):
    return answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(name), name))


async def broken(visit: Visit) -> None:
    await visit.head()
    visit.send(b"nonsense\r\n")
    await visit.rest()


def closed_port() -> Target:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Target("127.0.0.1", probe.getsockname()[1])


# Turns


def test_targets_take_turns_smoothly_by_weight(play):
    async def scene():
        async with serving(named(b"a")) as a, serving(named(b"b")) as b, serving(named(b"c")) as c:
            targets = [scripted.target(s, weight=w) for s, w in ((a, 5), (b, 1), (c, 1))]
            async with calling(*targets) as upstream:
                order = [(await call(upstream)).content for _ in range(14)]
        assert b"".join(order) == b"aabacaa" * 2

    play(scene())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target("a.example", 80), "a.example"),
        (Target("a.example", 8080), "a.example:8080"),
        (Target("a.example", 443, secure=True), "a.example"),
        (Target("a.example", 80, secure=True), "a.example:80"),
        (Target("::1", 80), "[::1]"),
        (Target("::1", 81), "[::1]:81"),
    ],
)
def test_a_targets_own_host(target, expected):
    assert authority(target) == expected


def test_a_unix_socket_is_a_target(play, tmp_path):
    path = str(tmp_path / "s")

    async def scene():
        async with serving(answering(OK), unix=path) as server:
            async with calling(Target("localhost", 80, unix=path), private_networks=()) as upstream:
                for _ in range(2):
                    assert (await call(upstream)).content == b"ok"
            assert server.heads == [b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] * 2
            assert len(server.visits) == 1

    play(scene())


# What is tried again


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_that_cannot_be_connected_goes_to_another_target(play, method):
    async def scene():
        async with serving(answering(OK)) as server:
            async with calling(closed_port(), server) as upstream:
                for _ in range(4):
                    assert (await call(upstream, method)).status == 200
                upload = Upload([b"abc"], None)
                assert (await call(upstream, "POST", body=upload)).status == 200
            async with calling(closed_port(), closed_port(), server, retries=1) as upstream:
                with pytest.raises(UpstreamUnreachable):
                    await call(upstream)
            async with calling(closed_port(), server, retries=0) as upstream:
                with pytest.raises(UpstreamUnreachable):
                    await call(upstream)

    play(scene())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_P11_a_stale_kept_connection_is_invisible(play, method, way):
    async def scene():
        async def script(visit: Visit) -> None:
            if server.visits.index(visit) == 0:
                await visit.head()
                visit.send(OK if method != "HEAD" else OK[:-2])
                await visit.head()  # the gateway believed it to be alive
                getattr(visit, way)()
            else:
                await answering(OK)(visit)

        async with serving(script) as server, calling(server) as upstream:
            assert (await call(upstream, method)).status == 200
            assert (await call(upstream, method)).status == 200
            assert len(server.visits) == 2

    play(scene())


@pytest.mark.parametrize(
    ("method", "body", "options"),
    [
        ("POST", None, {}),
        ("PATCH", None, {}),
        ("PUT", Arrived(b"x"), {}),
        ("PUT", Upload([b"x"], None), {}),
        ("GET", None, {"retries": 0}),
    ],
    ids=["POST", "PATCH", "body", "upload", "no retries"],
)
def test_P11_nothing_else_is_sent_twice(play, method, body, options):
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(OK)
        await visit.head()
        visit.close()

    async def scene():
        async with serving(script) as server, calling(server, **options) as upstream:
            assert (await call(upstream)).status == 200
            with pytest.raises(UpstreamUnreachable):
                await call(upstream, method, body=body)
            assert len(server.heads) == 2

    play(scene())


def test_P11_nothing_is_sent_again_after_a_byte_of_the_answer(play):
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(OK)
        await visit.head()
        visit.send(b"H")
        visit.close()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            await call(upstream)
            with pytest.raises(UpstreamInvalid):
                await call(upstream)
            assert len(server.heads) == 2

    play(scene())


def test_P11_a_repetition_goes_out_on_a_new_connection(play):
    """After a restart of the upstream every kept connection is stale."""

    async def scene():
        all_open = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            if len(server.visits) > 3:
                visit.send(OK)
                return
            if len(server.visits) == 3:
                all_open.set()
            await all_open.wait()
            visit.send(OK)
            await visit.head()
            visit.close()

        async with serving(script) as server, calling(server) as upstream:
            await asyncio.gather(*(call(upstream) for _ in range(3)))
            assert (await call(upstream)).status == 200
            assert len(server.visits) == 4
            assert len(server.heads) == 5

    play(scene())


# Breaker and health


def test_a_breaker_lets_a_failing_target_rest():
    async def scene():
        options = {"breaker": Breaker(failures=3, window=10, open_for=5)}
        async with serving(broken) as server, calling(server, **options) as upstream:
            for _ in range(3):
                with pytest.raises(UpstreamInvalid):
                    await call(upstream)
            assert len(server.heads) == 3
            with pytest.raises(UpstreamUnavailable):
                await call(upstream)
            await asyncio.sleep(5)
            with pytest.raises(UpstreamInvalid):  # one trial ...
                await call(upstream)
            with pytest.raises(UpstreamUnavailable):  # ... and it rests again
                await call(upstream)
            server.script = answering(OK)
            await asyncio.sleep(5)
            assert (await call(upstream)).status == 200
            assert len(server.heads) == 5
            server.script = broken
            server.visits[-1].close()
            await asyncio.sleep(1)
            for _ in range(2):  # it succeeded: a single failure is no reason to rest again
                with pytest.raises(UpstreamInvalid):
                    await call(upstream)

    scripted.play(scene(), SkippingLoop)


def test_a_resting_target_leaves_its_turns_to_the_others(play):
    async def scene():
        options = {"breaker": Breaker(failures=2, window=10, open_for=60), "retries": 0}
        outcomes = Counter()
        async with (
            serving(broken) as bad,
            serving(answering(OK)) as good,
            calling(bad, good, **options) as upstream,
        ):
            for _ in range(20):
                try:
                    outcomes[(await call(upstream)).status] += 1
                except UpstreamInvalid:
                    outcomes["invalid"] += 1
        assert outcomes == {200: 18, "invalid": 2}

    play(scene())


def test_health_checks_take_targets_out_and_back_in():
    healthy = {"a": True, "b": True}

    def target_script(name: str):
        async def script(visit: Visit) -> None:
            while True:
                head = await visit.head()
                if head.startswith(b"GET /healthz HTTP/1.1\r\n") and not healthy[name]:
                    visit.send(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno")
                else:
                    visit.send(OK)

        return script

    async def served(upstream, a, b) -> dict[str, int]:
        counts = [sum(b"GET / " in head for head in server.heads) for server in (a, b)]
        for _ in range(10):
            await call(upstream)
        after = [sum(b"GET / " in head for head in server.heads) for server in (a, b)]
        return {"a": after[0] - counts[0], "b": after[1] - counts[1]}

    async def scene():
        options = {"health": Health("/healthz", 1.0)}
        async with serving(target_script("a")) as a, serving(target_script("b")) as b:
            async with calling(a, b, **options) as upstream:
                assert await served(upstream, a, b) == {"a": 5, "b": 5}
                healthy["b"] = False
                await asyncio.sleep(2.5)
                assert await served(upstream, a, b) == {"a": 10, "b": 0}
                healthy["a"] = False
                await asyncio.sleep(2.5)
                with pytest.raises(UpstreamUnavailable):
                    await call(upstream)
                healthy.update(a=True, b=True)
                await asyncio.sleep(2.5)
                assert await served(upstream, a, b) == {"a": 5, "b": 5}
            checks = sum(b"GET /healthz " in head for head in a.heads)
            assert 7 <= checks <= 9  # one a second

    scripted.play(scene(), SkippingLoop)


@pytest.mark.parametrize("fault", ["silent", "broken", "gone"])
def test_a_target_that_fails_its_health_check_is_unhealthy(fault):
    async def silent(visit: Visit) -> None:
        if b"/healthz" in await visit.head():
            await visit.rest()
        visit.send(OK)

    async def invalid(visit: Visit) -> None:
        visit.send(b"nonsense\r\n" if b"/healthz" in await visit.head() else OK)

    async def gone(visit: Visit) -> None:
        if b"/healthz" in await visit.head():
            visit.close()
        visit.send(OK)

    async def scene():
        script = {"silent": silent, "broken": invalid, "gone": gone}[fault]
        health = Health("/healthz", 1.0)
        async with serving(script) as server, calling(server, health=health) as upstream:
            assert (await call(upstream)).status == 200
            await asyncio.sleep(1.5)
            with pytest.raises(UpstreamUnavailable):
                await call(upstream)

    scripted.play(scene(), SkippingLoop)


def test_the_time_to_the_head_counts_all_attempts():
    async def silent(visit: Visit) -> None:
        await visit.head()
        if len(server_heads) == 1:
            visit.send(OK)
            await visit.head()
            await asyncio.sleep(3)
            visit.close()
        await visit.rest()

    server_heads: list[bytes] = []

    async def scene():
        loop = asyncio.get_running_loop()
        async with serving(silent) as server, calling(server, total_timeout=5.0) as upstream:
            server_heads.append(b"first")
            await call(upstream)
            server_heads.append(b"second")
            began = loop.time()
            with pytest.raises(UpstreamTimeout):
                await call(upstream)
            assert 4.5 <= loop.time() - began <= 5.5

    scripted.play(scene(), SkippingLoop)
