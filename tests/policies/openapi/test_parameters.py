"""Parameters of an operation as a request carries them."""

from typing import Any

import pytest

from tests.policies.openapi.described import (
    compiled,
    document,
    faults,
    operation,
    request,
    with_parameter,
)

NOT_INTEGER = 'the value is not of type "integer"'
INTEGER = {"type": "integer", "minimum": 1}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, [("query", "p", "is missing")]),
        (b"", [("query", "p", "is missing")]),
        (b"p=7", []),
        (b"p=%37", []),
        (b"&p=7&", []),
        (b"p=", [("query", "p", NOT_INTEGER)]),
        (b"p", [("query", "p", NOT_INTEGER)]),
        (b"p=0", [("query", "p", "the value is less than the minimum of 1")]),
        (b"p=1e3", [("query", "p", NOT_INTEGER)]),
        (b"p=+7", [("query", "p", NOT_INTEGER)]),
        (b"p=7&p=8", [("query", "p", "it is given more than once")]),
        (b"p=7&%70=8", [("query", "p", "it is given more than once")]),
        (b"p=%zz", [("query", "p", "a percent-encoding is incomplete")]),
        (b"p=7&%zz=8", [("query", "", "a percent-encoding is incomplete")]),
        (b"p=7&P=8", [("query", "P", "is not declared")]),
        (b"p=7&q=1&r=2", [("query", "q", "is not declared"), ("query", "r", "is not declared")]),
        (b"q=1", [("query", "p", "is missing"), ("query", "q", "is not declared")]),
    ],
)
def test_O1_a_query_is_what_is_declared(query: bytes | None, found: list[Any]) -> None:
    declared = with_parameter("query", INTEGER, required=True)
    assert faults(declared, request(query=query)) == found


def test_unknown_parameters_may_be_ignored() -> None:
    declared = with_parameter("query", INTEGER)
    assert faults(declared, request(query=b"q=1&p=1"), refuse_unknown=False) == []
    assert len(faults(declared, request(query=b"q=1&p=x"), refuse_unknown=False)) == 1


def test_an_operation_without_parameters_takes_no_query() -> None:
    declared = compiled(document({"/x": {"get": operation()}}))
    assert faults(declared, request(query=b"q=1")) == [("query", "q", "is not declared")]
    assert faults(declared, request(query=b"")) == []


def test_credentials_in_a_query_are_declared_by_their_scheme() -> None:
    schemes = {"k": {"type": "apiKey", "in": "query", "name": "key"}}
    paths = {"/x": {"get": operation(security=[{"k": []}])}, "/y": {"get": operation()}}
    declared = compiled(document(paths, components={"securitySchemes": schemes}))
    assert faults(declared, request(query=b"key=1")) == []
    assert len(faults(declared, request("/y", query=b"key=1"))) == 1


