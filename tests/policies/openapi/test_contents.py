"""Bodies: JSON that has one meaning, forms, texts, and what is taken as it is."""

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.http.media_types import MediaType
from policies.openapi.json_content import read_json
from policies.openapi.multipart import MAX_PARTS, parts_of
from policies.openapi.texts import Malformed
from tests.policies.openapi.described import body_faults, with_body
from tests.policies.openapi.vectors import load

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
SENT = b"multipart/form-data; boundary=B"

# JSON


def test_the_json_parsing_suite() -> None:
    """Whatever is no JSON is refused; what an RFC leaves open is refused where readers differ."""
    counts = {"accept": 0, "reject": 0, "either": 0}
    taken = set()
    for row in load("json/json_parsing.json"):
        counts[row["expect"]] += 1
        try:
            read_json(base64.b64decode(row["b64"]))
            accepted = True
        except Malformed:
            accepted = False
        if row["name"].removesuffix(".json") in REFUSED_THOUGH_JSON:
            assert not accepted, row["name"]
        elif row["expect"] == "either":
            taken |= {row["name"].removesuffix(".json")} if accepted else set()
        else:
            assert accepted is (row["expect"] == "accept"), row["name"]
    assert counts == {"accept": 95, "reject": 187, "either": 35}
    assert taken == LEFT_OPEN_AND_TAKEN


# A member given twice is JSON, and what APISIX passed on by mistake (CVE-2022-25757).
REFUSED_THOUGH_JSON = {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}
LEFT_OPEN_AND_TAKEN = {
    "i_number_double_huge_neg_exp",
    "i_number_real_underflow",
    "i_number_too_big_neg_int",
    "i_number_too_big_pos_int",
    "i_number_very_big_negative_int",
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "a": 2}', "a member is given more than once"),
        (b'{"a": 1, "\\u0061": 2}', "a member is given more than once"),
        (b'[{"b": {"a": 1, "a": 1}}]', "a member is given more than once"),
        (b"1e999", "a number is too large"),
        (b'{"a": [-1E+400]}', "a number is too large"),
        (b"9" * 400 + b".0", "a number is too large"),
        (b"NaN", "it is not well-formed JSON"),
        (b'"\\ud800"', "it is not well-formed JSON"),
        (b"\xef\xbb\xbf{}", "it is not well-formed JSON"),
        (b"{} {}", "it is not well-formed JSON"),
        (b"", "it is not well-formed JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "it is not well-formed JSON"),
    ],
)
def test_O1_json_that_readers_could_read_differently_is_refused(
    content: bytes, message: str
) -> None:
    assert body_faults(with_body({}), content) == [("", message)]


def test_json_is_read_without_a_schema_too() -> None:
    document = with_body(None)
    assert body_faults(document, b'{"a": 1}') == []
    assert body_faults(document, b'{"a": 1, "a": 2}') != []


def test_json_is_utf8() -> None:
    document = with_body({"type": "string"})
    assert body_faults(document, b'"x"', b"application/json; charset=UTF-8") == []
    (fault,) = body_faults(document, '"x"'.encode("utf-16"), b"application/json;charset=utf-16")
    assert fault == ("", "JSON is written in UTF-8")


_UNICODE = st.text().filter(lambda text: text.isprintable())
_SCALARS = st.none() | st.booleans() | st.integers() | _UNICODE | st.floats(-1e300, 1e300)


@given(
    st.recursive(
        _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_UNICODE, inner), max_leaves=20
    )
)
def test_what_json_says_is_what_is_read(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


# Forms

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        "address": {"type": "object", "properties": {"zip": {"type": "integer"}}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"name=Jo&age=7", []),
        (b"name=Jo+Ann&tags=a&tags=b", []),
        (b"name=%4Ao&address=" + quote('{"zip": 1}').encode(), []),
        (b"age=7", [("/name", "is missing")]),
        (b"name=J", [("/name", "the value is shorter than 2 characters")]),
        (b"name=Jo&age=1e3", [("/age", 'the value is not of type "integer"')]),
        (b"name=Jo&name=Ann", [("/name", "it is given more than once")]),
        (b"name=Jo&tags=abcd", [("/tags/0", "the value is longer than 3 characters")]),
        (b"name=Jo&role=admin", [("/role", "is not declared")]),
        (b"name=Jo&address=x", [("/address", "it is not well-formed JSON")]),
        (b"name=%zz", [("/name", "a percent-encoding is incomplete")]),
        (b"%zz=1", [("", "a percent-encoding is incomplete")]),
        (b"", [("/name", "is missing")]),
    ],
)
def test_a_form_is_an_object(content: bytes, found: list[Any]) -> None:
    assert body_faults(with_body(PERSON, FORM), content, FORM.encode()) == found


