"""What a hostile or careless text can and cannot make of the reader."""

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import yaml_text
from policies.yaml_text import TextRefused, read

CANARY = "canary-4711"

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "line 1: anchors (&name) are not taken: write the value out"),
        ("a: 1\nb: *a\n", "line 2: aliases (*name) are not taken: write the value out"),
        ("a: !!python/object:os.system x\n", "line 1: tags (!name) are not taken"),
        ("a: !!str 1\n", "line 1: tags (!name) are not taken"),
        ("[" * 100_000, "line 1: more than 40 levels deep"),
        ("- " * 100_000, "line 1: more than 40 levels deep"),
        ('{"a":' * 60 + "1" + "}" * 60, "more than 40 levels deep"),
        ("a: 1\nb: {c: 1, c: 2}\na: 2\n", "line 2: b.c is given on line 2 already\n"
         "line 3: a is given on line 1 already"),
        ('{"a": 1, "a": 2}', "a key is given twice in one object"),
        ("", "the text is empty"),
        ("# a comment\n", "the text is empty"),
        ("a: 1\n---\nb: 2\n", "the text holds more than one document"),
        ("? [a]\n: 1\n", "line 1: a key must be a text"),
        ('a: "\\0"\n', "line 1: NUL characters are not taken"),
        ('{"a": "\\u0000"}', "NUL characters are not taken"),
        ('{"a": "\\ud800"}', "a character is only half there"),
        ('{"\\ud800": 1}', "a character is only half there"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": 1e999}', "a number is too large"),
        ("a: [1, 2\n", "line 2: not YAML: did not find expected ',' or ']'"),
        ("- 1\n" * (yaml_text.MAX_NODES + 1), "line 200000: more than 200000 values"),
        ('{"a": [' + "1," * yaml_text.MAX_NODES + "1]}", "more than 200000 values"),
        ("x" * (yaml_text.MAX_BYTES + 1), "the text is larger than 4194304 bytes"),
    ],
    ids=lambda value: value[:25].replace("\n", " "),
)  # fmt: skip
def test_O2_a_hostile_text_is_refused(text, message):
    with pytest.raises(TextRefused) as refused:
        read(text.encode())
    assert str(refused.value) == message


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}"), ("{b: ", "}")])
def test_O2_forty_levels_are_read_and_one_more_is_not(opening, closing):
    def nested(levels):
        return (opening * levels + "1" + closing * levels).encode()

    read(nested(yaml_text.MAX_DEPTH))
    with pytest.raises(TextRefused, match="more than 40 levels deep"):
        read(nested(yaml_text.MAX_DEPTH + 1))


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(TextRefused, match="byte 3 is not UTF-8"):
        read(b"a: \xff")


def test_O2_refusing_many_laughs_costs_no_memory():
    text = LAUGHS.encode()
    tracemalloc.start()
    with pytest.raises(TextRefused):
        read(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "text", [f"a: '{CANARY}\n", f"{CANARY}: [{CANARY}", f"a: {CANARY}\n\tb: {CANARY}", f"%{CANARY}"]
)
def test_a_message_repeats_nothing_of_the_text(text):
    with pytest.raises(TextRefused) as refused:
        read(text.encode())
    assert CANARY not in str(refused.value)


def test_plain_values_mean_what_yaml_1_2_says():
    text = b"""
        off: off
        no: [yes, no, on, Off, TRUE, true, false]
        null: [null, ~, , Null]
        numbers: [0, -1, 10, 1.5, 1.0e+3]
        texts: [010, 0x10, 0o7, 1_000, 12:30, 1e3, .5, 2027-01-01, .inf, "1", 'true']
        <<: merge
        1: one
    """.replace(b", ,", b", '',")
    assert read(text).data == {
        "off": "off",
        "no": ["yes", "no", "on", "Off", "TRUE", True, False],
        "null": [None, None, "", "Null"],
        "numbers": [0, -1, 10, 1.5, 1000.0],
        "texts": [
            *["010", "0x10", "0o7", "1_000", "12:30", "1e3", ".5", "2027-01-01", ".inf"],
            *["1", "true"],
        ],
        "<<": "merge",
        "1": "one",
    }


def test_every_place_knows_its_line():
    reading = read(b"apis:\n  - name: a\n    routes:\n      - path: /x\n")
    assert reading.line("apis[0].routes[0].path") == 4
    assert reading.line("apis[0].routes[0].policies[3].jwt") == 4
    assert reading.line("apis[0].base_path") == 2
    assert reading.line("format") is None


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_refusal(raw):
    with contextlib.suppress(TextRefused):
        read(raw)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab\\"é😀 ', max_size=4), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc", max_size=3), JSON), st.booleans())
def test_json_is_read_as_json(data, ascii_only):
    assert read(json.dumps(data, ensure_ascii=ascii_only).encode()).data == data
