"""The recording upstream, a process of its own: what it got, and answers of every kind.

``python -m tests.e2e.recorder`` listens on three free loopback ports (API, WebSocket echo,
control), says so in one line of JSON on stdout, and ends with its stdin. Requests are read by
``strict.Messages``; content is hashed as it streams and never held. How it answers is said by
the first segment of the path, see ``answers.py``; everything else is echoed as JSON.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.e2e import answers
from tests.e2e.strict import END, Head, Messages, Violation

KEPT_BODY = 65536
PIECE = 1 << 18


@dataclass
class Record:
    """One request as it arrived. ``complete`` is False until its last byte was read."""

    connection: int
    method: str
    target: str
    fields: list[tuple[str, str]]
    minor: int
    length: int = 0
    sha256: str = ""
    body: str = ""
    complete: bool = False
    answered: bool = False
    closed: bool = False  # the gateway closed the connection before the answer was complete


@dataclass
class Recording:
    """Everything seen since the last clearing; ``changed`` wakes those who wait for more."""

    records: deque[Record] = field(default_factory=lambda: deque(maxlen=20000))
    heads: int = 0
    complete: int = 0
    connections: int = 0
    violations: list[str] = field(default_factory=list)
    handshakes: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def clear(self) -> None:
        self.records.clear()
        self.violations.clear()
        self.handshakes.clear()
        self.heads = self.complete = 0

    def summary(self) -> dict[str, Any]:
        return {
            "records": [asdict(record) for record in self.records],
            "heads": self.heads,
            "complete": self.complete,
            "connections": self.connections,
            "violations": self.violations,
            "handshakes": self.handshakes,
        }


class Connection:
    """One connection from the gateway: reads requests, answers each, one after the other."""

    def __init__(
        self, recorder: "Recorder", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.recorder = recorder
        self.reader = reader
        self.writer = writer
        self.messages = Messages()
        self.recording = recorder.recording
        self.recording.connections += 1
        self.number = self.recording.connections

    async def run(self) -> None:
        try:
            while (head := await self._next_head()) is not None:
                record = Record(self.number, head.method, head.target, head.fields, head.minor)
                self.recording.records.append(record)
                self.recording.heads += 1
                self.recording.notify()
                await self._exchange(record, head)
        except Violation as violation:
            self.recording.violations.append(str(violation))
        except answers.Hangup:
            pass
        finally:
            self.recording.notify()
            self.writer.close()

    async def _exchange(self, record: Record, head: Head) -> None:
        try:
            await answers.interim(self, record, head)
            await self.read_content(record)
            await answers.answer(self, record)
            record.answered = True
        except (ConnectionError, answers.PeerClosed):
            record.closed = True
            raise answers.Hangup from None
        except answers.Hangup:
            record.answered = True
            raise

    async def read_content(self, record: Record) -> None:
        """The content, hashed as it comes. Raises ``PeerClosed`` when it is cut off."""
        digest = hashlib.sha256()
        kept = bytearray()
        while True:
            event = self.messages.take()
            if event is END:
                break
            if isinstance(event, bytes):
                digest.update(event)
                record.length += len(event)
                kept += event[: KEPT_BODY - len(kept)]
            elif not await self.more():
                raise answers.PeerClosed
        record.sha256 = digest.hexdigest()
        record.body = kept.decode("latin-1")
        record.complete = True
        self.recording.complete += 1
        self.recording.notify()

    async def more(self) -> bool:
        """Read once; False at the end of the connection."""
        try:
            data = await self.reader.read(PIECE)
        except ConnectionError:
            return False
        self.messages.feed(data)
        return bool(data)

    async def _next_head(self) -> Head | None:
        while True:
            event = self.messages.take()
            if isinstance(event, Head):
                return event
            if not await self.more():
                self.messages.eof()
                return None


class Recorder:
    """The three listeners and what they share."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.scripts: deque[tuple[bytes, str]] = deque()
        self.emitted = 0
        self.requests = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await Connection(self, reader, writer).run()

    async def websocket(self, socket: ServerConnection) -> None:
        """Echo each message; remember the handshake as it came."""
        request = socket.request
        assert request is not None
        fields = [(name.lower(), value) for name, value in request.headers.raw_items()]
        self.recording.handshakes.append({"path": request.path, "fields": fields})
        self.recording.notify()
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                await socket.send(message)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = Messages()
        head, content = None, bytearray()
        while (event := messages.take()) is not END:
            if isinstance(event, Head):
                head = event
            elif isinstance(event, bytes):
                content += event
            else:
                messages.feed(await reader.read(65536))
        assert head is not None
        url = urlsplit(head.target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        result = await self.steer(url.path, query, bytes(content))
        body = json.dumps(result).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    async def steer(self, path: str, query: dict[str, str], content: bytes) -> Any:
        if path == "/clear":
            self.recording.clear()
            self.scripts.clear()
            self.requests = 0
        elif path == "/script":  # the next request to /raw gets these bytes
            script = json.loads(content)
            self.scripts.append((base64.b64decode(script["answer"]), script["then"]))
        elif path == "/emit":  # one more event for every open /sse stream
            self.emitted += 1
            self.recording.notify()
        elif path == "/closed":  # wait until a request to a target was given up by the gateway
            return await self._wait(query["target"], float(query["timeout"]))
        elif path == "/summary":
            return self.recording.summary()
        elif path == "/counts":
            return {k: v for k, v in self.recording.summary().items() if k != "records"}
        return {}

    async def _wait(self, target: str, seconds: float) -> bool:
        def done() -> bool:
            return any(r.closed and r.target.startswith(target) for r in self.recording.records)

        try:
            async with asyncio.timeout(seconds):
                while not done():
                    await self.recording.changed.wait()
        except TimeoutError:
            return False
        return True


async def main() -> None:
    recorder = Recorder()
    api = await asyncio.start_server(recorder.connected, "127.0.0.1", 0, backlog=1024)
    control = await asyncio.start_server(recorder.control, "127.0.0.1", 0)
    websocket = await serve(recorder.websocket, "127.0.0.1", 0, max_size=1 << 24)
    ports = {
        "api": api.sockets[0].getsockname()[1],
        "websocket": next(iter(websocket.sockets)).getsockname()[1],
        "control": control.sockets[0].getsockname()[1],
    }
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