def test_a_form_may_say_how_its_members_are_written() -> None:
    encoding = {
        "tags": {"style": "pipeDelimited", "explode": False},
        "address": {"style": "deepObject"},
    }
    document = with_body(PERSON, FORM, encoding=encoding)
    good = b"name=Jo&tags=a|b&address[zip]=7"
    assert body_faults(document, good, FORM.encode()) == []
    bad = b"name=Jo&tags=a|bcde&address[zip]=x"
    assert sorted(name for name, _ in body_faults(document, bad, FORM.encode())) == [
        "/address/zip",
        "/tags/1",
    ]


def part(name: str, content: bytes, *lines: str) -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"'
    return "\r\n".join([head, *lines, "", ""]).encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "maxLength": 10},
        "count": {"type": "integer"},
        "meta": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
TWICE = "it is given more than once"
MEMBER_TWICE = "a member is given more than once"
FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n\x00\xff\r\n'


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([FILE], []),
        ([FILE, part("count", b"7"), part("tags", b"a"), part("tags", b"b")], []),
        ([FILE, part("meta", b'{"a": 1}', "Content-Type: application/json")], []),
        ([part("count", b"7")], [("/file", "is missing")]),
        ([part("file", b"x" * 11)], [("/file", "the value is longer than 10 characters")]),
        ([FILE, part("count", b"x")], [("/count", 'the value is not of type "integer"')]),
        ([FILE, part("count", b"1"), part("count", b"2")], [("/count", TWICE)]),
        ([FILE, part("meta", b'{"a": 1, "a": 2}')], [("/meta", MEMBER_TWICE)]),
        ([FILE, part("meta", b'{"a": "x"}')], [("/meta/a", 'the value is not of type "integer"')]),
        ([FILE, part("role", b"admin")], [("/role", "is not declared")]),
        (
            [FILE, part("count", b'"7"', "Content-Type: application/json")],
            [("/count", 'the value is not of type "integer"')],  # JSON only where it is declared
        ),
        ([FILE, part("count", b"\xff")], [("/count", "the text is not UTF-8")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_multipart_form_is_an_object(version: str, parts: list[bytes], found: list[Any]) -> None:
    document = with_body(UPLOAD, MULTIPART, version)
    assert body_faults(document, multipart(*parts), SENT) == found


def test_a_part_has_one_of_the_declared_types() -> None:
    encoding = {"file": {"contentType": "image/png, image/jpeg"}}
    document = with_body(UPLOAD, MULTIPART, encoding=encoding)
    for kind, faults in (("image/png", 0), ("image/svg+xml", 1), ("x", 1)):
        content = multipart(part("file", b"x", f"Content-Type: {kind}"))
        assert len(body_faults(document, content, SENT)) == faults


PLAIN = multipart(part("count", b"7"), FILE)


@pytest.mark.parametrize(
    "content",
    [
        b"preamble\r\n" + PLAIN,
        PLAIN + b"epilogue",
        PLAIN[:-4],
        PLAIN[:-8],
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"--B\r\n", b"--B \r\n"),
        PLAIN.replace(b"--B\r\n", b"--Bx\r\n", 1),
        PLAIN.replace(b'name="count"', b"name=count"),
        PLAIN.replace(b'name="count"', b"name*=utf-8''count"),
        PLAIN.replace(b'name="count"', b'name="count"; name="file"'),
        PLAIN.replace(b'name="count"', b'name="co\\"unt"'),
        PLAIN.replace(b'name="count"', b'name="count"; filename*=x'),
        PLAIN.replace(b"form-data; name=", b"attachment; name="),
        multipart(part("count", b"7", "Content-Disposition: form-data; name=x"), FILE),
        multipart(part("count", b"7", "X-Other: 1"), FILE),
        multipart(part("count", b"7", "Content-Transfer-Encoding: base64"), FILE),
        multipart(part("count", b"7", "Content-Type: a/b", " folded"), FILE),
        multipart(part("count", b"7", "X" * 5000 + ": 1"), FILE),
        multipart(FILE, *[part("tags", b"")] * MAX_PARTS),
        b"--B--\r\n" + PLAIN,
        b"",
    ],
)
def test_O1_a_multipart_body_that_readers_could_read_differently_is_refused(
    content: bytes,
) -> None:
    assert body_faults(with_body(UPLOAD, MULTIPART), PLAIN, SENT) == []
    ((name, _),) = body_faults(with_body(UPLOAD, MULTIPART), content, SENT)
    assert name == ""


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b", 'a"', "ä"])
def test_a_boundary_is_one_of_rfc_2046(boundary: str) -> None:
    with pytest.raises(Malformed):
        parts_of(PLAIN.replace(b"--B", b"--" + boundary.encode()), boundary)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=40)), max_size=6))
