"""Small OpenAPI documents, and what their one operation says about a request."""

import json
from typing import Any

from policies.core.values import Headers, Request
from policies.http.media_types import media_type
from policies.openapi.compiled import Compiled, Found

Json = dict[str, Any]


def document(paths: Json, version: str = "3.1.0", **more: Any) -> str:
    """A whole document."""
    info = {"title": "t", "version": "1"}
    return json.dumps({"openapi": version, "info": info, "paths": paths, **more})


def operation(**members: Any) -> Json:
    return {"responses": {"200": {"description": "ok"}}, **members}


def compiled(text: str, *, closed: bool = False, answers: bool = False) -> Compiled:
    return Compiled(text, closed=closed, answers=answers)


def with_parameter(
    where: str, schema: Json, name: str = "p", version: str = "3.1.0", **more: Any
) -> Compiled:
    """``GET /x`` (``GET /x/{p}``) with one parameter."""
    parameter = {"name": name, "in": where, "schema": schema, **more}
    if where == "path":
        parameter["required"] = True
    path = "/x/{p}" if where == "path" else "/x"
    return compiled(document({path: {"get": operation(parameters=[parameter])}}, version))


def request(
    path: str = "/x", query: bytes | None = None, fields: list[tuple[bytes, bytes]] | None = None
) -> Request:
    return Request("GET", "h", path, query, Headers(fields or []), "192.0.2.1")


def faults(document: Compiled, asked: Request, *, refuse_unknown: bool = True) -> list[Any]:
    """What is wrong with path, query, headers and cookies: place, name and message."""
    found = document.find(asked.method, asked.path)
    assert isinstance(found, Found)
    judged = found.operation.head_faults(asked, found.segments, refuse_unknown=refuse_unknown)
    return [tuple(fault) for fault in judged]


def with_body(
    schema: Json | None,
    essence: str = "application/json",
    version: str = "3.1.0",
    *,
    closed: bool = False,
    **more: Any,
) -> Compiled:
    """``POST /x`` with content of one type; ``more`` stands beside it in the document."""
    media: Json = {} if schema is None else {"schema": schema}
    media |= {"encoding": more.pop("encoding")} if "encoding" in more else {}
    body = {"content": {essence: media}}
    paths = {"/x": {"post": operation(requestBody=body)}}
    return compiled(document(paths, version, **more), closed=closed)


def body_faults(
    document: Compiled, content: bytes, sent_as: bytes = b"application/json"
) -> list[Any]:
    """What is wrong with a content: name and message."""
    found = document.find("POST", "/x")
    assert isinstance(found, Found)
    named = media_type(sent_as)
    assert named is not None
    assert found.operation.contents is not None
    declared = found.operation.contents.find(named)
    assert declared is not None
    return [(fault.name, fault.message) for fault in declared.faults(content, named)]
