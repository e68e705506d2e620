"""What becomes of an upstream connection: kept only when nothing can be left of an exchange."""

import asyncio

import pytest

from apis.gateway.stream import HIGH_WATER
from apis.gateway.sweep import NEVER
from apis.gateway.upstream import (
    UpstreamInvalid,
    UpstreamRequest,
    UpstreamUnreachable,
)
from apis.gateway.upstream_connection import UpstreamConnection
from apis.routing import UpstreamSpec
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    SWITCH,
    Arrived,
    Upload,
    Visit,
    answering,
    call,
    calling,
    content_of,
    serving,
)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        OK + b"x",
        OK + b"\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nH",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_P10_a_connection_with_bytes_left_over_is_not_used_again(play, answer):
    async def scene():
        async with serving(answering(answer, OK)) as server, calling(server) as upstream:
            first = await call(upstream)
            assert await content_of(first) in (b"ok", b"")
            second = await call(upstream)
            assert await content_of(second) in (b"ok", b"")
            assert [name for name, _ in second.fields].count(b"content-length") <= 1
            assert len(server.visits) == 2

    play(scene())


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 204 No Content\r\n\r\n"])
@pytest.mark.parametrize(
    "unasked", [b"H", b"\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"]
)
def test_P10_unasked_bytes_on_an_idle_connection_end_it(play, unasked, answer):
    async def scene():
        sent = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            if len(server.visits) == 1:
                visit.send(answer)
                await sent.wait()
                visit.send(unasked)
                assert await visit.rest() == b""
            visit.send(OK)

        async with serving(script) as server, calling(server) as upstream:
            await call(upstream)
            sent.set()
            await server.done()
            assert (await call(upstream)).content == b"ok"
            assert len(server.visits) == 2

    play(scene())


def test_P10_an_answer_before_the_request_is_complete_ends_upload_and_connection(play):
    async def scene():
        never = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
            assert not (await visit.rest()).endswith(b"0\r\n\r\n")

        async with serving(script) as server, calling(server) as upstream:
            for _ in range(2):
                upload = Upload([b"abc", never], None)
                response = await call(upstream, "POST", body=upload)
                assert (response.status, response.content) == (413, b"no")
            await server.done()
            assert len(server.visits) == 2

    play(scene())


def test_P10_an_answer_that_begins_early_ends_the_upload_too(play):
    async def scene():
        more = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nn")
            assert await visit.read(8) == b"3\r\nabc\r\n"
            await more.wait()
            visit.send(b"o")
            assert await visit.rest() == b""

        async with serving(script) as server, calling(server) as upstream:
            upload = Upload([b"abc", more, b"def"], None)
            response = await call(upstream, "POST", body=upload)
            more.set()
            assert await content_of(response) == b"no"
            assert upload.taken == 3
            await server.done()

    play(scene())


def test_P10_an_answer_before_the_request_was_taken_ends_the_connection(play):
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(OK)
        assert len(await visit.rest()) < 30_000_000

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            for _ in range(2):
                body = Arrived(b"x" * 30_000_000)
                assert (await call(upstream, "POST", body=body)).content == b"ok"
            await server.done()
            assert len(server.visits) == 2

    play(scene())


def test_P10_an_answer_that_is_given_up_ends_the_connection(play):
    async def scene():
        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            assert await visit.rest() == b""

        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream)
            response.abort()
            response.abort()
            assert await response.read() == b"half"
            with pytest.raises(UpstreamInvalid):
                await response.read()
            await server.done()

    play(scene())


@pytest.mark.parametrize("streamed", [False, True])
def test_P10_a_cancelled_call_ends_the_connection(play, streamed):
    async def scene():
        asked = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            asked.set()
            assert not (await visit.rest()).endswith(b"0\r\n\r\n")

        async with serving(script) as server, calling(server) as upstream:
            body = Upload([b"abc", asyncio.Event()], None) if streamed else None
            task = asyncio.ensure_future(call(upstream, "POST", body=body))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.done()

    play(scene())


class StillTransport:
    """A transport that only notes how it ended."""

    aborted = False
    reading = True

    def write(self, data: bytes) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


class Home:
    """A pool that notes what comes back."""

    def __init__(self) -> None:
        self.kept: list[UpstreamConnection] = []

    def released(self, connection: UpstreamConnection) -> None:
        self.kept.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        pass


async def carried(connection, request):
    """The answer to a request; gives it up, as whoever sends one must, when it is cancelled."""
    answer = connection.send(request, b"", None, 0.0, NEVER, scripted.no_interim)
    try:
        return await answer
    except asyncio.CancelledError:
        connection.given_up(answer)
        raise


