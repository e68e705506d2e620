"""The engine: scores signs in the readings of each value.

An ``Engine`` is anything that can say what is wrong with a list of values. ``Scoring`` is ours:
all signs are one set of patterns that RE2 looks for in one pass, in time linear in the text
whatever the text is. First all values are read as one text: what holds no sign as a whole holds
none in its parts. Only where something was found is each value scored by itself.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple, Protocol
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
    """What was found in which value: its class, its score, and its signs, strongest first."""

    value: Value
    kind: Class
    score: int
    signs: tuple[Sign, ...]

    @property
    def explanation(self) -> str:
        return self.signs[0].says


class Engine(Protocol):
    def inspect(self, values: Sequence[Value], lines: bool) -> list[Finding]:
        """The findings in the values, none if they are harmless. Linear in their length.

        ``lines``: line breaks have a meaning of their own where the values stand.
        """
        ...


class Scoring:
    """The engine for some classes of attacks. Immutable; shared by all calls."""

    def __init__(self, classes: Iterable[Class]) -> None:
        wanted = frozenset(classes)
        self._signs = tuple(sign for sign in ALL_SIGNS if sign.kind in wanted)
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
        hits: set[int] = set()
        for text in readings(value.text):
            hits.update(_matches(self._alone, text))
        found: dict[Class, list[Sign]] = {}
        for hit in sorted(hits):
            sign = self._signs[hit]
            if lines or sign.context == "any":
                found.setdefault(sign.kind, []).append(sign)
        return [
            Finding(value, kind, total, tuple(sorted(signs, key=lambda sign: -sign.weight)))
            for kind, signs in found.items()
            if (total := sum(sign.weight for sign in signs)) >= THRESHOLD
        ]

    def _suspicious(self, values: Sequence[Value], lines: bool) -> bool:
        """False only if no value can reach the threshold."""
        together = readings("\n".join(value.text for value in values))
        if "/*" in together[0] or "/*" in together[-1]:
            return True
        if lines and any("\r" in text or text.count("\n") >= len(values) for text in together):
            return True
        if any(self._hits(text, False) for text in together):
            return True
        return any(from_base64(unquote(value.text)) for value in values)

    def _hits(self, text: str, lines: bool) -> list[int]:
        hits = _matches(self._together, text)
        return hits if lines else [hit for hit in hits if self._signs[hit].context == "any"]


_Automata = tuple[tuple[int, re2.Set], ...]


def _automata(signs: Sequence[Sign], flags: str) -> _Automata:
    """An automaton for each class, and the number of its first sign.

    One for all would be one pass, but its states multiply. ``(?m)``: the ends of lines count as
    those of the text.
    """
    made: list[tuple[int, re2.Set]] = []
    for at, sign in enumerate(signs):
        if at == 0 or sign.kind != signs[at - 1].kind:
            made.append((at, re2.Set.SearchSet(options())))
        made[-1][1].Add(flags + sign.pattern)
    for _, automaton in made:
        automaton.Compile()
    return tuple(made)


def _matches(automata: _Automata, text: str) -> list[int]:
    encoded = text.encode("utf-8", "replace")
    return [first + hit for first, each in automata for hit in each.Match(encoded) or ()]


@cache
def options() -> re2.Options:
    """How every pattern is compiled: for text that is in lower case already."""
    chosen = re2.Options()
    chosen.max_mem = _MEMORY
    chosen.log_errors = False
    return chosen
