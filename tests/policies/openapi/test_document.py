"""Which documents are compiled, and why others are not (O2)."""

import builtins
import copy
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.core.values import NO_HEADERS, Request
from policies.openapi.compiled import Found, NotFound, compile_document, document_problems
from policies.openapi.document import MAX_OPERATIONS, DocumentRefused
from policies.openapi.weight import MAX_EVALUATIONS
from tests.policies.openapi.described import (
    body_faults,
    compiled,
    document,
    operation,
    with_body,
    with_parameter,
)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in document_problems(text)]


def found(text: str, method: str, path: str) -> str | tuple[str, ...]:
    """The template of what takes a call, or the methods that its path takes."""
    result = compiled(text).find(method, path)
    return result.operation.template if isinstance(result, Found) else result.allow


# Paths and methods

PATHS = {
    "/items": {"get": operation(), "post": operation()},
    "/items/{id}": {
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {}}],
        "get": operation(),
        "put": operation(),
    },
    "/items/mine": {"get": operation()},
    "/": {"get": operation()},
}


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/items", "/items"),
        ("HEAD", "/items", "/items"),
        ("GET", "/items/7", "/items/{id}"),
        ("GET", "/items/mine", "/items/mine"),
        ("PUT", "/items/mine", "/items/{id}"),
        ("GET", "/", "/"),
        ("DELETE", "/items", ("GET", "HEAD", "POST")),
        ("GET", "/items/", ()),
        ("GET", "/items/7/x", ()),
        ("GET", "/Items", ()),
    ],
)
def test_O1_calls_are_matched_as_routes_are(method: str, path: str, template: Any) -> None:
    assert found(document(PATHS), method, path) == template


def test_path_items_parameters_and_bodies_may_be_references() -> None:
    post = operation(requestBody={"$ref": "#/components/requestBodies/B"})
    shared = {
        "pathItems": {"X": {"post": post}},
        "requestBodies": {"B": {"content": {"application/json": {"schema": {"type": "integer"}}}}},
    }
    paths = {"/x": {"$ref": "#/components/pathItems/X"}}
    assert body_faults(compiled(document(paths, components=shared)), b'"a"') != []


# Hostile documents


def test_O2_billion_laughs_are_refused_before_they_are_read() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))
    began = time.process_time()
    (problem,) = problems(f"openapi: 3.1.0\nl0: &l0 [lol]\n{levels}\n")
    assert "anchors (&name) are not taken" in problem
    assert time.process_time() - began < 1


def _doubling(levels: int) -> dict[str, Any]:
    """Schemas each of which is twice the next one."""
    schemas: dict[str, Any] = {
        f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 2} for n in range(levels)
    }
    return {"schemas": {**schemas, f"S{levels}": {"type": "string"}}}


def test_O2_references_that_multiply_are_refused() -> None:
    first = {"$ref": "#/components/schemas/S0"}
    with_body(first, components=_doubling(10))
    for levels in (14, 30, 150):
        with pytest.raises(DocumentRefused, match=str(MAX_EVALUATIONS)):
            with_body(first, components=_doubling(levels))


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/components/schemas/A"}},
        {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]}},
        {"A": {"if": {"$ref": "#/components/schemas/A"}}},
    ],
)
def test_O2_what_is_composed_of_itself_is_refused(schemas: Any) -> None:
    with pytest.raises(DocumentRefused, match="composed of itself"):
        with_body({"$ref": "#/components/schemas/A"}, components={"schemas": schemas})


def test_O2_a_schema_of_many_levels_of_itself_inside_is_fine() -> None:
    tree = {"type": "object", "properties": {"below": {"$ref": "#/components/schemas/T"}}}
    document = with_body({"$ref": "#/components/schemas/T"}, components={"schemas": {"T": tree}})
    assert body_faults(document, b'{"below": ' * 50 + b"{}" + b"}" * 50) == []
    assert body_faults(document, b'{"below": ' * 50 + b"1" + b"}" * 50) != []


