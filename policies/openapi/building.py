"""The operations of a document, with all that they need, as the data plane takes them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from policies.core.config import Problem
from policies.http.media_types import MediaType, media_type
from policies.openapi.contents import (
    Content,
    FormMember,
    Read,
    form_value,
    json_value,
    multipart_value,
    text_value,
)
from policies.openapi.document import (
    METHODS,
    Node,
    ReferenceRefused,
    Source,
    problem,
    served_template,
)
from policies.openapi.media import Declared
from policies.openapi.operations import Answer, Operation
from policies.openapi.parameters import Parameter
from policies.openapi.schemas import Schemas
from policies.openapi.shapes import Shape, Shapes
from policies.openapi.styles import STYLES, Serialisation

_NOT_PARAMETERS = frozenset({"accept", "content-type", "authorization"})  # OpenAPI 3.1.1 4.8.12
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_TEXT = Shape(frozenset({"string"}))


class Builder:
    """Makes operations. What is wrong is collected in ``problems``; ``notices`` say what the
    document describes and nobody checks."""

    def __init__(self, source: Source, *, closed: bool, answers: bool) -> None:
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []
        self.schemas = Schemas(source)
        self._source = source
        self._shapes = Shapes(source)
        self._closed = closed
        self._answers = answers
        self._schemes = source.root.child("components").child("securitySchemes")

    def operations(self, template: str, item: Node) -> Iterator[tuple[str, Operation]]:
        """Method and operation, for each of one path."""
        followed = self._follow(item)
        listed = followed.child("parameters")
        shared = self._parameters(listed)
        for name, node in followed.members():
            if name in METHODS and isinstance(node.value, dict):
                path = served_template(self._source, template, (listed, node.child("parameters")))
                yield name.upper(), self._operation(path, node, shared)

    def _operation(self, template: str, node: Node, shared: list[Parameter]) -> Operation:
        own = self._parameters(node.child("parameters"))
        named = {(p.where, p.name): p for p in (*shared, *own)}
        parameters = list(named.values())
        names = {part.strip("{;*}") for part in template.split("/") if part.startswith("{")}
        path = [p for p in parameters if p.where == "path"]
        for parameter in path:
            if parameter.name not in names:
                self._refuse(node, f"the path has no parameter {parameter.name}")
        for name in sorted(names - {p.name for p in path}):
            self._refuse(node, f"the path's parameter {name} is not declared")
        contents, required = self._body(node.child("requestBody"))
        operation = Operation(
            template=template,
            path=tuple(path),
            query=tuple(sorted((p for p in parameters if p.where == "query"), key=_takes_rest)),
            headers=tuple(p for p in parameters if p.where == "header"),
            cookies=tuple(p for p in parameters if p.where == "cookie"),
            known_query=self._credentials(node),
            contents=contents,
            content_required=required,
        )
        return self._with_answers(operation, node.child("responses"))

    # Parameters

    def _parameters(self, node: Node) -> list[Parameter]:
        made = [self._parameter(self._follow(item)) for item in node.items()]
        return [parameter for parameter in made if parameter is not None]

    def _parameter(self, node: Node) -> Parameter | None:
        value = node.value
        if not isinstance(value, dict) or value.get("in") not in STYLES:
            return None  # the document's own schema says what is wrong
        where, name = str(value["in"]), str(value.get("name"))
        if where == "header" and name.lower() in _NOT_PARAMETERS:
            return None
        return self._valued(node, where, name)

    def _valued(self, node: Node, where: str, name: str, *, answer: bool = False) -> Parameter:
        """A parameter, or a header of an answer."""
        value = node.value
        json, inner = self._described(node)
        shape = _TEXT if json or inner is None else self._shapes.of(inner)
        style = str(value.get("style", STYLES[where][0]))
        explode = value.get("explode", style == "form") is True
        how = Serialisation(style, explode, shape.kind)
        wrong = how.problem(where)
        if wrong is not None:
            self._refuse(node, wrong)
        schema = self.schemas.want(inner, answer=answer) if inner is not None else None
        required = value.get("required") is True or where == "path"
        empty = value.get("allowEmptyValue") is True
        return Parameter(where, name, required, how, shape, schema, json, empty)

    def _described(self, node: Node) -> tuple[bool, Node | None]:
        """Whether a parameter is a JSON text, and its schema if it has one that can be asked."""
        if "schema" in node.value:
            return False, node.child("schema")
        for name, media in node.child("content").members():
            named = media_type(name.encode("latin-1", "replace"))
            if named is not None and named.is_json:
                return True, self._schema_of(media)
            self._notice(media, "values of this type are not looked into")
        return False, None

    def _credentials(self, node: Node) -> frozenset[str]:
        """Query parameters that security schemes of the operation stand for."""
        wanted = node.value.get("security", self._source.data.get("security"))
        names = {name for item in _list(wanted) if isinstance(item, dict) for name in item}
        found = set()
        for name in names:
            scheme = self._follow(self._schemes.child(name)).value
            if isinstance(scheme, dict) and scheme.get("in") == "query":
                found.add(str(scheme.get("name")))
        return frozenset(found)

    # Contents

    def _body(self, node: Node) -> tuple[Declared[Content] | None, bool]:
        body = self._follow(node)
        if not isinstance(body.value, dict):
            return None, False
        return self._contents(body.child("content")), body.value.get("required") is True

    def _contents(self, node: Node, *, answer: bool = False) -> Declared[Content]:
        entries: dict[str, Content] = {}
        json: dict[str, Content] = {}  # of ranges: JSON is looked into also where it is one of many
        for name, media in node.members():
            named = media_type(name.encode("latin-1", "replace"))
            if named is None:
                self._refuse(media, "this is no media type")
            elif named.essence not in entries:
                entries[named.essence] = self._content(named.essence, media, answer=answer)
                if "*" in named.essence:
                    json[named.essence] = self._content(_JSON, media, answer=answer)
        return Declared(entries, json)

    def _content(self, essence: str, media: Node, *, answer: bool) -> Content:
        inner = self._schema_of(media)
        read = self._reader(essence, media, inner)
        if read is None and inner is not None and not _is_binary(inner.value):
            self._notice(media, "content of this type is not looked into")
        if read is None or inner is None:
            return Content(None, read)
        schema = self.schemas.want(inner, answer=answer, closed=self._closed and not answer)
        return Content(schema, read)

    def _reader(self, essence: str, media: Node, inner: Node | None) -> Read | None:
        if MediaType(essence).is_json:
            return json_value
        if inner is None:
            return None
        shape = self._shapes.of(inner)
        if essence == _FORM:
            others = FormMember(shape.others) if shape.others is not None else None
            return form_value(self._members(shape, media), others)
        if essence == "multipart/form-data":
            return multipart_value(self._members(shape, media))
        if essence.startswith("text/") and essence != "text/event-stream":
            return None if _is_binary(inner.value) else text_value(shape)
        return None

    def _members(self, shape: Shape, media: Node) -> dict[str, FormMember]:
        encodings = media.child("encoding")
        return {
            name: self._member(member, encodings.child(name))
            for name, member in shape.members.items()
        }

    def _member(self, shape: Shape, encoding: Node) -> FormMember:
        value = encoding.value if isinstance(encoding.value, dict) else {}
        how = None
        if "style" in value or "explode" in value:
            style = str(value.get("style", "form"))
            how = Serialisation(style, value.get("explode", style == "form") is True, shape.kind)
            wrong = how.problem("query")
            if wrong is not None:
                self._refuse(encoding, wrong)
        types = [t.strip().lower() for t in str(value.get("contentType", "")).split(",")]
        return FormMember(shape, how, tuple(t.partition(";")[0].strip() for t in types if t))

    # Answers

    def _with_answers(self, operation: Operation, node: Node) -> Operation:
        responses = {status: self._follow(item) for status, item in node.members()}
        good = [r for status, r in responses.items() if status.startswith("2")]
        offered: list[str] = []
        for response in good or responses.values():
            for name, _ in response.child("content").members():
                named = media_type(name.encode("latin-1", "replace"))
                if named is not None:
                    offered.append(named.essence)
        answers = {}
        if self._answers:
            answers = {status: self._answer(item) for status, item in responses.items()}
        return replace(operation, offered=tuple(dict.fromkeys(offered)), answers=answers)

    def _answer(self, node: Node) -> Answer:
        headers = [
            self._valued(self._follow(item), "header", name, answer=True)
            for name, item in node.child("headers").members()
            if name.lower() != "content-type"
        ]
        content = node.child("content")
        contents = self._contents(content, answer=True) if content.value else None
        return Answer(tuple(headers), contents)

    # Of all

    def _schema_of(self, media: Node) -> Node | None:
        inner = media.child("schema")
        return inner if inner.value is not None else None

    def _follow(self, node: Node) -> Node:
        try:
            return self._source.follow(node)
        except ReferenceRefused as error:
            self._refuse(node.child("$ref"), str(error))
            return Node(node.place, None)

    def _refuse(self, node: Node, message: str) -> None:
        self.problems.append(problem(node.place, message))

    def _notice(self, node: Node, message: str) -> None:
        self.notices.append(problem(node.place, message))


def _takes_rest(parameter: Parameter) -> bool:
    """An object that takes every name that nothing else declares comes last."""
    return parameter.how.spreads and parameter.shape.others is not None


def _is_binary(schema: Any) -> bool:
    """Whether a schema says nothing of a text but that it is one."""
    return isinstance(schema, dict) and (
        schema.get("format") == "binary"
        or "contentMediaType" in schema
        or (
            schema.get("type", "string") == "string"
            and not schema.keys() - {"type", "description", "title", "example"}
        )
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
