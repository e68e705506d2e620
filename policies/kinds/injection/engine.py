"""The engine: scores signs in the readings of each value.

An ``Engine`` is anything that can say what is wrong with a list of values. ``Scoring`` is ours.
RE2 looks for all signs of a class in one pass, in time linear in the text whatever the text is.
First all values are read as one text: what holds no sign as a whole holds none in its parts.
Only where something was found, or might be hidden, is each value scored by itself.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

import re2

from policies.kinds.injection.decode import from_base64, readings
from policies.kinds.injection.signs import ALL_SIGNS, THRESHOLD, Class, Sign

_MEMORY = 8 << 20  # bytes, for the states of each automaton, which are made as texts need them
_SHORTEST = 2  # characters below which no value holds an attack


class Value(NamedTuple):
    """A text of the request: its place, its name (empty if it cannot be said) and itself."""

    place: str
    name: str
    text: str


class Finding(NamedTuple):
    """What was found in a value. ``explanation`` says what and where, and repeats no part of it."""

    value: Value
    kind: Class
    score: int
    explanation: str


class Engine(Protocol):
    def inspect(self, values: Sequence[Value], lines: bool) -> list[Finding]:
        """The findings in the values, none if they are harmless. Linear in their length.

        ``lines``: line breaks have a meaning of their own where the values stand.
        """
        ...


class Scoring:
    """The engine for some classes of attacks. Immutable; one serves every route."""

    def __init__(self, classes: frozenset[Class]) -> None:
        self._signs = tuple(sign for sign in ALL_SIGNS if sign.kind in classes)
        self._alone = _automata(self._signs, "")
        self._together = _automata(self._signs, "(?m)")

    def inspect(self, values: Sequence[Value], lines: bool) -> list[Finding]:
        if len(values) > 1 and not self._suspicious(values, lines):
            return []
        return [finding for value in values for finding in self.score(value, lines)]

    def score(self, value: Value, lines: bool) -> list[Finding]:
        """The findings in one value."""
        if len(value.text) < _SHORTEST:
            return []
        texts = readings(value.text)
        hits = {hit for text in texts for hit in _matches(self._alone, text)}
        found: dict[Class, list[Sign]] = {}
        for hit in sorted(hits):
            sign = self._signs[hit]
            if lines or not sign.lines:
                found.setdefault(sign.kind, []).append(sign)
        return [
            Finding(value, kind, score, _explain(max(signs, key=_weight), texts))
            for kind, signs in found.items()
            if (score := sum(map(_weight, signs))) >= THRESHOLD
        ]

    def _suspicious(self, values: Sequence[Value], lines: bool) -> bool:
        """False only if no value can reach the threshold."""
        together = readings("\n".join(value.text for value in values))
        if "/*" in together[0] or "/*" in together[-1]:  # a comment may swallow the next value
            return True
        if lines and any("\r" in text or text.count("\n") >= len(values) for text in together):
            return True
        if any(not self._signs[hit].lines for t in together for hit in _matches(self._together, t)):
            return True
        return any(from_base64(unquote(value.text)) for value in values)


@cache
def scoring(classes: frozenset[Class]) -> Scoring:
    """The one engine for these classes: its automata grow with what they meet."""
    return Scoring(classes)


_Automata = tuple[tuple[int, re2.Set], ...]


def _automata(signs: Sequence[Sign], flags: str) -> _Automata:
    """An automaton for each class, and the number of its first sign.

    One for all would be one pass, but its states multiply. ``(?m)``: the ends of lines count as
    those of the text.
    """
    made: list[tuple[int, re2.Set]] = []
    for at, sign in enumerate(signs):
        if at == 0 or sign.kind != signs[at - 1].kind:
            made.append((at, re2.Set.SearchSet(_options())))
        made[-1][1].Add(flags + sign.pattern)
    for _, automaton in made:
        automaton.Compile()
    return tuple(made)


def _matches(automata: _Automata, text: str) -> list[int]:
    encoded = text.encode("utf-8", "replace")
    return [first + hit for first, each in automata for hit in each.Match(encoded) or ()]


def _options() -> re2.Options:
    chosen = re2.Options()
    chosen.max_mem = _MEMORY
    chosen.log_errors = False
    return chosen


def _weight(sign: Sign) -> int:
    return sign.weight


def _explain(sign: Sign, texts: list[str]) -> str:
    """Which sign, where in the value, and whether it shows only once the value is decoded."""
    pattern = _compiled(sign.pattern)
    for number, text in enumerate(texts):
        match = pattern.search(text)
        if match is not None:
            where = f"at character {match.start() + 1}"
            return f"{sign.says}, {where}" + (" once decoded" if number else "")
    return sign.says


@cache
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _options())
