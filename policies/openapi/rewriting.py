"""The schemas of a document -> self-contained schemas of one JSON Schema draft.

Theory of operation. Whoever needs a schema asks ``want`` for its name; ``Rewriting.run`` then
writes it, and every schema that it refers to, into one flat mapping in which references are
names. Only keywords that can refuse a value are kept, so ``flat`` holds nothing but assertions.

1. OpenAPI 3.0 becomes draft 4: ``nullable`` adds the type null, and what stands beside a
   ``$ref`` has no effect. OpenAPI 3.1 is JSON Schema 2020-12 as it is.
2. ``int32`` and ``int64`` become bounds. Other formats are left to the validator.
3. A ``readOnly`` property is not required in a request, a ``writeOnly`` one not in an answer.
4. ``closed``: an object schema that says nothing about further members admits none but those
   that it, or what it is composed of, declares.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from policies.core.config import Problem
from policies.openapi.document import Node, Place, ReferenceRefused, Source, problem

BASE = "urn:gatehouse:schemas"
DRAFT_4 = "3.0"  # the version of OpenAPI whose schemas are draft 4

_ANNOTATIONS_THAT_MOVE_REFERENCES = frozenset(
    {"$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"}
)
_DIALECTS = frozenset(
    {
        "https://json-schema.org/draft/2020-12/schema",
        "https://spec.openapis.org/oas/3.1/dialect/base",
        "http://json-schema.org/draft-04/schema#",
    }
)
# Subschemas of the same value, and of values inside it.
_SAME = frozenset({"not", "if", "then", "else"})
_SAME_LISTS = frozenset({"allOf", "anyOf", "oneOf"})
_SAME_MAPS = frozenset({"dependentSchemas"})
_INNER = frozenset(
    {
        *("additionalItems", "additionalProperties", "contains", "items", "propertyNames"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
_INNER_LISTS = frozenset({"prefixItems"})
_INNER_MAPS = frozenset({"patternProperties", "properties"})
_ASSERTIONS = frozenset(
    {
        *("const", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "format"),
        *("maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains"),
        *("minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern"),
        *("required", "type", "uniqueItems"),
    }
)
_OPENS = ("additionalProperties", "patternProperties", "unevaluatedProperties")
_BOUNDS = {"int32": 2**31, "int64": 2**63}


class Use(NamedTuple):
    """For what a schema is used: requests or answers; ``closed`` in three steps: ``no``,
    ``outer`` (a value as a whole), ``part`` (one of several schemas of the same value)."""

    answer: bool = False
    closed: str = "no"

    @property
    def inside(self) -> "Use":
        """For values inside this one."""
        return self if self.closed == "no" else self._replace(closed="outer")

    @property
    def beside(self) -> "Use":
        """For another schema of the same value."""
        return self if self.closed == "no" else self._replace(closed="part")


class Rewriting:
    """Collects what is asked for. Once ``run`` was called, ``flat`` and ``places`` hold it by
    name."""

    def __init__(self, source: Source) -> None:
        self.flat: dict[str, Any] = {}
        self.places: dict[str, Node] = {}
        self.problems: list[Problem] = []
        self.patterns: list[tuple[Place, str]] = []  # every regular expression, with its place
        self._source = source
        self._names: dict[tuple[Any, Use], str] = {}
        self._waiting: list[tuple[Node, Use, str]] = []

    def want(self, node: Node, use: Use) -> str:
        """The name under which a schema will stand in ``flat``."""
        key = (node.place, use)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"s{len(self._names)}"
            self._waiting.append((node, use, name))
        return name

    def run(self) -> None:
        """Write everything that is wanted, and what that refers to."""
        while self._waiting:
            node, use, name = self._waiting.pop()
            self.places[name] = node
            self.flat[name] = self._schema(node, use)

    def _schema(self, node: Node, use: Use) -> Any:
        value = node.value
        if isinstance(value, bool) and self._source.version != DRAFT_4:
            return value
        if not isinstance(value, dict):
            if isinstance(value, bool):  # additionalProperties and the like
                return value
            self._refuse(node, "give a schema")
            return True
        if "$ref" in value and self._source.version == DRAFT_4:
            return self._reference(node, use)
        self._check_names(node)
        written: dict[str, Any] = {}
        for key, child in ((key, node.child(key)) for key in value):
            self._member(written, key, child, use)
        if "$ref" in value:
            written |= self._reference(node, use.beside)
        self._finish(written, node, use)
        return self._closed(written, node) if use.closed == "outer" else written

    def _check_names(self, node: Node) -> None:
        for name in sorted(_ANNOTATIONS_THAT_MOVE_REFERENCES & node.value.keys()):
            self._refuse(node.child(name), "name schemas by their place: #/components/schemas/…")
        if str(node.value.get("$schema", "")) not in {"", *_DIALECTS}:
            self._refuse(node.child("$schema"), "this dialect of JSON Schema is not known")

    def _member(self, written: dict[str, Any], key: str, child: Node, use: Use) -> None:
        value = child.value
        if key in _ASSERTIONS:
            written[key] = value
            if key == "pattern" and isinstance(value, str):
                self.patterns.append((child.place, value))
        elif key in _SAME:
            written[key] = self._schema(child, use.beside)
        elif key in _SAME_LISTS:
            written[key] = [self._schema(item, use.beside) for item in self._list(child)]
        elif key in _SAME_MAPS:
            written[key] = self._mapping(child, use.beside)
        elif key in _INNER_LISTS or (key == "items" and isinstance(value, list)):
            written[key] = [self._schema(item, use.inside) for item in self._list(child)]
        elif key in _INNER:
            written[key] = self._schema(child, use.inside)
        elif key in _INNER_MAPS:
            written[key] = self._mapping(child, use.inside)
            if key == "patternProperties":
                self.patterns += [((*child.place, name), name) for name in _keys(value)]
        elif key == "dependencies":
            written[key] = {
                name: item.value if isinstance(item.value, list) else self._schema(item, use.beside)
                for name, item in self._pairs(child)
            }

    def _mapping(self, node: Node, use: Use) -> dict[str, Any]:
        return {name: self._schema(item, use) for name, item in self._pairs(node)}

    def _pairs(self, node: Node) -> Iterator[tuple[str, Node]]:
        if not isinstance(node.value, dict):
            self._refuse(node, "give a mapping of schemas")
            return
        for name in node.value:
            yield name, node.child(name)

    def _list(self, node: Node) -> Iterator[Node]:
        if not isinstance(node.value, list):
            self._refuse(node, "give a list of schemas")
        return node.items()

    def _reference(self, node: Node, use: Use) -> dict[str, Any]:
        try:
            target = self._source.target(node.value["$ref"])
        except ReferenceRefused as error:
            self._refuse(node.child("$ref"), str(error))
            return {}
        return {"$ref": f"{BASE}#/{self.want(target, use)}"}

    def _finish(self, written: dict[str, Any], node: Node, use: Use) -> None:
        bound = _BOUNDS.get(str(written.get("format")))
        if bound is not None:
            limits = {"minimum": -bound, "maximum": bound - 1}
            written["allOf"] = [*written.get("allOf", ()), limits]
        may_be_null = self._source.version == DRAFT_4 and node.value.get("nullable") is True
        if may_be_null and isinstance(written.get("type"), str):
            written["type"] = [written["type"], "null"]
        if isinstance(written.get("required"), list):
            marked = "writeOnly" if use.answer else "readOnly"
            kept = [name for name in written["required"] if not self._marked(node, name, marked)]
            written["required"] = kept
            if not kept:  # draft 4 has no empty list
                del written["required"]

    def _marked(self, node: Node, name: Any, mark: str) -> bool:
        """Whether the property ``name`` is read-only or write-only."""
        if not isinstance(name, str):
            return False
        declared = node.child("properties").child(name)
        try:
            followed = self._source.follow(declared).value
        except ReferenceRefused:
            return False  # reported where the reference stands
        return any(
            isinstance(item, dict) and item.get(mark) is True for item in (declared.value, followed)
        )

    def _closed(self, written: dict[str, Any], node: Node) -> dict[str, Any]:
        names: set[str] = set()
        if not self._declares(node, names, []) or not names:
            return written
        closing = {"properties": {name: {} for name in names}, "additionalProperties": False}
        return {"allOf": [written, closing]}

    def _declares(self, node: Node, names: set[str], seen: list[Any]) -> bool:
        """Collects the members that a schema declares; False when it speaks of further ones."""
        value = node.value
        if not isinstance(value, dict) or node.place in seen:
            return True
        seen.append(node.place)
        if any(key in value for key in _OPENS):
            return False
        names.update(_keys(value.get("properties")))
        parts = [part for key in _SAME_LISTS for part in node.child(key).items()]
        parts += [node.child(key) for key in ("then", "else")]
        dependent = node.child("dependentSchemas")
        parts += [dependent.child(name) for name in _keys(dependent.value)]
        if "$ref" in value:
            try:
                parts.append(self._source.target(value["$ref"]))
            except ReferenceRefused:
                return True  # reported where the reference is written
        declares = [self._declares(part, names, seen) for part in parts]  # of every one
        return all(declares)

    def _refuse(self, node: Node, message: str) -> None:
        self.problems.append(problem(node.place, message))


def _keys(mapping: Any) -> tuple[str, ...]:
    return tuple(mapping) if isinstance(mapping, dict) else ()
