"""What a schema expects where only texts can stand: texts of which types, lists, or mappings.

A parameter's texts become values before its schema judges them, so the schema is asked first what
it expects: through references, ``allOf`` (both), ``anyOf`` and ``oneOf`` (either). What it does
not say is a text. Only as deep as serialisations go: a mapping of lists of texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from policies.openapi.document import Node, Place, ReferenceRefused, Source
from policies.openapi.styles import Texts
from policies.openapi.texts import scalar

SCALARS = frozenset({"string", "integer", "number", "boolean"})
_ALL = SCALARS | {"array", "object", "null"}
_MAX_PIECES = 1000
_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """``others`` is the shape of members that are not declared, None when there are none."""

    types: frozenset[str]
    items: "Shape | None" = None
    members: dict[str, "Shape"] = field(default_factory=dict)
    others: "Shape | None" = None

    @property
    def kind(self) -> str:
        """How it is written: as a text where it may be one, as an array, as an object."""
        if self.types & SCALARS or not self.types & {"array", "object"}:
            return "text"
        return "array" if "array" in self.types else "object"

    def readings(self, texts: Texts) -> Iterator[Any]:
        """The values that texts may mean, the likeliest first."""
        typed = self.typed(texts)
        yield typed
        if typed != texts:
            yield texts

    def typed(self, texts: Texts) -> Any:
        """The likeliest value."""
        if isinstance(texts, str):
            return scalar(texts, self.types)
        if isinstance(texts, list):
            inner = self.items or _TEXT
            return [inner.typed(text) for text in texts]
        return {
            name: (self.members.get(name) or self.others or _TEXT).typed(text)
            for name, text in texts.items()
        }


_TEXT = Shape(frozenset({"string"}))


class Shapes:
    """The shapes of one document's schemas, each found once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._shapes: dict[tuple[Place, int], Shape] = {}
        self._types: dict[Place, frozenset[str]] = {}

    def of(self, node: Node, depth: int = _DEPTH) -> Shape:
        """The shape that a schema expects."""
        key = (node.place, depth)
        if key not in self._shapes:
            self._shapes[key] = self._shape(node, depth)
        return self._shapes[key]

    def _shape(self, node: Node, depth: int) -> Shape:
        types = self._types_of(node)
        if depth == 0:
            return Shape(types)
        pieces = list(self._pieces(node, set()))
        items = [piece.child("items") for piece in pieces if "items" in piece.value]
        members: dict[str, list[Node]] = {}
        for piece in pieces:
            declared = piece.child("properties")
            for name in declared.value if isinstance(declared.value, dict) else ():
                members.setdefault(name, []).append(declared.child(name))
        others = [piece.child("additionalProperties") for piece in pieces if _opens(piece)]
        found = {name: self._either(nodes, depth) for name, nodes in members.items()}
        return Shape(
            types,
            self._either(items, depth) if items else None,
            found,
            self._either(others, depth) if others else None,
        )

    def _either(self, nodes: list[Node], depth: int) -> Shape:
        """The shape of what may be any of some schemas."""
        shapes = [self.of(node, depth - 1) for node in nodes]
        types = frozenset(name for shape in shapes for name in shape.types)
        return replace(shapes[0], types=types)

    def _pieces(self, node: Node, seen: set[Place]) -> Iterator[Node]:
        """A schema and all that it is composed of."""
        value = node.value
        if not isinstance(value, dict) or node.place in seen or len(seen) > _MAX_PIECES:
            return
        seen.add(node.place)
        if "$ref" in value:
            yield from self._pieces(self._target(value["$ref"]), seen)
        yield node
        for key in ("allOf", "anyOf", "oneOf"):
            for part in node.child(key).items():
                yield from self._pieces(part, seen)

    def _types_of(self, node: Node) -> frozenset[str]:
        """The types of the values that a schema admits, as far as it says."""
        if not isinstance(node.value, dict):
            return _ALL
        if node.place not in self._types:
            self._types[node.place] = _ALL  # for a schema that is composed of itself
            self._types[node.place] = self._composed(node)
        return self._types[node.place]

    def _composed(self, node: Node) -> frozenset[str]:
        types = _said(node.value)
        if "$ref" in node.value:
            types &= self._types_of(self._target(node.value["$ref"]))
        for part in node.child("allOf").items():
            types &= self._types_of(part)
        for key in ("anyOf", "oneOf"):
            parts = [self._types_of(part) for part in node.child(key).items()]
            if parts:
                types &= frozenset().union(*parts)
        return types

    def _target(self, reference: Any) -> Node:
        try:
            return self._source.target(reference)
        except ReferenceRefused:
            return Node((), None)  # reported where the reference stands


def _opens(node: Node) -> bool:
    """Whether a schema says which members it takes beside those that it declares."""
    return node.value.get("additionalProperties") not in (None, False)


def _said(value: dict[str, Any]) -> frozenset[str]:
    said = value.get("type")
    if isinstance(said, (str, list)):
        names = frozenset([said] if isinstance(said, str) else (n for n in _ALL if n in said))
        return names | {"integer"} if "number" in names else names
    constants = [*_listed(value.get("enum")), *([value["const"]] if "const" in value else [])]
    if constants:
        return frozenset(map(_type_of, constants))
    if "properties" in value or "additionalProperties" in value:
        return frozenset({"object"})
    return frozenset({"array"}) if "items" in value else _ALL


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _target(source: Source, reference: Any) -> Node:
    try:
        return source.target(reference)
    except ReferenceRefused:
        return Node((), None)  # reported where the reference stands