@pytest.mark.parametrize("answer_first", [False, True])
@pytest.mark.parametrize("answer", [OK, OK[:-1], SWITCH])
def test_P10_a_call_cancelled_as_its_answer_arrives_leaves_nothing_under_way(answer, answer_first):
    async def scene():
        home, transport = Home(), StillTransport()
        connection = UpstreamConnection(home, UpstreamSpec(()), asyncio.get_running_loop())
        connection.connection_made(transport)
        request = UpstreamRequest("GET", "/", None, b"", b"websocket")
        task = asyncio.ensure_future(carried(connection, request))
        await asyncio.sleep(0)
        if answer_first:
            connection.data_received(answer)
            task.cancel()
        else:
            task.cancel()
            connection.data_received(answer)
        with pytest.raises(asyncio.CancelledError):
            await task
        if answer == OK and answer_first:  # complete: the connection may carry another call
            assert home.kept == [connection]
            assert not transport.aborted
        else:
            assert home.kept == []
            assert transport.aborted
        connection.connection_lost(None)

    scripted.play(scene())


def test_a_connection_that_was_paused_is_read_again_when_it_is_kept():
    async def scene():
        home, transport = Home(), StillTransport()
        connection = UpstreamConnection(home, UpstreamSpec(()), asyncio.get_running_loop())
        connection.connection_made(transport)
        request = UpstreamRequest("GET", "/", None, b"")
        task = asyncio.ensure_future(
            connection.send(request, b"", None, 0.0, NEVER, scripted.no_interim)
        )
        await asyncio.sleep(0)
        connection.data_received(
            b"HTTP/1.1 200 OK\r\ncontent-length: 300001\r\n\r\n" + b"x" * 300_000
        )
        assert not transport.reading
        connection.data_received(b"x")  # TLS may still hold some
        assert home.kept == [connection]
        assert transport.reading
        assert len(await content_of(await task)) == 300_001
        connection.connection_lost(None)

    scripted.play(scene())


def test_giving_up_an_answer_that_was_read_harms_no_later_one(play):
    async def scene():
        go = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
            await go.wait()
            visit.send(b"lf")
            await visit.head()
            visit.send(OK)

        async with serving(script) as server, calling(server) as upstream:
            first = await call(upstream)
            go.set()
            assert await content_of(first) == b"half"
            second = asyncio.ensure_future(call(upstream))
            await asyncio.sleep(0)
            first.abort()
            assert (await second).content == b"ok"
            assert len(server.visits) == 1

    play(scene())


def test_P13_a_trailer_is_dropped_and_reaches_no_other_message(play):
    trailed = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-User: admin\r\n\r\n"
    )

    async def scene():
        async with serving(answering(trailed)) as server, calling(server) as upstream:
            for _ in range(3):
                response = await call(upstream)
                assert response.content == b"ok"
                assert response.fields == [(b"transfer-encoding", b"chunked")]
            assert len(server.visits) == 1

    play(scene())


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_connection_closed_before_any_answer_is_unreachable(play, way):
    async def script(visit: Visit) -> None:
        await visit.head()
        getattr(visit, way)()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await call(upstream)
            assert len(server.heads) == 1

    play(scene())


def test_back_pressure_a_slow_client_stops_the_upstream(play):
    size = 64 * 1024 * 1024

    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            visit.send(b"x" * 65536)
            await visit.writer.drain()
        await visit.head()
        visit.send(OK)

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream)
            stream = response._stream
            total = most = 0
            while chunk := await response.read():
                total += len(chunk)
                for _ in range(20):  # slower than the upstream
                    await asyncio.sleep(0)
                most = max(most, stream.buffered)
            assert total == size
            assert 0 < most <= 2 * HIGH_WATER
            assert (await call(upstream)).content == b"ok"
            assert len(server.visits) == 1

    play(scene())


def test_back_pressure_a_slow_upstream_stops_the_upload(play):
    size = 64 * 1024 * 1024

    async def scene():
        go = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            await go.wait()
            for _ in range(size // 65536):
                await visit.read(65536)
            visit.send(OK)

        upload = Upload((b"x" * 65536 for _ in range(size // 65536)), size)
        async with serving(script) as server, calling(server) as upstream:
            task = asyncio.ensure_future(call(upstream, "POST", body=upload))
            taken = -1
            while upload.taken != taken or not taken:  # until it stands still
                taken = upload.taken
                for _ in range(50):
                    await asyncio.sleep(0.001)
            assert taken < size // 2  # what socket buffers take, and little more
            go.set()
            assert (await task).content == b"ok"
            assert upload.taken == size

    play(scene())
