"""The parameters of an operation: found in a request, read, and judged by their schemas."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policies.core.values import Headers
from policies.openapi import styles
from policies.openapi.faults import Fault, shown
from policies.openapi.json_content import read_json
from policies.openapi.schemas import Schema
from policies.openapi.shapes import Shape
from policies.openapi.styles import Serialisation, Texts
from policies.openapi.texts import Malformed, decoded

_MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter. ``schema`` is None where the document says nothing of the value;
    ``json`` where the value is a JSON text (``content``) instead of a serialisation."""

    where: str
    name: str
    required: bool
    how: Serialisation
    shape: Shape
    schema: Schema | None
    json: bool = False
    allow_empty: bool = False

    @property
    def key(self) -> bytes:
        """A header's name as the door hands it over."""
        return self.name.lower().encode("latin-1", "replace")

    def judge(self, read: Callable[[], Texts]) -> list[Fault]:
        """What is wrong with the value that ``read`` gives."""
        try:
            texts = read()
        except Malformed as error:
            return [self.fault(str(error))]
        if self.schema is None or (self.allow_empty and texts == ""):
            return []
        if self.json:
            try:
                return self.schema.faults(read_json(str(texts).encode()), self.where, self.name)
            except Malformed as error:
                return [self.fault(str(error))]
        found: list[Fault] = []
        for value in self.shape.readings(texts):
            faults = self.schema.faults(value, self.where, self.name)
            if not faults:
                return []
            found = found or faults
        return found

    def fault(self, message: str) -> Fault:
        return Fault(self.where, self.name, message)


class Pairs:
    """Named values in order, as queries, cookies and forms hold them; each may be taken once."""

    def __init__(self, pairs: Iterable[tuple[str, bytes]], decode: Callable[[bytes], str]) -> None:
        self._values: dict[str, list[bytes]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)
        self._untaken = set(self._values)
        self.decode = decode

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def untaken(self) -> list[str]:
        """The names that nothing declared."""
        return [name for name in self._values if name in self._untaken]

    def take(self, name: str) -> list[bytes]:
        self._untaken.discard(name)
        return self._values.get(name, [])

    def judge(self, parameter: Parameter) -> list[Fault]:
        """What is wrong with a parameter's pairs."""
        how = parameter.how
        members = self.members(parameter.name, how, parameter.shape)
        values = self.take(parameter.name) if members is None else []
        if not values and not members:
            return [parameter.fault(_MISSING)] if parameter.required else []
        if members:
            return parameter.judge(lambda: self.object(parameter.shape, members))
        return parameter.judge(lambda: styles.from_values(how, values, self.decode))

    def members(self, name: str, how: Serialisation, shape: Shape) -> dict[str, list[bytes]] | None:
        """The pairs of an object that stand for its members; None where one pair holds it all."""
        if how.spreads:
            named = {name: self.take(name) for name in shape.members if name in self._values}
            if shape.others is not None:
                named |= {name: self.take(name) for name in self.untaken}
            return named
        if how.style != "deepObject":
            return None
        start = f"{name}["
        found = [n for n in self._values if n.startswith(start) and n.endswith("]")]
        inner = {name: name[len(start) : -1] for name in found}
        plain = {name: key for name, key in inner.items() if not set("[]") & set(key)}
        return {key: self.take(name) for name, key in plain.items()}

    def object(self, shape: Shape, members: dict[str, list[bytes]]) -> Texts:
        """The texts of an object's members. Raises ``Malformed``."""
        texts: dict[str, str | list[str]] = {}
        for name, values in members.items():
            inner = shape.members.get(name) or shape.others
            if inner is not None and inner.kind == "array":
                texts[name] = [self.decode(value) for value in values]
            elif len(values) == 1:
                texts[name] = self.decode(values[0])
            else:
                raise Malformed("a member is given more than once")
        return texts


def query_pairs(raw: bytes) -> list[tuple[str, bytes]]:
    """The pairs of a query or form (URL Standard, 5.1). Raises ``Malformed``."""
    pairs = (part.partition(b"=") for part in raw.split(b"&") if part)
    return [(form_text(name), value) for name, _, value in pairs]


def form_text(raw: bytes) -> str:
    return decoded(raw, plus=True)


def cookie_pairs(headers: Headers) -> list[tuple[str, bytes]]:
    """The pairs of all Cookie lines (RFC 6265 4.2.1). Raises ``Malformed``."""
    pairs = []
    for line in headers.all(b"cookie"):
        for part in line.split(b";"):
            name, _, value = part.strip(b" \t").partition(b"=")
            if name:
                pairs.append((decoded(name), value))
    return pairs


def judge_path(parameters: Iterable[Parameter], segments: dict[str, bytes]) -> list[Fault]:
    """What is wrong with the parameters of a path that matched its template."""
    found: list[Fault] = []
    for parameter in parameters:
        raw = segments[parameter.name]
        found += parameter.judge(
            lambda raw=raw, p=parameter: styles.from_segment(p.how, p.name, raw)  # type: ignore[misc]
        )
    return found


def judge_headers(parameters: Iterable[Parameter], headers: Headers) -> list[Fault]:
    """What is wrong with the declared headers; others are nobody's business."""
    found: list[Fault] = []
    for parameter in parameters:
        lines = headers.all(parameter.key)
        if lines:
            found += parameter.judge(
                lambda lines=lines, p=parameter: styles.from_header(p.how, lines)  # type: ignore[misc]
            )
        elif parameter.required:
            found.append(parameter.fault(_MISSING))
    return found


def judge_query(
    parameters: Iterable[Parameter], raw: bytes, known: frozenset[str], *, refuse_unknown: bool
) -> list[Fault]:
    """What is wrong with a query. ``known`` are names that stand for credentials."""
    try:
        pairs = Pairs(query_pairs(raw), form_text)
    except Malformed as error:
        return [Fault("query", "", str(error))]
    found = [fault for parameter in parameters for fault in pairs.judge(parameter)]
    if refuse_unknown:
        found += [
            Fault("query", shown(name), "is not declared")
            for name in pairs.untaken
            if name not in known
        ]
    return found


def judge_cookies(parameters: Iterable[Parameter], headers: Headers) -> list[Fault]:
    """What is wrong with the declared cookies; others are nobody's business."""
    try:
        pairs = Pairs(cookie_pairs(headers), decoded)
    except Malformed as error:
        return [Fault("cookie", "", str(error))]
    return [fault for parameter in parameters for fault in pairs.judge(parameter)]
