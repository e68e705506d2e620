"""The answers of one upstream connection, from bytes: no socket, no clock.

Rules of this file.
1. Every head, interim ones included, gets a parser of its own; the final one's goes on through
   chunked content. Content-Length, HEAD, 204, 304 and content until the close are counted here.
   So nothing of one message (a trailer, a length) can reach the next.
2. It is stricter than llhttp: a length or a coding that can be doubted makes the answer invalid
   instead of being guessed (RFC 9112 6.3), for what one reader lets pass another reads otherwise.
3. Whatever follows a message is noticed and makes the connection unusable.
4. Parser callbacks only fill values.
"""

import re
from collections.abc import Callable

import httptools

from apis.gateway.stream import Stream
from apis.gateway.upstream import UpstreamInvalid
from policies.core.values import Field

MAX_HEAD = 64 * 1024  # bytes, also of chunk lines and trailers without content between them
MAX_FIELDS = 200
MAX_INTERIM = 16

CHUNKED = -1
UNTIL_CLOSE = -2

_END_OF_HEAD = b"\r\n\r\n"
_BODYLESS = frozenset((204, 304))
_MAX_DIGITS = 18
_OK = b"HTTP/1.1 200 OK\r\n"
# The status line (RFC 9112 4). llhttp refuses controls in header values, not in the reason.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [0-9]{3}[\t\x20-\x7e\x80-\xff]*\r\n")

Interim = Callable[[int, list[Field]], None]