def test_O2_a_chain_of_schemas_is_bounded() -> None:
    chain: dict[str, Any] = {
        f"S{n}": {"$ref": f"#/components/schemas/S{n + 1}"} for n in range(5000)
    }
    with pytest.raises(DocumentRefused, match="composed of each other"):
        with_body(
            {"$ref": "#/components/schemas/S0"}, components={"schemas": {**chain, "S5000": {}}}
        )


@pytest.mark.parametrize("name", ["P", "Q"])
def test_O2_references_of_objects_that_lead_in_a_circle_are_refused(name: str) -> None:
    reference = {"$ref": "#/components/parameters/Q"}
    circle = {"P": reference, "Q": {"$ref": f"#/components/parameters/{name}"}}
    paths = {"/x": {"get": operation(parameters=[reference])}}
    (problem,) = problems(document(paths, components={"parameters": circle}))
    assert "the references lead in a circle" in problem


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/x", "file:///etc/passwd", "x.yaml", "#x"])
def test_O2_nothing_is_ever_fetched(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_body({"type": "string"})  # the OpenAPI Initiative's own schemas are read now

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something was connected to or opened")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(builtins, "open", never)
    for schema in ({"$ref": target}, {"items": {"$ref": target}}, {"anyOf": [{"$ref": target}]}):
        with pytest.raises(DocumentRefused, match="followed only within the document"):
            with_body(schema)
    response = {"200": {"$ref": target}}
    (problem,) = problems(document({"/x": {"get": {"responses": response}}}))
    assert "followed only within the document" in problem


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_O2_patterns_run_in_linear_time(pattern: str) -> None:
    """50 kB of the worst input cost no more than a plain pattern on the same, times a constant."""
    content = json.dumps("a" * 50_000 + "!").encode()
    evil, plain = with_body({"pattern": pattern}), with_body({"pattern": "^[a-z]+$"})

    def cost(document: Any) -> float:
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            body_faults(document, content)
            best = min(best, time.process_time() - began)
        return best

    assert cost(evil) < 100 * cost(plain) + 0.001


def test_O2_patterns_of_parameters_run_in_linear_time_too() -> None:
    judged = with_parameter("query", {"type": "string", "pattern": "(a+)+$"})
    result = judged.find("GET", "/x")
    assert isinstance(result, Found)
    costs = []
    for size in (25_000, 50_000):
        asked = Request("GET", "h", "/x", b"p=" + b"a" * size + b"!", NO_HEADERS, "192.0.2.1")
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            assert result.operation.head_faults(asked, {}, refuse_unknown=True)
            best = min(best, time.process_time() - began)
        costs.append(best)
    assert costs[1] < 20 * costs[0] + 0.001


def test_O2_too_many_operations_are_refused() -> None:
    paths = {f"/{n}": {"get": operation()} for n in range(MAX_OPERATIONS + 1)}
    assert problems(document(paths)) == ["paths: more than 5000 operations"]


# What is no document


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the text is empty"),
        ("[]", "an OpenAPI document is a mapping"),
        ("openapi: 2.0", "openapi: give an OpenAPI document of version 3.0 or 3.1"),
        ("openapi: 3.2.0", "openapi: give an OpenAPI document of version 3.0 or 3.1"),
        (document({"/x": {"get": {}}}, "3.0.3"), "paths./x.get.responses: is missing"),
        (document({"/x": {"foo": operation()}}), "paths./x: unknown key: foo"),
        (document({"/x": {"foo": operation()}}, "3.0.3"), "paths./x: unknown key: foo"),
        (
            document({"/x": {"get": operation(parameters=[{"name": "a", "in": "qury"}])}}),
            "paths./x.get.parameters[0].in: the value is not one of",
        ),
        (
            document({"/x": {"get": operation(parameters=[{"name": "a", "in": "path"}])}}, "3.0.1"),
            "paths./x.get.parameters[0]",
        ),
        (document({"/x{y}": {"get": operation()}}), "paths./x{y}: a parameter is a whole segment"),
        (
            document({"/x/{y}": {"get": operation()}}),
            "paths./x/{y}.get: the path's parameter y is not declared",
        ),
        (
            document({"/a/{x}": {"get": operation()}, "/a/{y}": {"get": operation()}}),
            "paths./a/{y}: another path matches the same calls of GET",
        ),
        (
            document({"/x": {"get": operation(parameters=[
                {"name": "a", "in": "query", "style": "deepObject", "schema": {"type": "string"}}
            ])}}),
            "paths./x.get.parameters[0]: deepObject is for objects alone",
        ),
    ],
)  # fmt: skip
def test_what_is_no_usable_document_is_said(text: str, problem: str) -> None:
    assert any(said.startswith(problem) for said in problems(text)), problems(text)


