"""The whole set of the HTTP working group, and what is refused beyond it."""

import contextlib

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.http import structured
from tests.policies.http.messages import VECTORS

CASES = 1591
# Valid for the RFC, where the last of two equal keys counts; here nobody may have to know that.
DEVIATIONS = {
    ("dictionary.json", "duplicate key dictionary"),
    ("key-generated.json", "0x2c in dictionary key"),
    ("key-generated.json", "0x3b in parameterised list key"),
    ("param-list.json", "duplicate parameter with different positions"),
}


@pytest.mark.skipif(not VECTORS.is_dir(), reason="../shared/vectors is absent")
def test_every_vector_is_read_as_it_says_or_refused() -> None:
    seen, deviating = 0, set()
    for path in sorted((VECTORS / "structured-fields").glob("*.json")):
        for case in http_sf.from_json(path.read_text()):
            seen += 1
            lines = [raw.encode() for raw in case["raw"]]
            try:
                read = structured.parse(lines, case["header_type"])
            except structured.FieldRefused:
                if not case.get("must_fail") and not case.get("can_fail"):
                    deviating.add((path.name, case["name"]))
            else:
                assert not case.get("must_fail"), (path.name, case["name"])
                assert read == case["expected"], (path.name, case["name"])
    assert seen == CASES
    assert deviating == DEVIATIONS


@pytest.mark.parametrize("raw", [b"a=1, a=2", b"a=1;x;x", b'a=("b";x=1;x=2)', b"a=(b c);y;y"])
def test_H2_nothing_stands_twice(raw: bytes) -> None:
    with pytest.raises(structured.FieldRefused):
        structured.dictionary([raw])


def test_a_label_that_stands_in_two_lines_stands_twice() -> None:
    with pytest.raises(structured.FieldRefused):
        structured.dictionary([b"a=1", b"b=2, a=3"])


def test_a_field_is_bounded() -> None:
    with pytest.raises(structured.FieldRefused):
        structured.dictionary([b"a=" + b"1" * structured.MAX_BYTES])


@given(st.binary(max_size=200), st.sampled_from(["dictionary", "list", "item"]))
def test_any_bytes_are_read_or_refused(raw: bytes, kind: structured.Kind) -> None:
    with contextlib.suppress(structured.FieldRefused):
        structured.parse([raw], kind)
