"""What an upstream sees of a request, and that it never sees a whole one of an aborted upload."""

import asyncio

import pytest

from apis.gateway.exchange import BodyRefused, ClientGone
from policies.core.values import Deny
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    Arrived,
    Upload,
    Visit,
    answering,
    call,
    calling,
    serving,
)


def test_a_request_is_sent_as_it_was_handed_over(play):
    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            await call(upstream, "GET", "/a/b%20c", b"x=%2f&y", b"x-a: 1\r\nx-a: 2\r\n")
            await call(upstream, "GET", "/", b"")
            await call(upstream, "DELETE", "/")
            host = b"host: 127.0.0.1:%d\r\n" % server.port
            assert server.heads == [
                b"GET /a/b%20c?x=%2f&y HTTP/1.1\r\n" + host + b"x-a: 1\r\nx-a: 2\r\n\r\n",
                b"GET /? HTTP/1.1\r\n" + host + b"\r\n",
                b"DELETE / HTTP/1.1\r\n" + host + b"\r\n",
            ]
            assert len(server.visits) == 1

    play(scene())


def test_P6_host_and_prefix_are_the_targets_own_unless_configured(play):
    async def scene():
        async with serving(answering(OK)) as server:
            prefixed = scripted.target(server, path="/base")
            async with calling(prefixed, host="api.example.org") as upstream:
                await call(upstream, "GET", "/x")
            assert server.heads == [b"GET /base/x HTTP/1.1\r\nhost: api.example.org\r\n\r\n"]

    play(scene())


@pytest.mark.parametrize(
    ("method", "body", "framing"),
    [
        ("GET", None, b""),
        ("DELETE", None, b""),
        ("POST", None, b"content-length: 0\r\n"),
        ("PUT", None, b"content-length: 0\r\n"),
        ("PATCH", None, b"content-length: 0\r\n"),
        ("POST", Arrived(b"", None), b"content-length: 0\r\n"),
        ("POST", Arrived(b"hello"), b"content-length: 5\r\n"),
        ("POST", Arrived(b"hello", None), b"content-length: 5\r\n"),
        ("GET", Arrived(b"hello"), b"content-length: 5\r\n"),
    ],
)
def test_P3_a_body_that_is_there_is_framed_by_its_length(play, method, body, framing):
    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            await call(upstream, method, body=body)
            head = b"%s / HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % (method.encode(), server.port)
            assert server.heads == [head + framing + b"\r\n"]

    play(scene())


def test_P3_a_streamed_body_arrives_as_it_was_sent(play):
    pieces = [b"a" * 10, b"b" * 100_000, b"c"]
    whole = b"".join(pieces)

    async def script(visit: Visit) -> None:
        assert b"\r\ncontent-length: 100011\r\n" in await visit.head()
        assert await visit.read(len(whole)) == whole
        visit.send(OK)
        assert b"\r\ntransfer-encoding: chunked\r\n" in await visit.head()
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        assert await visit.read(len(chunked) + 5) == chunked + b"0\r\n\r\n"
        visit.send(OK)

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            for length in (len(whole), None):
                response = await call(upstream, "POST", body=Upload(pieces, length))
                assert response.content == b"ok"
            await server.done()
            assert len(server.visits) == 1

    play(scene())


def test_a_body_is_sent_while_it_comes(play):
    async def scene():
        more = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            assert await visit.read(8) == b"3\r\nabc\r\n"
            more.set()
            assert await visit.read(8) == b"1\r\nd\r\n0\r"
            visit.send(OK)

        async with serving(script) as server, calling(server) as upstream:
            await call(upstream, "POST", body=Upload([b"abc", more, b"d"], None))
            await server.done()

    play(scene())


@pytest.mark.parametrize("length", [None, 6])
@pytest.mark.parametrize(
    "error", [ClientGone(), BodyRefused(Deny("body_too_large", "Too large."))], ids=type
)
def test_P3_an_aborted_upload_is_never_a_complete_message(play, length, error):
    """The last bytes are withheld until the body's end is known: who objects there is in time."""
    seen = []

    async def script(visit: Visit) -> None:
        await visit.head()
        seen.append(await visit.rest())

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            for pieces in ([error], [b"abc", error], [b"abc", b"def", error]):
                with pytest.raises(type(error)):
                    await call(upstream, "POST", body=Upload(pieces, length))
            await server.done()
            assert len(server.visits) == 3

    play(scene())
    if length is None:
        assert all(not content.endswith(b"0\r\n\r\n") for content in seen)
    else:
        assert [content for content in seen if len(content) >= length] == []


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abc", b"defg"], [b"abcdef", b"g"], [b"abcdefg"]])
def test_P3_never_more_or_fewer_bytes_than_declared(play, pieces):
    async def script(visit: Visit) -> None:
        await visit.head()
        assert len(await visit.rest()) < 6

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            with pytest.raises(ClientGone):
                await call(upstream, "POST", body=Upload(pieces, 6))
            with pytest.raises(ClientGone):
                await call(upstream, "POST", body=Arrived(b"".join(pieces), 6))
            await server.done()

    play(scene())
