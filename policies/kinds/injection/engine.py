"""The engine: scores signs in the readings of each value.

An ``Engine`` is anything that can say what is wrong with a list of values. ``Scoring`` is ours.
RE2 finds all signs of a class in one pass, in time linear in the text whatever the text is.
Values are read in groups, as the lines of one text: where the signs of a class weigh too little
in a whole group, they do in each of its values. A group with more is divided, down to values.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import re2

from policies.kinds.injection.decode import apart, join, readings, readings_together
from policies.kinds.injection.signs import ALL_SIGNS, THRESHOLD, Class, Sign

_MEMORY = 8 << 20  # bytes, for the states of each automaton, which are made as texts need them
_PARTS = 8  # into which a suspicious group is divided
_ENOUGH = 10  # values with findings, after which no more are looked for
_BREAK = re.compile(b"\r|\n(?!\x1e)(?<!\x1e\n)")  # a line break that separates no values
_weight, _kind = attrgetter("weight"), attrgetter("kind")


class Value(NamedTuple):
    """A text of the request: its place, its name as the client wrote it, and itself."""

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
        """The first findings in the values, none if they are harmless. Linear in their length.

        ``lines``: line breaks have a meaning of their own where the values stand.
        """
        ...


class Automaton:
    """All signs of one class: which of them occur in a text is found in one pass.

    There is one for each class because the states of one for all would multiply.
    """

    def __init__(self, signs: Sequence[Sign]) -> None:
        self.kind: Class = signs[0].kind
        self.signs = tuple(signs)
        self._alone = _compiled_set(signs, "")
        self._together = _compiled_set(signs, "(?m)")

    def hits(self, texts: Sequence[bytes], lines: bool) -> list[Sign]:
        """The signs in the readings of one value."""
        found = [self.signs[number] for number in sorted(self._numbers(self._alone, texts))]
        return found if lines else [sign for sign in found if not sign.lines]

    def may_convict(self, texts: Sequence[bytes]) -> bool:
        """Whether a line of these texts may hold enough, signs of ``lines`` apart."""
        numbers = self._numbers(self._together, texts)
        if not numbers:
            return False
        found = (self.signs[number] for number in numbers)
        weight: int = sum(sign.weight for sign in found if not sign.lines)
        return weight >= THRESHOLD

    def _numbers(self, automaton: re2.Set, texts: Sequence[bytes]) -> set[int]:
        numbers: set[int] = set()
        for text in texts:
            matched = automaton.Match(text)
            if matched:
                numbers.update(matched)
        return numbers


class Scoring:
    """The engine for some classes of attacks. Immutable; one serves every route."""

    def __init__(self, classes: frozenset[Class]) -> None:
        self.automata = tuple(
            Automaton(list(signs)) for kind, signs in groupby(ALL_SIGNS, _kind) if kind in classes
        )

    def inspect(self, values: Sequence[Value], lines: bool) -> list[Finding]:
        if len(values) < 2:
            return [finding for value in values for finding in self.score(value, lines)]
        together = readings_together([value.text for value in values])
        suspects = _suspects(list(map(_encoded, together)), self.automata, lines)
        if not suspects:
            return []
        return self._divided(values, [apart(reading) for reading in together], suspects, lines)

    def score(self, value: Value, lines: bool) -> list[Finding]:
        """The findings in one value."""
        return _scored(value, readings(value.text), self.automata, lines)

    def _divided(
        self,
        values: Sequence[Value],
        columns: list[list[str]],
        suspects: Sequence[Automaton],
        lines: bool,
    ) -> list[Finding]:
        """The findings in values by some automata; in each of ``columns`` one reading of each."""
        found: list[Finding] = []
        guilty = alone = 0
        waiting = [(0, len(values), suspects)]
        while waiting and guilty < _ENOUGH:
            first, end, automata = waiting.pop()
            if end - first == 1:
                alone += 1
                texts = list(dict.fromkeys([column[first] for column in columns]))
                findings = _scored(values[first], texts, automata, lines)
                guilty += bool(findings)
                found += findings
                continue
            group = [_encoded(join(column[first:end])) for column in columns]
            suspects = _suspects(list(dict.fromkeys(group)), automata, lines)
            if suspects:
                size = -(-(end - first) // _PARTS)
                starts = range(first, end, size)
                waiting += [(at, min(at + size, end), suspects) for at in reversed(starts)]
        return found


def _scored(
    value: Value, texts: list[str], automata: Sequence[Automaton], lines: bool
) -> list[Finding]:
    """The findings in the readings of one value."""
    encoded = list(map(_encoded, texts))
    findings = []
    for automaton in automata:
        signs = automaton.hits(encoded, lines)
        score = sum(map(_weight, signs))
        if score >= THRESHOLD:
            said = _explain(max(signs, key=_weight), texts)
            findings.append(Finding(value, automaton.kind, score, said))
    return findings


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@cache
def scoring(classes: frozenset[Class]) -> Scoring:
    """The one engine for these classes: its automata grow with what they meet."""
    return Scoring(classes)


def _suspects(
    texts: Sequence[bytes], automata: Sequence[Automaton], lines: bool
) -> Sequence[Automaton]:
    """Those that may find something in a value of the group whose readings these are."""
    if lines and any(_BREAK.search(text) for text in texts):
        return automata
    return [automaton for automaton in automata if automaton.may_convict(texts)]


def _compiled_set(signs: Sequence[Sign], flags: str) -> re2.Set:
    """``(?m)``: the ends of lines count as those of the text."""
    made = re2.Set.SearchSet(_options())
    for sign in signs:
        made.Add(flags + sign.pattern)
    made.Compile()
    return made


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


def _options() -> re2.Options:
    chosen = re2.Options()
    chosen.max_mem = _MEMORY
    chosen.log_errors = False
    return chosen
