"""Schemas of a document, compiled with jsonschema-rs.

All that a document needs are compiled as one: a schema whose property ``s7`` is the schema ``s7``,
asked with ``{"s7": value}``. Compiling each by itself would compile what they share again and
again (50 ms each where 2,000 schemas refer to each other); asking costs 0.1 µs more.

Nothing is fetched (there is a registry of this document's schemas and a retriever that refuses),
regular expressions run in linear time (the engine has neither look-around nor back-references,
and a pattern that is too large is refused), and formats are asserted.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs

from policies.core.config import Problem
from policies.openapi.document import Node, Source, place_in, problem
from policies.openapi.faults import Fault, bounded, pointer
from policies.openapi.formats import FORMATS_4, FORMATS_2020, Check
from policies.openapi.metaschema import complaint
from policies.openapi.rewriting import BASE, DRAFT_4, Rewriting, Use
from policies.openapi.weight import TooHeavy, Weights

MAX_LISTED = 2000
"""Values that a text may hold for all its faults to be listed. The validator makes every complaint
before it gives the first: a megabyte of wrong numbers would cost seconds of everybody's time."""

_PATTERN_BYTES = 1024 * 1024  # of one compiled regular expression
_MASK = "the value"
_SAID = {
    "falseSchema": "nothing is allowed here",
    "not": "the value is one that is not allowed here",
    "anyOf": "the value has none of the forms that are allowed here",
    "oneOf": "the value has none of the forms that are allowed here, or more than one",
    "oneOfNotValid": "the value has none of the forms that are allowed here",
    "oneOfMultipleValid": "the value has more than one of the forms that are allowed here",
    "propertyNames": "a member has a name that is not allowed here",
}
_BAD_PATTERN = (
    "the regular expression is malformed or too large, or needs look-around or back-references, "
    "which do not run in linear time"
)


def _never(uri: str) -> Any:
    raise LookupError("references out of the document are not followed")


_OPTIONS: dict[str, Any] = {
    "retriever": _never,
    "pattern_options": jsonschema_rs.RegexOptions(
        size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
    ),
    "mask": _MASK,
    "validate_formats": True,
}


class Schema:
    """One schema, usable once ``Schemas.compile`` was called."""

    __slots__ = ("_all", "_name")

    def __init__(self, name: str, schemas: "Schemas") -> None:
        self._name = name
        self._all = schemas

    def faults(self, value: Any, where: str, name: str = "") -> list[Fault]:
        """Everything that is wrong with a value."""
        asked = {self._name: value}
        if self._all.compiled.is_valid(asked):
            return []
        found = bounded(self._found(asked, where, name))
        return found or [Fault(where, name, "the value is not allowed here")]

    def _found(self, asked: dict[str, Any], where: str, name: str) -> Iterator[Fault]:
        errors, all_of_them = self._errors(asked)
        for error in errors:
            yield from self._said(error, where, name)
        if not all_of_them:
            yield Fault(where, name, "further faults of so large a value are not listed")

    def _errors(self, asked: dict[str, Any]) -> tuple[Iterable[Any], bool]:
        """What the validator complains of, and whether that is all."""
        if _holds_at_most(MAX_LISTED, asked):
            return self._all.compiled.iter_errors(asked), True
        try:
            self._all.compiled.validate(asked)
        except jsonschema_rs.ValidationError as error:
            return [error], False
        return [], False

    def _said(self, error: Any, where: str, name: str) -> Iterator[Fault]:
        known, kind, path = self._all.known, error.kind, error.instance_path[1:]
        if kind.name == "required":
            yield Fault(where, name + pointer([*path, kind.property], known), "is missing")
        elif kind.name in ("additionalProperties", "unevaluatedProperties"):
            for member in kind.unexpected:
                yield Fault(where, name + pointer([*path, member], known), "is not declared")
        else:
            message = _SAID.get(kind.name) or str(error.message)
            yield Fault(where, name + pointer(path, known), message)


class Schemas:
    """All schemas that the operations of one document need."""

    def __init__(self, source: Source) -> None:
        self._rewriting = Rewriting(source)
        self._draft4 = source.version == DRAFT_4
        self._wanted: set[str] = set()
        self.known = frozenset(_property_names(source.data))
        self.compiled: Any = None

    def want(self, node: Node, *, answer: bool = False, closed: bool = False) -> Schema:
        """A schema of the document, ready once ``compile`` was called."""
        name = self._rewriting.want(node, Use(answer, "outer" if closed else "no"))
        self._wanted.add(name)
        return Schema(name, self)

    def compile(self) -> list[Problem]:
        """Compile everything that is wanted; what is wrong with it."""
        rewriting = self._rewriting
        rewriting.run()
        problems = [*rewriting.problems, *self._malformed()] or self._heavy()
        if problems:
            return problems
        wanted = {name: {"$ref": f"{BASE}#/{name}"} for name in self._wanted}
        draft, kind, formats = _DRAFT_4 if self._draft4 else _DRAFT_2020
        base = [(BASE, rewriting.flat)]
        try:
            registry = jsonschema_rs.Registry(base, draft=draft, retriever=_never)
            self.compiled = kind(
                {"properties": wanted}, registry=registry, formats=formats, **_OPTIONS
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            return [problem((), f"the schemas cannot be compiled: {str(error)[:300]}")]
        return []

    def _malformed(self) -> Iterator[Problem]:
        """What is no schema, and patterns that are not run."""
        meta = _META_4 if self._draft4 else _META_2020
        for name, schema in self._rewriting.flat.items():
            place = self._rewriting.places[name].place
            for error in meta.iter_errors(schema):
                if error.kind.name == "format":
                    continue  # of a pattern, which is judged below
                path, message = complaint(error)
                where = (*place, *place_in(schema, path))
                yield problem(where, f"not a valid schema: {message}")
        runs = {pattern: _runs(pattern) for _, pattern in self._rewriting.patterns}
        for place, pattern in self._rewriting.patterns:
            if not runs[pattern]:
                yield problem(place, _BAD_PATTERN)

    def _heavy(self) -> list[Problem]:
        weights = Weights(self._rewriting.flat)
        for name, node in self._rewriting.places.items():
            try:
                weights.of(name)
            except TooHeavy as error:
                return [problem(node.place, str(error))]
        return []


_Draft = tuple[int, type[Any], dict[str, Check]]
_DRAFT_4: _Draft = (jsonschema_rs.Draft4, jsonschema_rs.Draft4Validator, FORMATS_4)
_DRAFT_2020: _Draft = (jsonschema_rs.Draft202012, jsonschema_rs.Draft202012Validator, FORMATS_2020)
_META_4 = jsonschema_rs.Draft4Validator(
    {"$ref": "http://json-schema.org/draft-04/schema#"}, mask=_MASK, offline=True
)
_META_2020 = jsonschema_rs.Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}, mask=_MASK, offline=True
)


def _runs(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, **_OPTIONS)
    except ValueError:
        return False
    return True


def _property_names(value: Any) -> Iterator[str]:
    """The names of members that a document declares anywhere."""
    if isinstance(value, list):
        for item in value:
            yield from _property_names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "properties" and isinstance(item, dict):
                yield from item
            yield from _property_names(item)


def _holds_at_most(count: int, value: Any) -> bool:
    """Whether a value is made of no more than so many values."""
    waiting = [value]
    while waiting:
        count -= 1
        if count + 1 < len(waiting):
            return False
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return True
