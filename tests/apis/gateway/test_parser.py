"""What the door and the upstream client leave to llhttp, because it refuses it (P3, P13)."""

import httptools
import pytest

CONTROLS = [bytes([code]) for code in (*range(0x20), 0x7F) if code != 0x09]
PLACES = [(size, at) for size in (1, 5, 16, 31, 33, 64) for at in {0, size // 2, size - 1}]
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\nx: %b\r\ny: 1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: %b\r\ny: 1\r\n\r\n"


class Nobody:
    """Takes no callback."""

    def on_header(self, name: bytes, value: bytes) -> None: ...


@pytest.mark.parametrize("control", CONTROLS)
def test_P13_no_control_byte_passes_in_a_header_value(control: bytes) -> None:
    for size, at in PLACES:
        value = b"a" * at + control + b"a" * (size - at - 1)
        with pytest.raises(httptools.HttpParserError):
            httptools.HttpRequestParser(Nobody()).feed_data(REQUEST % value)
        with pytest.raises(httptools.HttpParserError):
            httptools.HttpResponseParser(Nobody()).feed_data(ANSWER % value)


def test_a_tab_and_other_text_pass() -> None:
    httptools.HttpRequestParser(Nobody()).feed_data(REQUEST % b"a\tb \xe9")
