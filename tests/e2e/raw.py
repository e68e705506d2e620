"""A client that sends exactly the bytes it is told to, and reads answers strictly."""

import json
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tests.e2e.strict import END, Head, Messages

DEADLINE = 20.0


class NoAnswer(Exception):
    """Nothing (more) came in time, or the connection ended first."""


@dataclass
class Answer:
    """One response. ``interim`` holds the heads of 1xx answers before it."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    minor: int = 1
    reason: str = ""
    interim: list[Head] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The refusal's code, when the answer is a problem document."""
        if (self.get("content-type") or "").startswith("application/problem+json"):
            code: str = self.json()["code"]
            return code
        return None


class Client:
    """One connection to ``address``. Every wait ends at a deadline, in seconds from its start."""

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None = None,
        server_name: str = "localhost",
    ) -> None:
        self.socket: socket.socket = socket.create_connection(address, timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self._asked: deque[str] = deque()
        self.messages = Messages(self._asked)
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """End the connection with a reset instead of an orderly close."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes, method: str | None = None) -> None:
        """Send bytes. ``method`` is that of the request they begin (to read HEAD right)."""
        if method is not None:
            self._asked.append(method)
        self.socket.sendall(data)

    def request(
        self,
        method: str,
        target: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        host: str | None = "gateway.test",
    ) -> None:
        """Send one request; Content-Length is added when there is a body."""
        self.send(encode(method, target, fields, body, host), method)

    def more(self, deadline: float = DEADLINE) -> bool:
        """Read once into ``messages``; False at the end of the connection."""
        self.socket.settimeout(max(deadline, 0.001))
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise NoAnswer("nothing came in time") from None
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        self.messages.feed(data)
        self.ended = not data
        return bool(data)

    def head(self, deadline: float = DEADLINE) -> Head:
        """The next head, 1xx included. Raises ``NoAnswer``."""
        event = self._event(time.monotonic() + deadline)
        assert isinstance(event, Head), event
        return event

    def chunk(self, deadline: float = DEADLINE) -> bytes:
        """The next piece of content, ``b""`` at its end."""
        event = self._event(time.monotonic() + deadline)
        return event if isinstance(event, bytes) else b""

    def rest(self, deadline: float = DEADLINE) -> bytes:
        """All the content that is left. Raises ``NoAnswer`` or ``Violation`` when it is cut."""
        return b"".join(iter(lambda: self.chunk(deadline), b""))

    def answer(self, deadline: float = DEADLINE) -> Answer:
        """The next whole answer. Raises ``NoAnswer``, ``Violation``."""
        until = time.monotonic() + deadline
        interim: list[Head] = []
        while True:
            event = self._event(until)
            assert isinstance(event, Head), event
            if event.status == 101 or event.status >= 200:
                break
            interim.append(event)
        body = b""
        if event.status != 101:
            body = b"".join(iter(lambda: self._piece(until), b""))
        return Answer(event.status, event.fields, body, event.minor, event.reason, interim)

    def answers(self, deadline: float = DEADLINE) -> list[Answer]:
        """Every answer until the server closes. Raises ``NoAnswer`` when it does not."""
        until = time.monotonic() + deadline
        found = []
        while not self.closed(until - time.monotonic()):
            found.append(self.answer(until - time.monotonic()))
        return found

    def closed(self, deadline: float = DEADLINE) -> bool:
        """Wait for the server: True when it closed, False when it sent something."""
        if not self.messages.pending and not self.ended:
            self.more(deadline)
        return self.ended and not self.messages.pending

    def _piece(self, until: float) -> bytes:
        event = self._event(until)
        return event if isinstance(event, bytes) else b""

    def _event(self, until: float) -> object:
        while (event := self.messages.take()) is None:
            if self.ended or not self.more(until - time.monotonic()):
                self.messages.eof()
                event = self.messages.take()  # content that ends with the connection
                if event is END:
                    return event
                raise NoAnswer("the connection ended")
        return event


def encode(
    method: str,
    target: str,
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    host: str | None = "gateway.test",
) -> bytes:
    """One request as bytes."""
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def call(
    address: tuple[str, int],
    method: str,
    target: str,
    fields: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    host: str | None = "gateway.test",
    deadline: float = DEADLINE,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One request on a connection of its own, and its answer."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    with Client(address, tls) as client:
        client.request(method, target, pairs, body, host)
        return client.answer(deadline)
