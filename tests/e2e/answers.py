"""How the recording upstream answers, by the first segment of the path.

===================  ==============================================================
/id/...              the target as text: a caller can tell whose answer it got
/download/N          N bytes with Content-Length;  /chunked/N the same without it
/until-close/N       N bytes ended by closing
/delay/MS            an echo after MS milliseconds
/slow/N/MS           N chunks, one every MS milliseconds
/hang                never an answer;  /stall  half an answer, then nothing
/rst                 a reset;  /flaky/P/...  resets the first P of 100, else as /id
/early               an answer before the content is read
/interim             103, then an echo
/sse                 an event now, and one for each ``emit``
/status/CODE         that status, with content where it may have any
/raw                 the bytes that ``script`` gave
anything else        the request, as JSON
===================  ==============================================================
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tests.e2e.strict import Head

if TYPE_CHECKING:
    from tests.e2e.recorder import Connection, Record

BLOCK = bytes(range(256)) * 1024


class Hangup(Exception):
    """The answer ends with its connection."""


class PeerClosed(Exception):
    """The gateway closed the connection before the exchange was complete."""


async def interim(connection: "Connection", record: "Record", head: Head) -> None:
    """What is said before the content is read."""
    path = segments(record)
    if path[0] == "early":
        send(connection, record, 413, b"enough", close=True)
        await connection.writer.drain()
        raise Hangup
    if head.get("expect") is not None:
        connection.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def answer(connection: "Connection", record: "Record") -> None:
    path = segments(record)
    speak = _ANSWERS.get(path[0], _echo)
    await speak(connection, record, path)
    await connection.writer.drain()
    if any(n == "connection" and v.lower() == "close" for n, v in record.fields):
        raise Hangup


def segments(record: "Record") -> list[str]:
    return record.target.split("?")[0].split("/")[1:]


def send(
    connection: "Connection",
    record: "Record",
    status: int,
    body: bytes,
    content_type: str = "text/plain",
    close: bool = False,
) -> None:
    head = f"HTTP/1.1 {status} Any\r\nContent-Type: {content_type}\r\nX-Upstream: recorder\r\n"
    if status not in (204, 304):
        head += f"Content-Length: {len(body)}\r\n"
    head += "Connection: close\r\n\r\n" if close else "\r\n"
    connection.writer.write(head.encode() + (b"" if record.method == "HEAD" else body))


async def _echo(connection: "Connection", record: "Record", path: list[str]) -> None:
    seen = {
        "method": record.method,
        "target": record.target,
        "fields": record.fields,
        "length": record.length,
        "sha256": record.sha256,
        "body": record.body[:4096],
    }
    send(connection, record, 200, json.dumps(seen).encode(), "application/json")


async def _id(connection: "Connection", record: "Record", path: list[str]) -> None:
    send(connection, record, 200, record.target.encode())


async def _download(connection: "Connection", record: "Record", path: list[str]) -> None:
    size = int(path[1])
    connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    async for block in _blocks(size):
        connection.writer.write(block)
        await connection.writer.drain()


async def _chunked(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    async for block in _blocks(int(path[1])):
        connection.writer.write(b"%x\r\n%b\r\n" % (len(block), block))
        await connection.writer.drain()
    connection.writer.write(b"0\r\nX-Trailer: dropped\r\n\r\n")


async def _until_close(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    async for block in _blocks(int(path[1])):
        connection.writer.write(block)
        await connection.writer.drain()
    raise Hangup


async def _blocks(size: int) -> AsyncIterator[bytes]:
    while size:
        block = BLOCK[:size]
        yield block
        size -= len(block)


async def _delay(connection: "Connection", record: "Record", path: list[str]) -> None:
    await _patience(connection, int(path[1]) / 1000)
    await _echo(connection, record, path)


async def _slow(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(int(path[1])):
        text = b"%d\n" % number
        connection.writer.write(b"%x\r\n%b\r\n" % (len(text), text))
        await connection.writer.drain()
        await _patience(connection, int(path[2]) / 1000)
    connection.writer.write(b"0\r\n\r\n")


async def _hang(connection: "Connection", record: "Record", path: list[str]) -> None:
    await _patience(connection, 120)


async def _stall(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await _patience(connection, 120)


async def _patience(connection: "Connection", seconds: float) -> None:
    """Wait; raises ``PeerClosed`` as soon as the gateway closes instead."""
    try:
        async with asyncio.timeout(seconds):
            if not await connection.more():
                raise PeerClosed
    except TimeoutError:
        return


async def _rst(connection: "Connection", record: "Record", path: list[str]) -> None:
    sock = connection.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.writer.transport.abort()
    raise Hangup


async def _flaky(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.recorder.requests += 1
    if connection.recorder.requests % 100 < int(path[1]):
        await _rst(connection, record, path)
    await _id(connection, record, path)


async def _interim(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    await _echo(connection, record, path)


async def _sse(connection: "Connection", record: "Record", path: list[str]) -> None:
    connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    connection.writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
    recorder = connection.recorder
    sent, before = 0, recorder.emitted
    watch = asyncio.create_task(_patience(connection, 120))
    try:
        while True:
            changed = recorder.recording.changed
            while sent <= recorder.emitted - before:
                event = b"data: %d\n\n" % sent
                connection.writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                sent += 1
            await connection.writer.drain()
            wake = asyncio.create_task(changed.wait())
            await asyncio.wait((wake, watch), return_when=asyncio.FIRST_COMPLETED)
            wake.cancel()
            if watch.done():
                await watch
                raise Hangup
    finally:
        watch.cancel()


async def _status(connection: "Connection", record: "Record", path: list[str]) -> None:
    status = int(path[1])
    send(connection, record, status, b"" if status in (204, 304) else b"status %d" % status)


async def _raw(connection: "Connection", record: "Record", path: list[str]) -> None:
    scripts = connection.recorder.scripts
    content, then = scripts.popleft() if scripts else (b"", "close")
    connection.writer.write(content)
    await connection.writer.drain()
    if then == "close":
        raise Hangup
    if then == "rst":
        await _rst(connection, record, path)


_ANSWERS = {
    "id": _id,
    "download": _download,
    "chunked": _chunked,
    "until-close": _until_close,
    "delay": _delay,
    "slow": _slow,
    "hang": _hang,
    "stall": _stall,
    "rst": _rst,
    "flaky": _flaky,
    "interim": _interim,
    "sse": _sse,
    "status": _status,
    "raw": _raw,
}