@pytest.mark.parametrize(
    ("schema", "more", "query", "wrong"),
    [
        ({"type": "array", "items": INTEGER}, {}, b"p=1&p=2", None),
        ({"type": "array", "items": INTEGER}, {}, b"p=1&p=x", "p/1"),
        ({"type": "array", "items": INTEGER}, {"explode": False}, b"p=1,2", None),
        ({"type": "array", "items": INTEGER}, {"explode": False}, b"p=1&p=2", "p"),
        ({"type": "array", "items": INTEGER, "maxItems": 1}, {}, b"p=1&p=2", "p"),
        ({"type": "array", "items": INTEGER}, {"style": "pipeDelimited"}, b"p=1|2", None),
        ({"type": "array", "items": INTEGER}, {"style": "spaceDelimited"}, b"p=1%20x", "p/1"),
        ({"properties": {"a": INTEGER}}, {"style": "deepObject", "explode": True}, b"p[a]=1", None),
        ({"properties": {"a": INTEGER}}, {"style": "deepObject"}, b"p[a]=x", "p/a"),
        ({"properties": {"a": INTEGER}}, {"style": "deepObject"}, b"p[a]=1&p[a]=1", "p"),
        ({"properties": {"a": INTEGER}}, {"style": "deepObject"}, b"p[a][b]=1", "p[a][b]"),
        (
            {"properties": {"a": INTEGER}, "additionalProperties": False},
            {"style": "deepObject"},
            b"p[b]=1",
            "p/b",
        ),
        ({"properties": {"a": INTEGER}}, {}, b"a=1", None),
        ({"properties": {"a": INTEGER}}, {}, b"a=x", "p/a"),
        ({"properties": {"a": INTEGER}}, {}, b"b=1", "b"),
        ({"additionalProperties": INTEGER}, {}, b"a=1&b=2", None),
        ({"additionalProperties": INTEGER}, {}, b"a=1&b=x", "p/b"),
        ({"properties": {"a": {"type": "array", "items": INTEGER}}}, {}, b"a=1&a=2", None),
        ({"$ref": "#/components/schemas/S"}, {}, b"p=1&p=2", None),
        ({"allOf": [{"$ref": "#/components/schemas/S"}, {"maxItems": 1}]}, {}, b"p=1&p=2", "p"),
        ({"oneOf": [INTEGER, {"enum": ["all"]}]}, {}, b"p=all", None),
        ({"oneOf": [INTEGER, {"enum": ["all"]}]}, {}, b"p=7", None),
        ({"oneOf": [INTEGER, {"enum": ["all"]}]}, {}, b"p=none", "p"),
        ({"type": ["integer", "string"], "maxLength": 2}, {}, b"p=12345", None),
        ({"type": ["integer", "string"], "maximum": 9, "pattern": "^0"}, {}, b"p=01", None),
        ({"enum": [1, 2]}, {}, b"p=2", None),
        ({"enum": ["1", "2"]}, {}, b"p=2", None),
        ({"type": "string", "enum": ["1"]}, {}, b"p=1", None),
        ({"type": "boolean"}, {}, b"p=true", None),
        ({"type": "boolean"}, {}, b"p=True", "p"),
        ({"type": "number"}, {}, b"p=1e3", None),
        ({"type": ["integer", "null"]}, {}, b"p=null", "p"),
        ({"type": "string", "format": "date"}, {}, b"p=2026-01-31", None),
        ({"type": "string", "pattern": "^[^']+$"}, {}, b"p=%27", "p"),
        ({}, {}, b"p=anything", None),
        (True, {}, b"p=anything", None),
        ({"type": "integer"}, {"allowEmptyValue": True}, b"p=", None),
        ({"type": "integer"}, {"allowEmptyValue": True}, b"p=x", "p"),
    ],
)
def test_values_are_read_as_their_schemas_say(
    schema: Any, more: dict[str, Any], query: bytes, wrong: str | None
) -> None:
    parameter = {"name": "p", "in": "query", "schema": schema, **more}
    shared = {"schemas": {"S": {"type": "array", "items": {"type": "integer"}}}}
    paths = {"/x": {"get": operation(parameters=[parameter])}}
    declared = compiled(document(paths, components=shared))
    names = [name for _, name, _ in faults(declared, request(query=query))]
    assert names == ([] if wrong is None else [wrong])


def test_a_parameter_may_be_a_json_text() -> None:
    media = {"application/json": {"schema": {"properties": {"a": {"type": "integer"}}}}}
    parameter = {"name": "p", "in": "query", "content": media}
    declared = compiled(document({"/x": {"get": operation(parameters=[parameter])}}))
    assert faults(declared, request(query=b"p=%7B%22a%22%3A1%7D")) == []
    assert faults(declared, request(query=b"p=%7B%22a%22%3A%22x%22%7D")) == [
        ("query", "p/a", 'the value is not of type "integer"')
    ]
    assert faults(declared, request(query=b"p=x")) == [("query", "p", "it is not well-formed JSON")]


