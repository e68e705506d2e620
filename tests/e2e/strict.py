"""A strict reader of HTTP/1.1 messages (RFC 9112), independent of the product's parser.

The recording upstream reads requests with it and the raw client reads answers: whatever the
gateway sends must be in the plainest form of the grammar. Anything else is a ``Violation``:
bare CR or LF, a length written in an unusual way, two framings, a chunk extension, a trailer.

Sans I/O: ``feed`` bytes, then take ``Head``, ``bytes`` (content) and ``END`` from ``take`` until
it returns None; ``eof`` says that no more will come.
"""

import re
from collections import deque
from dataclasses import dataclass

MAX_HEAD = 1 << 20
_METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _METHOD + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_VISIBLE = rb"[\x21-\x7e\x80-\xff]"
_VALUE = _VISIBLE + rb"(?:[\t\x20-\x7e\x80-\xff]*" + _VISIBLE + rb")?"
_FIELD = re.compile(rb"(" + _METHOD + rb"):[ \t]*(" + _VALUE + rb")?[ \t]*")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_DIGITS = re.compile(rb"[0-9]{1,18}")


class Violation(Exception):
    """The peer sent something that is not a plain HTTP/1.1 message."""


class _End:
    def __repr__(self) -> str:
        return "END"


END = _End()


@dataclass
class Head:
    """The head of a message. ``method`` and ``target`` are empty for a response."""

    fields: list[tuple[str, str]]
    minor: int
    method: str = ""
    target: str = ""
    status: int = 0
    reason: str = ""

    def get(self, name: str) -> str | None:
        """The only value of a field; None when it is absent. Raises when it is repeated."""
        values = self.all(name)
        if len(values) > 1:
            raise Violation(f"{name} is repeated")
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]


class Messages:
    """Reads the messages of one direction of one connection, one after the other.

    For responses, ``asked`` holds the methods of the requests that were sent, in order.
    """

    def __init__(self, asked: deque[str] | None = None) -> None:
        self._asked = asked
        self._buffer = bytearray()
        self._state = self._head
        self._left = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def eof(self) -> None:
        """No more bytes. Raises ``Violation`` when that cuts a message."""
        self._ended = True
        idle = self._state == self._head and not self._buffer
        if not idle and self._state != self._until_close:
            raise Violation("the connection ended within a message")

    @property
    def pending(self) -> bytes:
        """Bytes that belong to no message that was taken."""
        return bytes(self._buffer)

    def detach(self) -> bytes:
        """The rest of the connection is no HTTP any more (after 101)."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest

    def take(self) -> "Head | bytes | _End | None":
        return self._state()

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise Violation("a line without end")
            return None
        line = bytes(self._buffer[: end + 1])
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Violation(f"bare CR or LF in {line[:80]!r}")
        del self._buffer[: end + 1]
        return line[:-2]

    def _head(self) -> Head | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise Violation("a head without end")
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if b"\n" in raw.replace(b"\r\n", b"") or b"\r" in raw.replace(b"\r\n", b""):
            raise Violation(f"bare CR or LF in {raw[:200]!r}")
        first, *lines = raw.split(b"\r\n")
        fields = [_field(line) for line in lines]
        head = self._request(first, fields) if self._asked is None else _response(first, fields)
        self._frame(head)
        return head

    def _request(self, first: bytes, fields: list[tuple[str, str]]) -> Head:
        match = _REQUEST_LINE.fullmatch(first)
        if match is None:
            raise Violation(f"request line {first[:200]!r}")
        head = Head(fields, int(match[3]), match[1].decode(), match[2].decode())
        if len(head.all("host")) != 1:
            raise Violation("not exactly one Host")
        return head

    def _frame(self, head: Head) -> None:
        length, coding = head.get("content-length"), head.get("transfer-encoding")
        if length is not None and coding is not None:
            raise Violation("Content-Length beside Transfer-Encoding")
        if length is not None and not _DIGITS.fullmatch(length.encode("latin-1")):
            raise Violation(f"Content-Length {length!r}")
        if coding is not None and (coding.lower() != "chunked" or head.minor == 0):
            raise Violation(f"Transfer-Encoding {coding!r}")
        if self._asked is not None and self._without_content(head):
            return
        if coding is not None:
            self._state = self._chunk_size
        elif length is not None or self._asked is None:
            self._left = int(length or 0)
            self._state = self._fixed
        else:
            self._state = self._until_close

    def _without_content(self, head: Head) -> bool:
        """Whether this response ends with its head (RFC 9112 6.3)."""
        assert self._asked is not None
        if head.status < 200:
            if head.all("content-length") or head.all("transfer-encoding"):
                raise Violation("an interim answer with framing")
            return True
        method = self._asked.popleft() if self._asked else ""
        if head.status == 204 and (head.all("content-length") or head.all("transfer-encoding")):
            raise Violation("204 with framing")
        if method != "HEAD" and head.status not in (204, 304):
            return False
        self._left = 0
        self._state = self._fixed
        return True

    def _fixed(self) -> "bytes | _End | None":
        if self._left == 0:
            return self._finish()
        return self._content()

    def _content(self) -> bytes | None:
        chunk = bytes(self._buffer[: self._left])
        del self._buffer[: len(chunk)]
        self._left -= len(chunk)
        return chunk or None

    def _finish(self) -> _End:
        self._state = self._head
        return END

    def _chunk_size(self) -> "bytes | _End | None":
        line = self._line()
        if line is None:
            return None
        if not _CHUNK_SIZE.fullmatch(line):
            raise Violation(f"chunk size {line[:80]!r}")
        self._left = int(line, 16)
        self._state = self._chunk_data if self._left else self._last_line
        return self._state()

    def _chunk_data(self) -> "bytes | _End | None":
        if self._left:
            return self._content()
        if len(self._buffer) < 2:
            return None
        if self._buffer[:2] != b"\r\n":
            raise Violation("a chunk is longer than it says")
        del self._buffer[:2]
        self._state = self._chunk_size
        return self._chunk_size()

    def _last_line(self) -> _End | None:
        line = self._line()
        if line is None:
            return None
        if line:
            raise Violation(f"a trailer: {line[:80]!r}")
        return self._finish()

    def _until_close(self) -> "bytes | _End | None":
        if self._buffer:
            chunk, self._buffer = bytes(self._buffer), bytearray()
            return chunk
        return self._finish() if self._ended else None


def _response(first: bytes, fields: list[tuple[str, str]]) -> Head:
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise Violation(f"status line {first[:200]!r}")
    return Head(fields, int(match[1]), status=int(match[2]), reason=match[3].decode("latin-1"))


def _field(line: bytes) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise Violation(f"field line {line[:200]!r}")
    return match[1].decode(), (match[2] or b"").decode("latin-1")