def test_every_problem_is_listed_up_to_a_bound() -> None:
    paths = {
        f"/{n}": {"get": operation(parameters=[{"name": "a", "in": "no"}])} for n in range(200)
    }
    assert len(problems(document(paths))) == 100
    few = problems(document(dict(list(paths.items())[:7])))
    assert len(few) == 14  # of each parameter its place, and that it lacks a schema


def test_yaml_and_json_are_the_same_document() -> None:
    text = document(PATHS)
    assert found(yaml.safe_dump(json.loads(text)), "GET", "/items/7") == "/items/{id}"


# Compiled once


def test_a_document_in_use_is_not_compiled_again() -> None:
    text = document(PATHS)
    first = compile_document(text)
    assert compile_document(str(bytes(text, "ascii"), "ascii")) is first
    assert compile_document(text, closed=True) is not first
    assert compile_document(text + " ") is not first


def test_what_is_not_looked_into_is_said() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    notices = with_body(schema, "application/xml").notices
    assert [str(notice) for notice in notices] == [
        "paths./x.post.requestBody.content.application/xml: content of this type is not looked into"
    ]
    assert with_body({"type": "string", "format": "binary"}, "image/png").notices == ()


def test_an_unknown_path_takes_no_methods() -> None:
    assert compiled(document(PATHS)).find("GET", "/nope") == NotFound(())


# Whatever stands where


DEMO = yaml.safe_load((Path(__file__).parents[3] / "demo" / "orders.yaml").read_text())
_JUNK = st.sampled_from(
    [None, True, 7, -1.5, "", "x", "#/paths", "#/components/schemas/Order", [], {}, [[]], [{}]]
) | st.sampled_from(
    [{"$ref": 5}, {"$ref": "#"}, {"type": [[]]}, {"$schema": []}, {"allOf": 5}, {"enum": {}}]
)
_KEYS = st.sampled_from(
    [
        *("type", "$ref", "items", "properties", "required", "allOf", "anyOf", "not", "format"),
        *("pattern", "const", "dependentSchemas", "patternProperties", "style", "explode", "if"),
        *("in", "name", "content", "encoding", "security", "parameters", "nullable", "schema"),
    ]
)


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [place]
    for key, item in inner:
        if isinstance(item, (dict, list)):
            found += _places(item, (*place, key))
    return found


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["3.0.3", "3.1.0"]))
def test_no_document_is_too_strange_to_be_compiled_or_refused(
    data: st.DataObject, version: str
) -> None:
    changed = copy.deepcopy(DEMO) | {"openapi": version}
    for _ in range(data.draw(st.integers(1, 4))):
        target: Any = changed
        for key in data.draw(st.sampled_from(_places(changed))):
            target = target[key]
        if isinstance(target, dict):
            keys = st.sampled_from(sorted(target)) if target else _KEYS
            target[data.draw(keys | _KEYS)] = copy.deepcopy(data.draw(_JUNK))
        else:
            target.append(copy.deepcopy(data.draw(_JUNK)))
    text = json.dumps(changed)
    for closed in (True, False):
        document_problems(text, closed=closed)
