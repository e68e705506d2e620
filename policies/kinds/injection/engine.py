"""The engine: scores signs in the readings of each value.

An ``Engine`` is anything that can say what is wrong with a list of values. ``Scoring`` is ours.
RE2 finds all signs of a table in one pass, in time linear in the text whatever the text is.
Values are decoded and read together, as the lines of one text: where the signs of a class weigh
too little in a whole group, they do in each of its values. A group with more is divided, down to
values, as often as its length allows.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import re2

from policies.kinds.injection.decode import SEPARATOR, readings, readings_together, rows
from policies.kinds.injection.signs import TABLES, THRESHOLD, Class, Sign

_MEMORY = 8 << 20  # bytes, for the states of each automaton, which are made as texts need them
_PARTS = 8  # into which a suspicious group is divided
_ENOUGH = 10  # values with findings, after which no more are looked for
_BREAK = re.compile(b"\r|\n(?!\x1e)(?<!\x1e\n)")  # a line break that separates no values
_FEW = 1000  # groups that may be read after division,
_EACH = 50  # and one more for so many characters
_weight = attrgetter("weight")


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

        ``lines``: line breaks have a meaning of their own where the values stand. Raises
        ``TooDense``.
        """
        ...


class TooDense(ValueError):
    """So many values look suspicious together, and none alone, that they were made to be slow."""


class Table:
    """The signs of one table: which of them occur in a text is found in one pass.

    There is an automaton for each table because the states of one for all would multiply.
    """

    def __init__(self, signs: Sequence[Sign]) -> None:
        self.signs = tuple(signs)
        self._alone = _compiled_set(signs, "").Match
        self._together = _compiled_set(signs, "(?m)").Match

    def hits(self, texts: Sequence[bytes]) -> list[Sign]:
        """The signs in the readings of one value."""
        return self._numbered(map(self._alone, texts))

    def hits_of_lines(self, texts: Sequence[bytes]) -> list[Sign]:
        """The signs in any line of these texts."""
        return self._numbered(map(self._together, texts))

    def _numbered(self, found: Iterable[list[int] | None]) -> list[Sign]:
        numbers = set().union(*filter(None, found))
        return [self.signs[number] for number in sorted(numbers)] if numbers else []


class Automaton(NamedTuple):
    """All signs of one class."""

    kind: Class
    tables: tuple[Table, ...]

    def hits(self, texts: Sequence[bytes], lines: bool) -> list[Sign]:
        """The signs in the readings of one value."""
        found = [sign for table in self.tables for sign in table.hits(texts)]
        return found if lines else [sign for sign in found if not sign.lines]

    def narrowed(self, texts: Sequence[bytes]) -> "Automaton | None":
        """What of it may convict a line of these texts; signs of ``lines`` do not count."""
        weight = 0
        hit: list[Table] = []
        for table in self.tables:
            if found := table.hits_of_lines(texts):
                hit.append(table)
                weight += sum([sign.weight for sign in found if not sign.lines])
        if weight < THRESHOLD:
            return None
        return self if len(hit) == len(self.tables) else Automaton(self.kind, tuple(hit))


# Values from, up to before, and what suspects them.
_Group = tuple[int, int, Sequence[Automaton]]


class Scoring:
    """The engine for some classes of attacks. Immutable; one serves every route."""

    def __init__(self, classes: frozenset[Class]) -> None:
        self.automata = tuple(
            Automaton(kind, tuple(map(Table, tables)))
            for kind, tables in groupby(TABLES, lambda table: table[0].kind)
            if kind in classes
        )

    def inspect(self, values: Sequence[Value], lines: bool) -> list[Finding]:
        if len(values) < 2:
            return [finding for value in values for finding in self.score(value, lines)]
        together = readings_together([value.text for value in values])
        suspects = _suspects(list(map(_encoded, together)), self.automata, lines)
        if not suspects:
            return []
        return _divided(values, rows(together), suspects, lines)

    def score(self, value: Value, lines: bool) -> list[Finding]:
        """The findings in one value."""
        return _scored(value, readings(value.text), self.automata, lines)


def _divided(
    values: Sequence[Value], found: Sequence[bytes], automata: Sequence[Automaton], lines: bool
) -> list[Finding]:
    """The findings by some automata in values that are suspicious together.

    In ``found`` the readings of each, as one text.
    """
    findings: list[Finding] = []
    guilty, left = 0, _FEW + sum(len(value.text) for value in values) // _EACH
    waiting = _parts(0, len(values), automata)
    while waiting and guilty < _ENOUGH:
        first, end, automata = waiting.pop()
        left -= 1
        if not left and findings:
            break
        if not left:
            raise TooDense("the values look like attacks together, and are too many to tell apart")
        group = found[first] if end - first == 1 else SEPARATOR.join(found[first:end])
        suspects = _suspects((group,), automata, lines)
        if not suspects:
            continue
        if end - first > 1:
            waiting += _parts(first, end, suspects)
        elif of_one := _scored(values[first], readings(values[first].text), suspects, lines):
            guilty += 1
            findings += of_one
    return findings


def _parts(first: int, end: int, automata: Sequence[Automaton]) -> list[_Group]:
    """A suspicious group, divided; the first part last."""
    size = -(-(end - first) // _PARTS)
    return [(at, min(at + size, end), automata) for at in reversed(range(first, end, size))]


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
    return [left for automaton in automata if (left := automaton.narrowed(texts))]


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