def test_parts_come_back(pairs: list[tuple[str, bytes]]) -> None:
    pairs = [(name, content) for name, content in pairs if b"\r\n--B" not in content]
    content = multipart(*[part(name, content) for name, content in pairs])
    if not pairs:
        with pytest.raises(Malformed):
            parts_of(content, "B")
        return
    assert [(p.name, p.content) for p in parts_of(content, "B")] == pairs


@given(st.binary(max_size=200))
def test_no_body_is_too_strange_to_be_read_or_refused(content: bytes) -> None:
    for schema, essence, sent in (
        (UPLOAD, MULTIPART, SENT),
        (PERSON, FORM, FORM.encode()),
        (PERSON, "application/json", b"application/json"),
        ({"type": "integer"}, "text/plain", b"text/plain"),
    ):
        body_faults(_document(essence, json.dumps(schema)), content, sent)


_documents: dict[str, Any] = {}


def _document(essence: str, schema: str) -> Any:
    if essence not in _documents:
        _documents[essence] = with_body(json.loads(schema), essence)
    return _documents[essence]


# Texts, and everything else


def test_a_text_is_what_its_schema_takes_a_text_for() -> None:
    document = with_body({"type": "integer"}, "text/plain")
    assert body_faults(document, b"7", b"text/plain; charset=utf-8") == []
    assert len(body_faults(document, b"x", b"text/plain")) == 1
    assert len(body_faults(document, b"\xff", b"text/plain")) == 1
    assert len(body_faults(document, b"7", b"text/plain; charset=utf-16")) == 1


@pytest.mark.parametrize("declared", ["*/*", "application/*"])
def test_json_is_looked_into_where_a_range_covers_it(declared: str) -> None:
    document = with_body({"type": "integer"}, declared)
    for sent in (b"application/json", b"application/vnd.x+json"):
        assert body_faults(document, b"7", sent) == []
        assert len(body_faults(document, b'"x"', sent)) == 1
    assert body_faults(document, b"x", b"application/pdf") == []
    assert len(document.notices) == 1


def test_a_form_of_many_members_costs_in_proportion() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "object"}}
    encoding = {"a": {"style": "form", "explode": True}}
    schema = {"properties": {"a": schema}}
    document = with_body(schema, FORM, encoding=encoding)

    def cost(count: int) -> float:
        content = b"&".join(b"%x=1" % number for number in range(count))
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            body_faults(document, content, FORM.encode())
            best = min(best, time.process_time() - began)
        return best

    assert cost(20_000) < 40 * cost(2_000)


def test_what_cannot_be_looked_into_is_not_held() -> None:
    for schema, essence in (
        ({"type": "string", "format": "binary"}, "application/octet-stream"),
        ({"type": "string"}, "image/png"),
        ({"type": "object"}, "application/xml"),
        (None, "text/plain"),
        ({"type": "string"}, "text/event-stream"),
    ):
        document = with_body(schema, essence)
        result = document.find("POST", "/x")
        assert not result.operation.contents.find(MediaType(essence)).held
        assert body_faults(document, b"\x00\xff", essence.encode()) == []
