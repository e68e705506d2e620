"""Which routes an OpenAPI document describes, and which documents are refused."""

import json
import socket

import pytest
import yaml

from apis import openapi
from apis.openapi import DocumentRefused, routes

LAUGHS = "openapi: 3.1.0\na: &a [x, x]\nb: [*a, *a]\n"


def document(paths, version="3.1.0"):
    return yaml.safe_dump({"openapi": version, "info": {"title": "t"}, "paths": paths})


def refused(text):
    with pytest.raises(DocumentRefused) as error:
        routes(text)
    return [str(problem) for problem in error.value.problems]


def found(text):
    return [(route.methods, route.path) for route in routes(text)]


def test_every_operation_is_a_route():
    paths = {
        "/items": {"get": {}, "post": {}, "parameters": [], "summary": "s", "x-note": 1},
        "/items/{id}": {"delete": {"operationId": "deleteItem"}},
        "x-extension": {},
    }
    assert found(document(paths)) == [
        (("GET",), "/items"),
        (("POST",), "/items"),
        (("DELETE",), "/items/{id}"),
    ]


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.1.0", "3.1.1"])
def test_versions_3_0_and_3_1_are_read(version):
    assert len(routes(document({"/": {"get": {}}}, version))) == 1


@pytest.mark.parametrize("version", ["2.0", "3.2.0", "3", "4.0.0", "30.1", None, ["3.1.0"]])
def test_other_versions_are_refused(version):
    problem = "openapi: give an OpenAPI document of version 3.0 or 3.1"
    assert refused(document({"/": {"get": {}}}, version)) == [problem]


def test_json_is_read_too():
    data = {"openapi": "3.0.3", "info": {"title": "😀"}, "paths": {"/x": {"get": {}}}}
    assert found(json.dumps(data)) == [(("GET",), "/x")]
    assert found(json.dumps(data, indent="\t")) == [(("GET",), "/x")]


def test_a_path_may_be_a_reference_within_the_document():
    paths = {"/x": {"$ref": "#/paths/~1y"}, "/y": {"get": {}, "post": {}}}
    assert found(document(paths)) == [
        (("GET",), "/x"),
        (("POST",), "/x"),
        (("GET",), "/y"),
        (("POST",), "/y"),
    ]


def test_a_parameter_of_the_style_matrix_is_a_segment_of_parameters():
    def styled(style):
        return {"name": "id", "in": "path", "style": style}

    item = {
        "parameters": [styled("matrix")],
        "get": {},
        "put": {"parameters": [styled("label")]},
    }
    assert found(document({"/x/{id}/{b}": item})) == [
        (("GET",), "/x/{;id}/{b}"),
        (("PUT",), "/x/{id}/{b}"),
    ]


def test_a_path_that_its_style_makes_too_long_is_refused():
    template = f"/{'x' * 495}/{{i}}"
    item = {"get": {"parameters": [{"name": "i", "in": "path", "style": "matrix"}]}}
    assert refused(document({template: item})) == [
        f"paths.{template}: a path has at most 500 characters"
    ]


@pytest.mark.parametrize(
    ("paths", "problems"),
    [
        ({}, ["paths: the document describes no paths"]),
        ({"/x": {}}, ["paths: the document describes no operations"]),
        ({"x": {"get": {}}}, ["paths.x: a path begins with a slash"]),
        (
            {"/x{y}": {"get": {}}},
            ["paths./x{y}: a parameter is a whole segment: /items/{id}, /files/{path*}"],
        ),
        (
            {"/x/{a}": {"get": {}}, "/x/{b}": {"put": {}}},
            ["paths./x/{b}: it matches the same paths as /x/{a}: keep one of them"],
        ),
        ({"/x": []}, ["paths./x: give a mapping with the operations of this path"]),
        ({"/x": {"get": None}}, ["paths./x.get: give a mapping that describes the operation"]),
        ({"/x": {"GET": {}}}, ["paths./x.GET: unknown key; methods are written in small letters"]),
        (
            {"/x": {"trace": {}}},
            ["paths./x.trace: TRACE is never served by the gateway: leave it out"],
        ),
        (
            {"/" + "x" * 500: {"get": {}}},
            [f"paths./{'x' * 500}: a path has at most 500 characters"],
        ),
        (
            {"/a/../b": {"get": {}}, "/c{": {"get": {}}},
            [
                "paths./a/../b: write the path in its canonical form: /b",
                "paths./c{: a parameter is a whole segment: /items/{id}, /files/{path*}",
            ],
        ),
    ],
)
def test_what_cannot_be_a_route_is_refused(paths, problems):
    assert refused(document(paths)) == problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "line 2: anchors (&name) are not taken: write the value out"),
        ("[1]", "an OpenAPI document is a mapping with openapi, info and paths"),
        ("openapi: 3.1.0", "paths: the document describes no paths"),
        ("a: [", "line 2: not YAML: did not find expected node content"),
        ("[" * 100_000, "line 1: more than 40 levels deep"),
    ],
)
def test_O2_what_is_no_document_is_refused(text, problem):
    assert refused(text) == [problem]


def test_O2_too_many_operations_are_refused():
    paths = {f"/{n}": {"get": {}} for n in range(openapi.MAX_OPERATIONS + 1)}
    assert refused(document(paths)) == ["paths: more than 5000 operations"]


def test_O2_no_reference_is_ever_fetched(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("something was connected to or opened")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr("builtins.open", never)
    for target in ("http://127.0.0.1:1/x.yaml", "file:///etc/passwd", "other.yaml"):
        assert refused(document({"/x": {"$ref": target}})) == [
            "paths./x.$ref: references are followed only within the document: #/components/…"
        ]
    assert refused(document({"/x": {"$ref": "#/x"}})) == [
        "paths./x.$ref: the reference leads nowhere"
    ]
    schema = {"responses": {"200": {"content": {"a/b": {"schema": {"$ref": "http://h/x"}}}}}}
    assert found(document({"/x": {"get": schema}})) == [(("GET",), "/x")]
