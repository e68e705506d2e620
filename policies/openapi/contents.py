"""Bodies of the media types that can be looked into: JSON, forms, and plain text.

What is of any other type is taken as it is: only its type is checked, and it is never held back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from policies.http.media_types import MediaType, media_type
from policies.openapi import styles
from policies.openapi.faults import Fault, shown
from policies.openapi.json_content import read_json
from policies.openapi.multipart import Part, parts_of
from policies.openapi.parameters import Pairs, form_text, query_pairs
from policies.openapi.schemas import Schema
from policies.openapi.shapes import Shape
from policies.openapi.styles import Serialisation
from policies.openapi.texts import Malformed

WHERE = "body"
_UTF8 = frozenset({"", "utf-8", "us-ascii"})

Read = Callable[[bytes, MediaType], Any]


class FormMember(NamedTuple):
    """How one member of a form is written: ``how`` as pairs, ``types`` as a part."""

    shape: Shape
    how: Serialisation | None = None
    types: tuple[str, ...] = ()


class _Faulty(Exception):
    """A form whose members are wrong before its schema is asked."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__()
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Content:
    """Content of one declared type. ``read`` makes a value of it; None where nothing can be read
    or nothing is said about it."""

    schema: Schema | None = None
    read: Read | None = None

    @property
    def held(self) -> bool:
        """Whether it must be seen whole."""
        return self.read is not None

    def faults(self, content: bytes, named: MediaType) -> list[Fault]:
        """Everything that is wrong with it; ``named`` is what its sender calls it."""
        if self.read is None:
            return []
        try:
            value = self.read(content, named)
        except Malformed as error:
            return [Fault(WHERE, "", str(error))]
        except _Faulty as error:
            return error.faults
        return self.schema.faults(value, WHERE) if self.schema is not None else []


def json_value(content: bytes, named: MediaType) -> Any:
    """Raises ``Malformed``."""
    if named.charset not in _UTF8:
        raise Malformed("JSON is written in UTF-8")  # RFC 8259 8.1
    return read_json(content)


def text_value(shape: Shape) -> Read:
    """Reads a text as what its schema takes a text for."""

    def read(content: bytes, named: MediaType) -> Any:
        if named.charset not in _UTF8:
            raise Malformed("only texts in UTF-8 are read")
        try:
            return shape.typed(content.decode())
        except UnicodeDecodeError:
            raise Malformed("the text is not UTF-8") from None

    return read


def form_value(members: dict[str, FormMember], others: FormMember | None) -> Read:
    """Reads ``application/x-www-form-urlencoded`` as an object."""

    def read(content: bytes, named: MediaType) -> dict[str, Any]:
        pairs = Pairs(query_pairs(content), form_text)
        value: dict[str, Any] = {}
        faults: list[Fault] = []
        for name, member in members.items():
            try:
                _read_member(pairs, name, member, value)
            except Malformed as error:
                faults.append(_at(name, str(error)))
        for name in pairs.untaken:
            try:
                _read_member(pairs, name, others or _ANY, value)
            except Malformed as error:
                faults.append(_at(shown(name), str(error)))
        if faults:
            raise _Faulty(faults)
        return value

    return read


_ANY = FormMember(Shape(frozenset({"string"})))


def _read_member(pairs: Pairs, name: str, member: FormMember, value: dict[str, Any]) -> None:
    shape = member.shape
    how = member.how or Serialisation("form", explode=True, kind=shape.kind)
    spread = pairs.members(name, how, shape) if member.how is not None else None
    if spread is not None:
        if spread:
            value[name] = shape.typed(pairs.object(shape, spread))
        return
    values = pairs.take(name)
    if not values:
        return
    if member.how is None and shape.kind == "object":
        if len(values) != 1:
            raise Malformed("it is given more than once")
        value[name] = read_json(form_text(values[0]).encode())
        return
    value[name] = shape.typed(styles.from_values(how, values, form_text))


def multipart_value(members: dict[str, FormMember]) -> Read:
    """Reads ``multipart/form-data`` as an object."""

    def read(content: bytes, named: MediaType) -> dict[str, Any]:
        value: dict[str, Any] = {}
        faults: list[Fault] = []
        for part in parts_of(content, named.boundary):
            try:
                _read_part(part, members.get(part.name, _ANY), value)
            except Malformed as error:
                name = part.name if part.name in members else shown(part.name)
                faults.append(_at(name, str(error)))
        if faults:
            raise _Faulty(faults)
        return value

    return read


def _read_part(part: Part, member: FormMember, value: dict[str, Any]) -> None:
    shape = member.shape
    repeats = shape.kind == "array"
    if part.name in value and not repeats:
        raise Malformed("it is given more than once")
    named = media_type(part.content_type) if part.content_type else MediaType("text/plain")
    if named is None:
        raise Malformed("its content type is malformed")
    if member.types and not any(covers(item, named.essence) for item in member.types):
        raise Malformed("its content type is not one of those that are declared")
    inner = (shape.items or _ANY.shape) if repeats else shape
    item: Any
    # What a part is read as is the document's word, never its sender's.
    if inner.kind == "object" or any(MediaType(item).is_json for item in member.types):
        item = json_value(part.content, named)
    elif part.file:
        item = part.content.decode("latin-1")  # bytes: as many characters
    else:
        item = text_value(inner)(part.content, named)
    if repeats:
        value.setdefault(part.name, []).append(item)
    else:
        value[part.name] = item


def covers(media_range: str, essence: str) -> bool:
    """Whether a range (``*/*``, ``text/*``, ``text/plain``) covers a type (RFC 9110 12.5.1)."""
    if media_range in ("*/*", essence):
        return True
    kind, _, subtype = media_range.partition("/")
    return subtype == "*" and essence.partition("/")[0] == kind


def _at(name: str, message: str) -> Fault:
    return Fault(WHERE, "/" + name.replace("~", "~0").replace("/", "~1"), message)
