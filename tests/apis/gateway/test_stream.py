"""Content between two connections: in order, bounded, with one end."""

import asyncio

import pytest

from apis.gateway.stream import Stream


def test_reading_takes_all_that_is_there_and_tells_the_feeder():
    async def scene():
        room = []
        stream = Stream(lambda: room.append(stream.buffered))
        stream.feed(b"a")
        stream.feed(b"bc")
        assert stream.buffered == 3
        assert await stream.read() == b"abc"
        assert room == [0]
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        stream.feed(b"d")
        assert await reading == b"d"
        stream.end()
        assert [await stream.read() for _ in range(2)] == [b"", b""]

    asyncio.run(scene())


def test_what_came_before_an_error_is_read_first():
    async def scene():
        stream = Stream(lambda: None)
        stream.feed(b"a")
        stream.fail(KeyError("first"))
        stream.fail(KeyError("second"))
        assert await stream.read() == b"a"
        for _ in range(2):
            with pytest.raises(KeyError, match="first"):
                await stream.read()

    asyncio.run(scene())


def test_complete_content_cannot_fail_any_more():
    async def scene():
        stream = Stream(lambda: None)
        stream.feed(b"a")
        stream.end()
        stream.fail(KeyError())
        assert await stream.read() == b"a"
        assert await stream.read() == b""

    asyncio.run(scene())


def test_a_reader_that_waits_gets_the_error_or_the_end():
    async def scene(act, expected):
        stream = Stream(lambda: None)
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        act(stream)
        if isinstance(expected, bytes):
            assert await reading == expected
        else:
            with pytest.raises(expected):
                await reading

    asyncio.run(scene(Stream.end, b""))
    asyncio.run(scene(lambda stream: stream.fail(KeyError()), KeyError))


def test_a_reader_that_was_cancelled_is_forgotten():
    async def scene():
        stream = Stream(lambda: None)
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        reading.cancel()
        stream.feed(b"a")
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read() == b"a"

    asyncio.run(scene())
