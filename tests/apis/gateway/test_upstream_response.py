"""Answers of an upstream as the gateway reads them from the wire."""

import asyncio

import pytest

from apis.gateway.upstream import (
    UpstreamError,
    UpstreamInvalid,
)
from tests.apis.gateway.scripted import (
    OK,
    Visit,
    answering,
    call,
    calling,
    content_of,
    serving,
)


def test_a_small_answer_comes_whole_and_its_connection_is_used_again(play):
    head = b"HTTP/1.1 201 Created\r\nX-A: \t1  \r\nx-a: \xe9\r\nEmpty:\r\nContent-Length: 2\r\n\r\n"

    async def scene():
        async with serving(answering(head + b"ok")) as server, calling(server) as upstream:
            for _ in range(3):
                response = await call(upstream)
                assert (response.status, response.length, response.content) == (201, 2, b"ok")
                assert response.fields == [
                    (b"x-a", b"1"), (b"x-a", b"\xe9"), (b"empty", b""), (b"content-length", b"2"),
                ]  # fmt: skip
                assert await response.read() == b""
                response.abort()  # too late to harm
            assert len(server.visits) == 1

    play(scene())


@pytest.mark.parametrize(
    ("answer", "length", "content"),
    [
        (OK, 2, b"ok"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", 7, b""),
        (b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n", None, b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", None, b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
            b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            None,
            b"hello",
        ),
    ],
)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
def test_P8_every_framing_gives_its_content_and_the_connection_back(
    play, answer, length, content, split
):
    async def script(visit: Visit) -> None:
        while True:
            await visit.head()
            for part in [answer[i : i + 1] for i in range(len(answer))] if split else [answer]:
                visit.send(part)
                await asyncio.sleep(0)

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            for _ in range(2):
                response = await call(upstream)
                assert response.length == length
                assert await content_of(response) == content
            assert len(server.visits) == 1

    play(scene())


def test_P8_an_answer_to_head_has_no_content(play):
    answers = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        OK[:-2],
    )

    async def scene():
        async with serving(answering(*answers)) as server, calling(server) as upstream:
            for length in (1000, None, 2):
                response = await call(upstream, "HEAD")
                assert (response.length, response.content) == (length, b"")
            assert len(server.visits) == 1

    play(scene())


def test_P8_content_behind_an_answer_to_head_ends_the_connection(play):
    async def scene():
        async with serving(answering(OK)) as server, calling(server) as upstream:
            for _ in range(3):
                assert (await call(upstream, "HEAD")).content == b""
            assert len(server.visits) == 3

    play(scene())


def test_content_without_a_length_ends_with_the_connection(play):
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await asyncio.sleep(0)
        visit.send(b"lo")
        visit.close()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            for _ in range(2):
                response = await call(upstream)
                assert response.length is None
                assert await content_of(response) == b"hello"
            assert len(server.visits) == 2

    play(scene())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n",
    ],
)
def test_an_answer_that_is_cut_off_is_invalid(play, answer):
    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(answer)
        await visit.writer.drain()
        visit.close()

    async def scene():
        async with serving(script) as server, calling(server) as upstream:
            with pytest.raises(UpstreamInvalid):
                await content_of(await call(upstream))
            assert len(server.visits) == 1

    play(scene())


def test_content_without_a_length_that_ends_in_a_reset_is_invalid(play):
    async def scene():
        received = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
            await received.wait()
            visit.reset()

        async with serving(script) as server, calling(server) as upstream:
            response = await call(upstream)
            assert await response.read() == b"hello"
            received.set()
            with pytest.raises(UpstreamInvalid):
                await response.read()

    play(scene())


def test_P8_interim_answers_are_told_and_100_is_kept(play):
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n"
    )

    async def scene():
        told = []
        async with serving(answering(interim + OK)) as server, calling(server) as upstream:
            for _ in range(2):
                response = await call(upstream, on_interim=lambda *answer: told.append(answer))
                assert response.content == b"ok"
                assert response.fields == [(b"content-length", b"2")]
            assert told == [(103, [(b"link", b"</a>")]), (102, [])] * 2
            assert len(server.visits) == 1

    play(scene())


@pytest.mark.parametrize(("count", "fine"), [(16, True), (17, False)])
def test_interim_answers_are_bounded(play, count, fine):
    async def scene():
        answer = b"HTTP/1.1 100 Continue\r\n\r\n" * count + OK
        async with serving(answering(answer)) as server, calling(server) as upstream:
            if fine:
                assert (await call(upstream)).status == 200
            else:
                with pytest.raises(UpstreamInvalid):
                    await call(upstream)

    play(scene())


def test_every_failure_has_one_of_the_codes_of_the_contract():
    codes = {kind.code for kind in UpstreamError.__subclasses__()}
    assert codes == {
        "upstream_unreachable", "upstream_invalid", "upstream_unavailable", "upstream_timeout",
    }  # fmt: skip
