"""Readings: what a value may turn into, to a fixed point, within a bound."""

from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies.kinds.injection.decode import ROUNDS, readings

ATTACK = "<a' or 1=1>"


def wrapped(text: str, times: int) -> str:
    for _ in range(times):
        text = quote(text, safe="")
    return text


@pytest.mark.parametrize(
    "hidden",
    [
        "%3Ca%27%20or%201%3D1%3E",
        "%u003ca%u0027 or 1=1%u003e",
        "&lt;a&#39; or 1=1&gt;",
        "&#x3c;a&#x27; or 1=1&#x3e;",
        "&lta&#" + "0" * 5000 + "39 or 1=1&gt",
        r"\u003ca\x27 or 1=1\u{3e}",
        "\uff1ca\uff07 or 1=1\uff1e",
        "<a\u2019 or 1=1>",
        "<\u200ba' o\u00adr 1=1>",
        "%C0%BCa%C0%A7 or 1=1%E0%80%BE",
        b64encode(ATTACK.encode()).decode(),
        b64encode(ATTACK.encode()).decode().rstrip("="),
    ],
)
def test_O4_every_disguise_is_undone(hidden: str) -> None:
    assert ATTACK in readings(hidden)


@pytest.mark.parametrize("times", range(ROUNDS + 3))
def test_O4_decoding_is_repeated_to_a_fixed_point_but_at_most_three_times(times: int) -> None:
    assert ROUNDS <= 3
    found = readings(wrapped("'<", times))
    assert len(found) == 1 + min(times, ROUNDS)
    assert ("'<" in found) == (times <= ROUNDS)


@given(st.text(max_size=200))
def test_O4_there_are_few_readings_of_any_text(text: str) -> None:
    found = readings(text)
    assert 1 <= len(found) <= 1 + ROUNDS + 3
    assert found[0] == text.replace("\x1e", " ").lower().replace("\v", " ")


def test_comments_are_taken_out_as_space_as_nothing_and_as_their_content() -> None:
    found = readings("UN/* a * b */ION /*!50000SELECT*/ 1 /* open")
    assert found[1:] == ["un ion   1  ", "union  1 ", "un ion  select  1  "]


@pytest.mark.parametrize(
    "text",
    ["plain words", "short", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "a" * 24, "//////////8=", ""],
)
def test_what_is_no_base64_of_readable_text_stays(text: str) -> None:
    assert readings(text) == [text.lower()]


def test_escapes_of_controls_and_surrogates_stay_as_they_are() -> None:
    assert readings(r"\x00\u0000\ud800%ud800") == [r"\x00\u0000\ud800%ud800"]


def test_a_number_of_thousands_of_digits_is_none_of_a_character() -> None:
    assert readings("&#" + "1" * 5000)[-1].endswith("1111")


@given(st.binary(max_size=60))
def test_any_octets_can_be_percent_encoded(octets: bytes) -> None:
    readings("".join(f"%{octet:02x}" for octet in octets))


@given(st.text(min_size=6, max_size=30).filter(lambda text: "\x1e" not in text))
@example("\0abcdef")
@example("\tabcdef")
@example("\nabcdef")
@example("\rabcdef")
@example(" abcdef")
@example("~abcdef")
@example("\u00a1abcdef")
@example("\U000e0100abcdef")
def test_base64_of_any_readable_text_is_undone(text: str) -> None:
    hidden = b64encode(text.encode()).decode()
    plain = text.translate(dict.fromkeys(map(ord, "\r\n\t\0"))).isprintable()
    assert (text.lower().replace("\v", " ") in readings(hidden)) == (plain or text == hidden)