class AnswerReader:
    """Reads one answer after the other; ``expect`` begins each.

    ``status`` is 0 until the final head is there; then ``fields`` and ``length`` (the declared
    Content-Length or None) are those of the answer. Its content is ``content`` when all of it came
    with the head, else it goes through ``stream``. After a 101, ``rest`` is what came behind it.
    """

    # Callbacks that httptools looks for and that are not needed here.
    on_status = on_chunk_header = on_chunk_complete = None

    _parser: httptools.HttpResponseParser
    _method: str
    _upgrade: bytes | None
    _on_interim: Interim
    stream: Stream
    feed: Callable[[bytes], None]
    """Bytes of the answer; not to be called after ``ended``. Raises ``UpstreamInvalid``."""

    def __init__(self, flow: Callable[[], None]) -> None:
        """``flow`` is called when the reader of the content made room."""
        self._flow = flow
        self.status = 0
        self.fields: list[Field] = []
        self.length: int | None = None
        self.content: bytes | None = None
        self._complete = False  # of a chunked answer: its last chunk was read
        self.rest = b""
        self.ended = True  # no answer is under way
        self.reusable = False  # the connection may carry another exchange

    def expect(self, method: str, upgrade: bytes | None, on_interim: Interim) -> None:
        """The next bytes answer a request with this method, asking for this upgrade."""
        self._method = method
        self._upgrade = upgrade
        self._on_interim = on_interim
        self._interims = 0
        self.status = 0
        self.ended = False
        self._await_head()

    @property
    def begun(self) -> bool:
        """Something of the answer has arrived."""
        return bool(self.status or self._head or self._interims)

    @property
    def endless(self) -> bool:
        """The content's end is not known beforehand, as in a stream of events."""
        kind = dict(self.fields).get(b"content-type", b"")
        return self._size < 0 or kind.lower().startswith(b"text/event-stream")

    def whole(self) -> bytes:
        """The content of an answer that ended before anybody read of it."""
        return self.stream.take() if self.content is None else self.content

    def eof(self) -> None:
        """The upstream closed its side. Raises ``UpstreamInvalid`` if that cuts the answer off."""
        if self.status == 0 or self._size != UNTIL_CLOSE:
            raise UpstreamInvalid("the answer was cut off")
        self._end(reusable=False)

    # Heads

    def _await_head(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head = b""  # what has come of it, when that is not all
        self._lines: list[Field] = []
        self.fields = self._lines
        self.feed = self._take_head

    def _take_head(self, data: bytes) -> None:
        """The first bytes of a head: as nearly always, all of it at once."""
        end = data.find(_END_OF_HEAD) + 4
        if end < 4:
            self.feed = self._take_part
            self._take_part(data)
            return
        self._parse(data[:end])
        self._on_head(data, end)

    def _take_part(self, data: bytes) -> None:
        held = len(self._head)
        self._head += data
        end = self._head.find(_END_OF_HEAD, max(held - 3, 0)) + 4
        self._parse(data[: end - held] if end >= 4 else data)
        if end >= 4:
            self._on_head(self._head, end)
        elif len(self._head) > MAX_HEAD:
            raise UpstreamInvalid("the answer's head is too large")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # a 101: what follows is not HTTP
        except httptools.HttpParserError as error:
            raise UpstreamInvalid(f"the answer is malformed: {error}") from None

    def _on_head(self, data: bytes, end: int) -> None:
        """A head is there: the first ``end`` bytes of ``data``."""
        fields = self.fields
        if end > MAX_HEAD or len(fields) > MAX_FIELDS:
            raise UpstreamInvalid("the answer's head is too large")
        if not data.startswith(_OK) and _STATUS_LINE.match(data) is None:
            raise UpstreamInvalid("the answer's status line is not one of HTTP/1.1")
        status = self._parser.get_status_code()
        if status < 200:
            self._on_interim_head(status, data[end:])
            return
        size, self.length = framing(self._method, status, data, fields)
        self.status = status
        came = len(data) - end
        if came >= size >= 0:  # as with most answers: all of it at once
            self.content = data[end : end + size]
            self.ended = True
            self.reusable = came == size and self._keep_alive
        else:
            self._on_content(size, data[end:])

    def _on_interim_head(self, status: int, rest: bytes) -> None:
        if status == 101:
            self._on_switch(rest)
        else:
            self._on_informational(status, rest)

    def _on_informational(self, status: int, rest: bytes) -> None:
        """An interim answer (RFC 9110 15.2); a 100 is for us, and the body is sent anyway."""
        self._interims += 1
        if status < 100 or self._interims > MAX_INTERIM:
            raise UpstreamInvalid("the upstream gives invalid or too many interim answers")
        if status != 100:
            self._on_interim(status, self.fields)
        self._await_head()
        if rest:
            self._take_head(rest)

    def _on_switch(self, rest: bytes) -> None:
        """101 (RFC 9110 7.8): only to the protocol that was asked for."""
        protocol = dict(self.fields).get(b"upgrade", b"")
        if self._upgrade is None or protocol.lower() != self._upgrade.lower():
            raise UpstreamInvalid("the upstream switched to a protocol nobody asked for")
        self.status = 101
        self.rest = rest
        self._end(reusable=False)

    def _on_content(self, size: int, came: bytes) -> None:
        """More content than has come with the final head is on its way, or its end is."""
        self.content = None
        self.stream = Stream(self._flow)
        self._size = self._left = size
        if size == CHUNKED:
            self._complete = self._excess = False
            self._overhead = 0
            self.feed = self._take_chunked
        elif size == UNTIL_CLOSE:
            self.feed = self.stream.feed
        else:
            self.feed = self._take_sized
        if came:
            self.feed(came)

    # Content

    def _take_sized(self, data: bytes) -> None:
        left = self._left
        self._left -= len(data)
        if self._left > 0:
            self.stream.feed(data)
        else:
            self.stream.feed(data[:left])
            self._end(reusable=self._left == 0)

    def _take_chunked(self, data: bytes) -> None:
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._complete:
                raise UpstreamInvalid(f"the answer's content is malformed: {error}") from None
            self._excess = True
        if self._complete:
            self._end(reusable=not self._excess)
        elif self._overhead > MAX_HEAD:
            raise UpstreamInvalid("the answer's chunk lines or trailers are too large")

    def _end(self, reusable: bool) -> None:
        self.ended = True
        self.reusable = reusable and self._keep_alive
        if self.content is None and self.status != 101:
            self.stream.end()

    # Called by the parser

    def on_message_begin(self) -> None:
        if self._complete:
            self._excess = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves blanks behind a value. A tab stays: to llhttp "chunked" with a tab is
        # no coding it knows, so it must not look like one to ``framing``.
        self._lines.append((name.lower(), value.rstrip(b" ")))

    def on_headers_complete(self) -> None:
        self._lines = []  # trailers, which are dropped
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, chunk: bytes) -> None:
        if not self._complete:
            self._overhead = 0
            self.stream.feed(chunk)

    def on_message_complete(self) -> None:
        self._complete = True


def framing(method: str, status: int, head: bytes, fields: list[Field]) -> tuple[int, int | None]:
    """How many bytes of content follow a final head, and the Content-Length it declares.

    The first is ``CHUNKED`` or ``UNTIL_CLOSE`` where only the content itself tells. ``head`` is
    what ``fields`` were parsed from; llhttp has refused a repeated Content-Length. Raises
    ``UpstreamInvalid`` for what is ambiguous.
    """
    if status > 599:
        raise UpstreamInvalid("the answer's status is not one of HTTP")
    size, declared = UNTIL_CLOSE, None
    index = dict(fields)
    length = index.get(b"content-length")
    if length is not None:
        if not length.isdigit() or len(length) > _MAX_DIGITS:
            raise UpstreamInvalid("the answer's Content-Length is not a number")
        size = declared = int(length)
    if b"transfer-encoding" in index:
        _check_coding(head, fields)
        size = CHUNKED
    if method == "HEAD" or status in _BODYLESS:
        size = 0
    return size, declared


def _check_coding(head: bytes, fields: list[Field]) -> None:
    if head.startswith(b"HTTP/1.0") or any(name == b"content-length" for name, _ in fields):
        raise UpstreamInvalid("the answer cannot have Transfer-Encoding")
    if [value.lower() for name, value in fields if name == b"transfer-encoding"] != [b"chunked"]:
        raise UpstreamInvalid("the answer's transfer coding is not chunked")