@pytest.mark.parametrize(
    ("more", "segment", "wrong"),
    [
        ({}, "7", False),
        ({}, "x", True),
        ({}, "%37", False),
        ({"style": "label"}, ".7", False),
        ({"style": "label"}, "7", True),
        ({"style": "matrix"}, ";p=7", False),
        ({"style": "matrix"}, ";q=7", True),
    ],
)
def test_a_path_parameter_is_its_segment(more: dict[str, Any], segment: str, wrong: bool) -> None:
    declared = with_parameter("path", INTEGER, **more)
    found = faults(declared, request(f"/x/{segment}"))
    assert [place[:2] for place in found] == ([("path", "p")] if wrong else [])


@pytest.mark.parametrize(
    ("schema", "lines", "message"),
    [
        (INTEGER, [b"7"], None),
        (INTEGER, [b" 7\t"], None),
        (INTEGER, [b"x"], NOT_INTEGER),
        (INTEGER, [b"7", b"8"], "it is given more than once"),
        ({"type": "array", "items": INTEGER}, [b"1, 2", b"3"], None),
        ({"type": "array", "maxItems": 2}, [b"1, 2", b"3"], "the value has more than 2 items"),
        ({"type": "string"}, [b"%41"], None),
        ({"type": "string", "maxLength": 1}, [b"%41"], "the value is longer than 1 character"),
        ({"type": "string"}, [b"\xff"], "the text is not UTF-8"),
        (INTEGER, [], "is missing"),
    ],
)  # fmt: skip
def test_a_header_is_what_is_declared(schema: Any, lines: list[bytes], message: str | None) -> None:
    declared = with_parameter("header", schema, "X-Limit", required=True)
    asked = request(fields=[(b"x-limit", line) for line in lines] + [(b"x-other", b"1")])
    wanted = [] if message is None else [("header", "X-Limit", message)]
    assert faults(declared, asked) == wanted


def test_headers_that_openapi_describes_elsewhere_are_no_parameters() -> None:
    for name in ("Accept", "content-type", "AUTHORIZATION"):
        declared = with_parameter("header", INTEGER, name, required=True)
        assert faults(declared, request()) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([b"p=7"], None),
        ([b"a=1; p=7;b=2"], None),
        ([b"a=1", b"p=7"], None),
        ([b"p=x"], NOT_INTEGER),
        ([b"p=7; p=8"], "it is given more than once"),
        ([b"p=7", b"p=8"], "it is given more than once"),
        ([b"P=7"], "is missing"),
        ([], "is missing"),
    ],
)
def test_a_cookie_is_what_is_declared(lines: list[bytes], message: str | None) -> None:
    declared = with_parameter("cookie", INTEGER, required=True)
    asked = request(fields=[(b"cookie", line) for line in lines])
    assert faults(declared, asked) == ([] if message is None else [("cookie", "p", message)])


def test_an_operations_parameter_replaces_its_paths() -> None:
    shared = [{"name": "p", "in": "query", "schema": {"type": "integer"}}]
    own = [{"name": "p", "in": "query", "schema": {"type": "boolean"}}]
    item = {"parameters": shared, "get": operation(parameters=own), "put": operation()}
    declared = compiled(document({"/x": item}))
    assert faults(declared, request(query=b"p=true")) == []
    assert len(faults(declared, request(query=b"p=7"))) == 1


def test_every_fault_of_a_head_is_listed() -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": INTEGER},
        {"name": "q", "in": "query", "schema": INTEGER},
        {"name": "X-H", "in": "header", "required": True, "schema": INTEGER},
        {"name": "c", "in": "cookie", "schema": INTEGER},
    ]
    declared = compiled(document({"/x/{id}": {"get": operation(parameters=parameters)}}))
    asked = request("/x/a", b"q=b&z=1", [(b"cookie", b"c=d")])
    assert [place[:2] for place in faults(declared, asked)] == [
        ("path", "id"),
        ("query", "q"),
        ("query", "z"),
        ("header", "X-H"),
        ("cookie", "c"),
    ]
