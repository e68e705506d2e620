"""What texts mean (O3): the pinned table, and texts that no reader may take for more."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.openapi.texts import Malformed, decoded, scalar

ALL = ("integer", "number", "boolean", "string")

# Each text with what it is where only that type is expected; None: it stays a text.
INTEGERS = {
    "0": 0,
    "7": 7,
    "-7": -7,
    "-0": 0,
    "9" * 300: int("9" * 300),
    **dict.fromkeys(
        [
            *("1e3", "1E3", "0x10", "0b1", "0o7", " 1", "1 ", "+1", "1_000", "1,000", "01", "-"),
            *(
                "",
                "1.0",
                "1.",
                ".1",
                "--1",
                "\u0661",
                "\uff11",
                "1\n",
                "\n1",
                "1\x00",
                "∞",
                "NaN",
                "null",
            ),
            *("true", "9" * 301, "①"),
        ]
    ),
}
NUMBERS = {
    "1": 1,
    "1.5": 1.5,
    "-1.5": -1.5,
    "1e3": 1000.0,
    "1E+3": 1000.0,
    "1e-3": 0.001,
    "0.0": 0.0,
    **dict.fromkeys(
        [
            *("1.", ".5", "+1.5", "1e", "1e999", "-1e999", "inf", "Infinity", "NaN", "0x1p3", " 1"),
            *("1.5 ", "1_0.5", "1,5", "01.5", "", "\u0661.\u0665", "1.5\n", "1e1_0"),
        ]
    ),
}
BOOLEANS = {
    "true": True,
    "false": False,
    **dict.fromkeys(
        ["True", "TRUE", "true ", " true", "1", "0", "yes", "on", "", "t", "\uff54rue"]
    ),
}


@pytest.mark.parametrize(
    ("kind", "table"), [("integer", INTEGERS), ("number", NUMBERS), ("boolean", BOOLEANS)]
)
def test_O3_the_table_is_pinned(kind: str, table: dict[str, object]) -> None:
    for text, expected in table.items():
        value = scalar(text, {kind})
        wanted = text if expected is None else expected
        assert (type(value), value) == (type(wanted), wanted), text


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.5", 1.5), ("true", True), ("null", "null"), ("", ""), ("1e3", 1000.0)],
)
def test_O3_of_several_types_the_first_that_fits_is_meant(text: str, value: object) -> None:
    assert scalar(text, ALL) == value
    assert type(scalar(text, ALL)) is type(value)


def test_O3_nothing_is_null() -> None:
    for text in ("null", "", "None", "nil"):
        assert scalar(text, {"null"}) == text


@given(st.text(max_size=20))
def test_O3_an_integer_is_written_in_one_way(text: str) -> None:
    value = scalar(text, {"integer"})
    if isinstance(value, int):
        assert str(value) == text or text == "-0"


@given(st.text(max_size=20))
def test_O3_a_number_is_finite(text: str) -> None:
    value = scalar(text, {"number"})
    assert isinstance(value, str) or math.isfinite(value)


@given(st.integers(min_value=-(10**299), max_value=10**299))
def test_O3_integers_come_back(number: int) -> None:
    assert scalar(str(number), {"integer"}) == number


@pytest.mark.parametrize(
    ("raw", "plus", "text"),
    [
        (b"a%20b", False, "a b"),
        (b"a+b", False, "a+b"),
        (b"a+b%2B", True, "a b+"),
        (b"%C3%A9", False, "é"),
        ("é".encode(), False, "é"),
        (b"%00", False, "\x00"),
    ],
)
def test_percent_encodings_are_undone(raw: bytes, plus: bool, text: str) -> None:
    assert decoded(raw, plus=plus) == text


@pytest.mark.parametrize("raw", [b"%", b"%2", b"%zz", b"%u0041", b"%c3", b"%ff", b"\xff", b"%+1"])
def test_what_is_no_percent_encoded_text_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(raw)
