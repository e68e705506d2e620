"""The reader of answers, from bytes: every rule of framing, every bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apis.gateway.upstream import UpstreamInvalid
from apis.gateway.upstream_answer import MAX_FIELDS, MAX_HEAD, AnswerReader
from tests.apis.gateway.scripted import no_interim


def read(
    pieces: list[bytes], method: str = "GET", eof: bool = False, on_interim=no_interim
) -> AnswerReader:
    """One answer, read from these pieces as a connection does. Raises ``UpstreamInvalid``."""
    reader = AnswerReader(lambda: None)
    reader.expect(method, None, on_interim)
    for piece in pieces:
        if reader.ended:  # a connection refuses what comes now
            reader.reusable = False
        else:
            reader.feed(piece)
    if eof and not reader.ended:
        reader.eof()
    return reader


def outcome(pieces: list[bytes], method: str = "GET") -> tuple:
    """All that can be seen of an answer; ``invalid`` when it is none."""
    told = []
    try:
        reader = read(pieces, method, eof=True, on_interim=lambda *answer: told.append(answer))
    except UpstreamInvalid:
        return ("invalid",)
    return (reader.status, reader.fields, reader.length, reader.whole(), reader.reusable, told)


ANSWERS = {
    "sized": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;a\r\nllo\r\n0\r\nT: x\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
    "closed": b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello",
    "two": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "bad head": b"HTTP/1.1 200 OK\r\nX: a\nb\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_P3_how_an_answer_is_cut_into_pieces_changes_nothing(name, data):
    answer = ANSWERS[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=8)))
    places = zip([0, *cuts], [*cuts, len(answer)], strict=True)
    pieces = [answer[begin:end] for begin, end in places if begin < end]
    assert outcome(pieces) == outcome([answer])


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=300), st.sampled_from(["GET", "HEAD"]))
def test_P13_any_bytes_are_an_answer_or_invalid(noise, method):
    for answer in (noise, b"HTTP/1.1 200 OK\r\n" + noise, ANSWERS["chunked"][:50] + noise):
        outcome([answer, noise], method)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x0cb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x0bb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x7f\r\n\r\n",
        b"HTTP/1.1 200 O\x1bK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"RTSP/1.1 200 OK\r\n\r\n",
        b"ICE/1.1 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_P13_a_malformed_head_is_invalid(head):
    for method in ("GET", "HEAD"):
        assert outcome([head], method) == ("invalid",)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Content-Length: 1, 1",
        b"Content-Length: +1",
        b"Content-Length: -1",
        b"Content-Length: 0x1",
        b"Content-Length: 1_0",
        b"Content-Length:",
        b"Content-Length: 1 1",
        b"Content-Length: 1\t",
        b"Content-Length: 9999999999999999999",
        b"Content-Length: 18446744073709551617",
        b"Content-Length: \xb2",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: chunkedchunked",
        b"Transfer-Encoding: chunked;a=b",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: chunked\t",  # llhttp reads on until the close
        b"Transfer-Encoding: ,chunked",
    ],
)
def test_P3_framing_that_can_be_doubted_is_invalid(lines):
    for method in ("GET", "HEAD"):
        head = b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % lines
        assert outcome([head + b"1\r\na\r\n0\r\n\r\n"], method) == ("invalid",)


def test_P3_http_1_0_has_no_transfer_coding():
    head = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert outcome([head + b"0\r\n\r\n"]) == ("invalid",)


def test_blanks_around_a_value_are_not_part_of_it():
    lines = b"Transfer-Encoding: \t chunked  \r\nX:\t a\t b  \r\n"
    answer = b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n1\r\na\r\n0\r\n\r\n"
    fields = [(b"transfer-encoding", b"chunked"), (b"x", b"a\t b")]
    assert outcome([answer]) == (200, fields, None, b"a", True, [])


@pytest.mark.parametrize(
    ("lines", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_P10_both_sides_must_keep_a_connection_alive(lines, reusable):
    assert read([lines + b"Content-Length: 1\r\n\r\na"]).reusable is reusable


CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"okx"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", b"k\r\n"],
        [CHUNKED_HEAD, b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
        [CHUNKED_HEAD, b"2\r\nok\r\n0\r\n\r\nH"],
        [CHUNKED_HEAD, b"2\r\nok\r\n0\r\n\r\n\x00"],
        [CHUNKED_HEAD, b"2\r\nok\r\n0\r\nT: x\r\n\r\n2\r\nno\r\n0\r\n\r\n"],
    ],
)
def test_P10_what_follows_an_answer_is_noticed_in_every_piece(pieces):
    reader = read(pieces)
    assert (reader.whole(), reader.reusable) == (b"ok", False)


def flood(reader: AnswerReader, piece: bytes) -> None:
    """A little more than is borne."""
    for _ in range(MAX_HEAD // len(piece) + 1):
        reader.feed(piece)


def test_a_head_is_bounded_in_bytes():
    line = b"X: " + b"a" * 1000 + b"\r\n"
    fits = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line * 60 + b"\r\n"
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line * 70 + b"\r\n"
    assert len(fits) < MAX_HEAD < len(large)
    for size in (100, 1_000_000):
        assert outcome([fits[i : i + size] for i in range(0, len(fits), size)])[0] == 200
        pieces = [large[i : i + size] for i in range(0, len(large), size)]
        assert outcome(pieces) == ("invalid",)


def test_a_head_without_an_end_is_not_collected_for_ever():
    reader = AnswerReader(lambda: None)
    reader.expect("GET", None, no_interim)
    reader.feed(b"HTTP/1.1 200 OK\r\nX: ")
    with pytest.raises(UpstreamInvalid):
        flood(reader, b"a" * 1000)


@pytest.mark.parametrize(("count", "status"), [(MAX_FIELDS, 204), (MAX_FIELDS + 1, "invalid")])
def test_a_head_is_bounded_in_lines(count, status):
    assert outcome([b"HTTP/1.1 204 No\r\n" + b"a: b\r\n" * count + b"\r\n"])[0] == status


@pytest.mark.parametrize("piece", [b"T: x\r\n", b"a" * 100], ids=["trailers", "a trailer"])
def test_trailers_are_bounded(piece):
    reader = read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: "])
    with pytest.raises(UpstreamInvalid):
        flood(reader, piece)


def test_chunk_extensions_are_bounded():
    reader = read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"])
    with pytest.raises(UpstreamInvalid):
        flood(reader, b"a" * 100)


def test_many_small_chunks_are_not_overhead():
    reader = read([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
    for _ in range(MAX_HEAD):
        reader.feed(b"1\r\na\r\n")
    reader.feed(b"0\r\n\r\n")
    assert (len(reader.whole()), reader.reusable) == (MAX_HEAD, True)
