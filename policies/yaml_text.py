"""YAML and JSON texts that others wrote, read as if hostile. Pure.

Threat model. A text may try to exhaust memory (aliases that multiply: "billion laughs"), the
stack (depth), or time (size); it may say one thing to a reviewer and another to the program
(a key given twice, ``off`` meaning false, a tag that changes a type). So the parser's events
are walked one by one and values are built from them here:

1. At most ``MAX_BYTES`` bytes, ``MAX_DEPTH`` levels and ``MAX_NODES`` values.
2. No anchors, aliases or tags; one document; every key a text and given once.
3. Plain scalars mean what YAML 1.2 says (core schema): only ``true``, ``false``, ``null``,
   ``~``, nothing, and decimal numbers are not text. ``off``, ``no`` and dates are text.

A text that begins with ``{`` may be JSON, which has escapes that YAML parsers refuse; it is
read by the JSON parser under the same limits if that one accepts it.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from policies.core.config import location

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 200_000

_NULL = frozenset({"", "~", "null"})
_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,4000})\Z")
_FLOAT = re.compile(r"[-+]?[0-9]{1,40}\.[0-9]{0,40}([eE][-+][0-9]{1,3})?\Z")


class TextRefused(ValueError):
    """The text is not read; the message says why and repeats none of its values.

    Keys that are given twice are all listed, one a line.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")


class Reading(NamedTuple):
    """What a text says, and on which line (from 1) each place of it begins."""

    data: Any
    lines: dict[str, int]

    def line(self, path: str) -> int | None:
        """The line of a place such as ``apis[0].routes``, or of what is around it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None


def read(raw: bytes) -> Reading:
    """Read one document. Raises ``TextRefused``."""
    if len(raw) > MAX_BYTES:
        raise TextRefused(f"the text is larger than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextRefused(f"byte {error.start} is not UTF-8") from error
    if text.lstrip().startswith("{"):
        try:
            return Reading(_json(text), {})
        except json.JSONDecodeError:
            pass  # not JSON; a YAML text may begin with a brace as well
    try:
        return _Builder(yaml.parse(text, Loader=yaml.CSafeLoader)).document()
    except yaml.YAMLError as error:
        raise _translated(error) from error


def _translated(error: yaml.YAMLError) -> TextRefused:
    """Without the excerpt that the parser would show: it may be a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "malformed"
    return TextRefused(f"not YAML: {problem}", mark.line + 1 if mark is not None else None)


class _Builder:
    """Builds values from parser events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._lines: dict[str, int] = {}
        self._repeated: list[str] = []
        self._nodes = 0

    def document(self) -> Reading:
        self._next(yaml.StreamStartEvent)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise TextRefused("the text is empty")
        data = self._value(next(self._events), ())
        self._next(yaml.DocumentEndEvent)
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise TextRefused("the text holds more than one document")
        if self._repeated:
            raise TextRefused("\n".join(self._repeated))
        return Reading(data, self._lines)

    def _next(self, kind: type) -> None:
        event = next(self._events)
        if not isinstance(event, kind):
            raise TextRefused("not one YAML document")

    def _value(self, event: Any, place: tuple[int | str, ...]) -> Any:
        line = event.start_mark.line + 1
        self._check(event, len(place), line)
        self._lines.setdefault(location(place), line)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place)
        return self._mapping(place)

    def _check(self, event: Any, depth: int, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise TextRefused("aliases (*name) are not taken: write the value out", line)
        if event.anchor is not None:
            raise TextRefused("anchors (&name) are not taken: write the value out", line)
        if event.tag is not None:
            raise TextRefused("tags (!name) are not taken", line)
        if depth > MAX_DEPTH:
            raise TextRefused(f"more than {MAX_DEPTH} levels deep", line)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TextRefused(f"more than {MAX_NODES} values", line)

    def _sequence(self, place: tuple[int | str, ...]) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, (*place, len(items))))
        return items

    def _mapping(self, place: tuple[int | str, ...]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            self._check(event, len(place), line)
            if not isinstance(event, yaml.ScalarEvent):
                raise TextRefused("a key must be a text", line)
            here = (*place, event.value)
            _storable(event.value, line)
            if event.value in members:
                first = self._lines[location(here)]
                name = location(here)[-100:]
                self._repeated.append(f"line {line}: {name} is given on line {first} already")
            self._lines.setdefault(location(here), line)
            members[event.value] = self._value(next(self._events), here)
        return members


def _scalar(event: yaml.ScalarEvent, line: int) -> Any:
    text: str = event.value
    _storable(text, line)
    if not event.implicit[0]:  # quoted or a block
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _storable(text: str, line: int | None) -> None:
    """Databases take neither NUL nor half of a surrogate pair (which JSON can spell)."""
    if "\0" in text:
        raise TextRefused("NUL characters are not taken", line)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextRefused("a character is only half there", line) from error


def _json(text: str) -> Any:
    try:
        data = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError as error:
        raise TextRefused(f"more than {MAX_DEPTH} levels deep") from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | TextRefused):
            raise
        raise TextRefused("a number has too many digits") from error
    _measure(data)
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TextRefused("a key is given twice in one object")
    return members


def _no_constant(name: str) -> Any:
    raise TextRefused(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise TextRefused("a number is too large")
    return number


def _measure(data: Any) -> None:
    """The limits of the YAML reader, for what the JSON parser built (its own stack is safe)."""
    nodes = 0
    level = [data]
    for depth in range(MAX_DEPTH + 2):
        nodes += len(level)
        if not level or nodes > MAX_NODES or depth > MAX_DEPTH:
            break
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                nodes += len(value)
                below += value.values()
                for key in value:
                    _storable(key, None)
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _storable(value, None)
        level = below
    if nodes > MAX_NODES:
        raise TextRefused(f"more than {MAX_NODES} values")
    if level:
        raise TextRefused(f"more than {MAX_DEPTH} levels deep")
