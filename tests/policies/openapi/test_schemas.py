"""Schemas: third parties' test suites, run whole, and what OpenAPI adds to JSON Schema."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from policies.openapi.document import DocumentRefused, Node, Source
from policies.openapi.schemas import MAX_LISTED, Schemas
from tests.policies.openapi.described import body_faults, with_body
from tests.policies.openapi.vectors import load

# What moves the base of references or refers beyond the document is refused, with a message:
# schemas are named by their place (docs/design/0006).
MOVERS = {"$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef"}

# version of OpenAPI -> file, tests, groups that are refused, tests in them.
SUITES = {
    "3.1": ("jsonschema_draft2020-12.json", 1299, 67, 140),
    "3.0": ("jsonschema_draft4.json", 618, 17, 35),
}


@pytest.mark.parametrize("version", SUITES)
def test_the_json_schema_suite(version: str) -> None:
    name, total, groups_refused, tests_refused = SUITES[version]
    run = refused = refused_tests = annotations = 0
    for file, group in _groups(name):
        schema, tests = group["schema"], group["tests"]
        schemas = Schemas(Source(schema if isinstance(schema, dict) else {}, version))
        compiled = schemas.want(Node((), schema))
        problems = schemas.compile()
        assert bool(problems) == _refers_elsewhere(schema, version), group["description"]
        run += len(tests)
        if problems:
            refused, refused_tests = refused + 1, refused_tests + len(tests)
            continue
        for test in tests:
            valid = not compiled.faults(test["data"], "body")
            if valid != test["valid"]:
                # Formats are asserted here: whoever declares one means it.
                assert file.endswith("format.json"), test["description"]
                assert "only an annotation by default" in test["description"]
                annotations += 1
    assert (run, refused, refused_tests) == (total, groups_refused, tests_refused)
    assert annotations == (19 if version == "3.1" else 0)


def _groups(name: str) -> Iterator[tuple[str, Any]]:
    for file in load(f"openapi/{name}"):
        for group in file["groups"]:
            yield file["file"], group


def _refers_elsewhere(value: Any, version: str, *, named: bool = False) -> bool:
    """Whether a schema refers otherwise than by a pointer into itself; ``named``: its keys are
    names and no keywords."""
    if isinstance(value, list):
        return any(_refers_elsewhere(item, version) for item in value)
    if not isinstance(value, dict):
        return False
    if not named:
        reference = value.get("$ref", "#")
        if isinstance(reference, str) and not (reference == "#" or reference.startswith("#/")):
            return True
        if version == "3.0" and "$ref" in value:
            value = {k: v for k, v in value.items() if k in ("definitions", "$ref")}
        if MOVERS & value.keys() or "2020-12/schema" not in value.get("$schema", "2020-12/schema"):
            return True
    maps = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
    return any(
        _refers_elsewhere(item, version, named=not named and key in maps)
        for key, item in value.items()
        if named or key not in ("enum", "const")
    )


# OpenAPI 3.0's own words


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "string", "nullable": True}, ["a", None], [1]),
        ({"type": "string"}, ["a"], [None]),
        ({"type": "string", "nullable": True, "enum": ["a", None]}, ["a", None], ["b"]),
        ({"type": "string", "nullable": True, "enum": ["a"]}, ["a"], [None]),
        ({"type": "integer"}, [1], [1.5, "1", True]),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, [1.5], [1]),
        ({"$ref": "#/components/schemas/S", "maxLength": 1}, ["abc"], [1]),
    ],
)
def test_openapi_3_0_is_draft_4_with_nullable(
    schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    shared = {"schemas": {"S": {"type": "string"}}}
    document = with_body(schema, version="3.0.3", components=shared)
    for value in valid:
        assert body_faults(document, json.dumps(value).encode()) == []
    for value in invalid:
        assert body_faults(document, json.dumps(value).encode()) != []


def test_openapi_3_1_is_json_schema_2020_12() -> None:
    schema = {"type": ["string", "null"], "$ref": "#/components/schemas/S", "maxLength": 3}
    document = with_body(schema, components={"schemas": {"S": {"minLength": 2}}})
    assert body_faults(document, b'"abc"') == []
    assert body_faults(document, b"null") == []
    assert len(body_faults(document, b'"a"')) == len(body_faults(document, b'"abcd"')) == 1


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, -(2**31) - 1]),
        ({"type": "integer", "format": "int64"}, [2**63 - 1], [2**63]),
        ({"type": "string", "format": "byte"}, ["", "YQ==", "YWI="], ["YQ", "Y Q=", "_-=="]),
        ({"type": "string", "format": "uuid"}, ["9b2d3a50-51ee-4f0b-a4e8-c4da30f3ba0b"], ["9b2"]),
        ({"type": "string", "format": "date"}, ["2026-01-31"], ["2026-02-31", "31.1.2026"]),
        ({"type": "string", "format": "ipv4"}, ["192.0.2.1"], ["192.0.2.256"]),
        ({"type": "string", "format": "date-time"}, ["2026-01-31T10:00:00Z"], ["2026-01-31"]),
        ({"type": "string", "format": "nobody-knows-it"}, ["x"], []),
        ({"type": "string", "pattern": "^[a-z]+$"}, ["abc"], ["aB", ""]),
    ],
)
def test_formats_and_patterns_are_asserted(
    version: str, schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    document = with_body(schema, version=version)
    for value in valid:
        assert body_faults(document, json.dumps(value).encode()) == []
    for value in invalid:
        assert len(body_faults(document, json.dumps(value).encode())) == 1


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_what_is_read_only_is_not_required_of_a_request(version: str) -> None:
    key = {"type": "string", "readOnly": True}
    schema = {
        "type": "object",
        "required": ["id", "key", "name"],
        "properties": {
            "id": {"$ref": "#/components/schemas/Id"},
            "key": key,
            "name": {"type": "string"},
        },
    }
    shared = {"schemas": {"Id": {"type": "integer", "readOnly": True}}}
    document = with_body(schema, version=version, components=shared)
    assert body_faults(document, b'{"name": "x"}') == []
    assert body_faults(document, b'{"id": 1}') == [("/name", "is missing")]


# Members that nobody declared


ORDER = {
    "allOf": [
        {"$ref": "#/components/schemas/Base"},
        {"properties": {"lines": {"items": {"$ref": "#/components/schemas/Line"}}}},
    ]
}
PARTS = {
    "schemas": {
        "Base": {"type": "object", "properties": {"name": {"type": "string"}}},
        "Line": {
            "type": "object",
            "properties": {
                "sku": {"type": "string"},
                "tags": {"type": "object"},
                "extra": {"type": "object", "additionalProperties": {"type": "string"}},
                "within": {"$ref": "#/components/schemas/Line"},
            },
        },
    }
}
ODD = b"""{"name": "x", "age": 1, "lines": [{"sku": "a", "colour": 1, "tags": {"any": 1},
    "extra": {"any": "b"}, "within": {"size": 1}}]}"""


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_undeclared_members_are_the_schemas_business_or_refused(version: str) -> None:
    by_spec = with_body(ORDER, version=version, components=PARTS)
    assert body_faults(by_spec, ODD) == []
    closed = with_body(ORDER, version=version, components=PARTS, closed=True)
    assert sorted(body_faults(closed, ODD)) == [
        ("/age", "is not declared"),
        ("/lines/0/colour", "is not declared"),
        ("/lines/0/within/size", "is not declared"),
    ]
    assert body_faults(closed, b'{"name": "x", "lines": [{"sku": "a"}]}') == []


def test_an_additional_property_is_named() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": False}
    assert sorted(body_faults(with_body(schema), b'{"a": 1, "b": 2, "c": 3}')) == [
        ("/b", "is not declared"),
        ("/c", "is not declared"),
    ]


# What is said of a fault


def test_every_fault_is_listed_with_its_place_and_never_with_its_value() -> None:
    secret = "canary-of-a-secret"
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "a": {"type": "integer"},
            "b": {"enum": ["x", "y"]},
            "c/d": {"maxLength": 3},
            "e": {"pattern": "^x$"},
            "f": {"format": "email"},
            "g": {"items": {"const": 1}},
            "h": {"not": {"type": "string"}},
            "i": {"oneOf": [{"type": "integer"}, {"minLength": 100}]},
            "j": {"propertyNames": {"maxLength": 3}},
        },
    }
    value: dict[str, Any] = dict.fromkeys(("a", "b", "c/d", "e", "f", "h", "i"), secret)
    value |= {"g": [1, secret], "j": {secret * 3: 1}}
    found = body_faults(with_body(schema), json.dumps(value).encode())
    assert {name for name, _ in found} == {
        *("/a", "/b", "/c~1d", "/e", "/f", "/g/1", "/h", "/i", "/id"),
        "/j",
    }
    assert secret not in repr(found)


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("colour", True),
        ("page[size]", True),
        ("x" * 40, True),
        ("x" * 41, False),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", False),
        ("4111111111111111", False),
        ("sk_live_51H8aQ2eZ9", False),
        ("a b", False),
        ("<script>", False),
    ],
)
def test_an_unknown_name_is_shown_only_if_it_looks_like_one(name: str, is_shown: bool) -> None:
    document = with_body({"properties": {"a": {}}, "additionalProperties": False})
    ((place, message),) = body_faults(document, json.dumps({name: 1}).encode())
    assert message == "is not declared"
    assert (name in place) is is_shown


def test_a_large_wrong_value_costs_no_more_than_to_find_it_wrong() -> None:
    document = with_body({"type": "array", "items": {"type": "string"}})
    few = json.dumps([1] * 50).encode()
    assert len(body_faults(document, few)) == 50
    many = json.dumps([1] * 500).encode()
    assert len(body_faults(document, many)) == 100
    assert body_faults(document, many)[-1] == ("", "there are more faults, which are not listed")
    huge = json.dumps([1] * (MAX_LISTED + 1)).encode()
    assert body_faults(document, huge) == [
        ("/0", 'the value is not of type "string"'),
        ("", "further faults of so large a value are not listed"),
    ]


# What cannot be a schema


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "strin"}, "schema.type: not a valid schema"),
        ({"minimum": "x"}, "schema.minimum: not a valid schema"),
        ({"properties": {"a": {"pattern": "("}}}, "schema.properties.a.pattern: the regular"),
        ({"pattern": "^(?!x)"}, "schema.pattern: the regular expression"),
        ({"pattern": r"(a)\1"}, "schema.pattern: the regular expression"),
        ({"pattern": "a{1000}{1000}"}, "schema.pattern: the regular expression"),
        ({"properties": {"enum": {"pattern": "("}}}, "schema.properties.enum.pattern: the regular"),
        ({"patternProperties": {"(?=a)": {}}}, "schema.patternProperties.(?=a): the regular"),
        ({"$ref": "#/components/schemas/S"}, "schema.$ref: the reference leads nowhere"),
        ({"$ref": "other.yaml#/S"}, "schema.$ref: references are followed only within"),
        ({"$id": "http://h/x"}, "schema.$id: name schemas by their place"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema: this dialect"),
        ({"$schema": []}, "$schema: this dialect"),
        ({"allOf": {}}, "schema.allOf: give a list of schemas"),
        ({"properties": []}, "schema.properties: give a mapping of schemas"),
    ],
)
def test_what_cannot_be_compiled_is_said_with_its_place(schema: Any, problem: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        with_body(schema)
    assert problem in str(refused.value)
