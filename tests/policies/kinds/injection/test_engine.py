"""The engine: linear, the same together and alone, and no sign that its automata miss."""

import re
from random import Random
from time import process_time

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from policies.kinds.injection import Injection, InjectionConfig
from policies.kinds.injection.decode import readings
from policies.kinds.injection.engine import Scoring, TooDense, Value, scoring
from policies.kinds.injection.signs import ALL_SIGNS, THRESHOLD, Class
from tests.policies.kinds.injection.benign.generate import read
from tests.policies.kinds.injection.hostile import BODIES, MIB, PIECES, TEXTS, inspect

CLASSES = frozenset(sign.kind for sign in ALL_SIGNS)

texts = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


@pytest.fixture(scope="module")
def engine() -> Scoring:
    return scoring(CLASSES)


def values(*found: str) -> list[Value]:
    return [Value("query", "q", text) for text in found]


@given(st.lists(texts, min_size=2, max_size=4), st.booleans())
@example(["AND 7=(/*", ""], False)  # a comment that runs to the end of a value, not beyond
def test_O4_reading_all_values_together_overlooks_nothing(found: list[str], lines: bool) -> None:
    engine = scoring(CLASSES)
    alone = [finding for value in values(*found) for finding in engine.score(value, lines)]
    assert engine.inspect(values(*found), lines) == alone


def test_the_automata_find_what_each_pattern_finds(engine: Scoring) -> None:
    rng = Random(7)
    patterns = [(sign, re2.compile(sign.pattern)) for sign in ALL_SIGNS]
    for _ in range(400):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40))).lower()
        found = [s for each in engine.automata for s in each.hits([text.encode()], lines=True)]
        assert found == [sign for sign, each in patterns if each.search(text)], text


SLOW = [name for name in BODIES if not name.endswith(("XML", "form"))] + ["halves, XML"]


@pytest.mark.parametrize("name", SLOW)
def test_O4_the_time_grows_with_the_length_and_not_faster(name: str) -> None:
    """Eight times the body, up to 1 MiB, takes about eight times as long (64 if quadratic)."""
    policy = Injection(InjectionConfig(), None)  # type: ignore[arg-type]

    def cost(size: int) -> float:
        body = BODIES[name](size)
        spent = []
        for _ in range(5):
            before = process_time()
            inspect(policy, *body)
            spent.append(process_time() - before)
        return min(spent)

    assert cost(MIB) < 28 * max(cost(MIB // 8), 0.0005)


def test_O4_what_a_text_decodes_to_is_at_most_a_small_multiple_of_it() -> None:
    for name, text in TEXTS.items():
        whole = text(10_000)
        for reading in readings(whole):
            assert len(reading.encode()) <= 2 * len(whole.encode()), name


HALVES = ["case when 1 then", "select a from b"]  # three points, and two


def test_O4_values_that_are_suspicious_together_are_told_apart(engine: Scoring) -> None:
    """Up to a bound, beyond which they do not pass as inspected."""
    assert engine.inspect(values(*HALVES * 200), lines=False) == []
    (found,) = engine.inspect(values(*HALVES * 200, f"{HALVES[0]} {HALVES[1]}"), lines=False)
    assert found.value.text == f"{HALVES[0]} {HALVES[1]}"
    with pytest.raises(TooDense):
        engine.inspect(values(*HALVES * 20_000), lines=False)


def test_many_honest_values_are_not_too_dense(engine: Scoring) -> None:
    """All of the benign corpus that passes alone, many times over, passes together."""
    texts = [value.text for value in read() if not engine.score(values(value.text)[0], lines=False)]
    assert engine.inspect(values(*texts * 5), lines=False) == []


def test_a_sign_follows_the_rules_of_its_table() -> None:
    for sign in ALL_SIGNS:
        assert 1 <= sign.weight <= THRESHOLD
        assert sign.lines or not re.search(r"\\[Az]", sign.pattern), sign.says
        assert not re.search(r"\{\d*,\d{2,}\}", sign.pattern), sign.says
        assert sign.pattern == sign.pattern.lower() or re.search(r"\\[SWDB]", sign.pattern), sign
    assert len({(sign.kind, sign.says) for sign in ALL_SIGNS}) == len(ALL_SIGNS)


CLOSED = "a quote that is closed, then a condition of literals"
EXPLAINED: list[tuple[str, Class, str]] = [
    ("1' or '1'='1", "sqli", f"{CLOSED}, at character 2"),
    ("1%27 or 1=1", "sqli", f"{CLOSED}, at character 2 once decoded"),
    ("x<script>alert(1)</script>", "xss", "a script element, at character 2"),
    ("../../etc/passwd", "traversal", "a path that climbs, at character 1"),
    ("a; cat /etc/hosts", "command", "a separator, then a command, at character 1"),
    ("a\r\nRefresh: 1", "crlf", "a line break, then a header of an answer, at character 2"),
    ("a\x00.png", "crlf", "a NUL, at character 2"),
    ("$where", "nosql", "an operator as a member or parameter, at character 1"),
    ("<!ENTITY x SYSTEM 'a'>", "xxe", "an external or parameter entity, at character 1"),
]


@pytest.mark.parametrize(("text", "kind", "says"), EXPLAINED)
def test_O4_a_finding_says_what_matched_and_where(text: str, kind: Class, says: str) -> None:
    found = {f.kind: f.explanation for f in scoring(CLASSES).inspect(values(text), lines=True)}
    assert found[kind] == says


def test_only_the_classes_that_are_asked_for_are_looked_for() -> None:
    text = "' union select 1 -- <script>alert(1)</script>"
    for kind in ("sqli", "xss"):
        found = scoring(frozenset([kind])).inspect(values(text), lines=True)
        assert {finding.kind for finding in found} == {kind}
    assert scoring(frozenset(["xxe"])).inspect(values(text), lines=True) == []


def test_one_engine_serves_all_routes_with_the_same_classes() -> None:
    assert scoring(frozenset(["sqli", "xss"])) is scoring(frozenset(["xss", "sqli"]))


@pytest.mark.parametrize(
    "part",
    [
        "or price != '", "q=&& 7=(", "' drop table", "; delete from users", "') -- ", "` >5",
        "user'collate binary--", "from `users` where", "having count(id) > 3", "in (1, 2)",
        "name like '", "'];", "'''or 2", "x except select", "5 not regexp 6",
    ],
)  # fmt: skip
def test_a_part_of_an_attack_is_found_by_its_shape(engine: Scoring, part: str) -> None:
    assert {found.kind for found in engine.inspect(values(part), lines=True)} >= {"sqli"}


@pytest.mark.parametrize(
    "text",
    [
        ">=", "<>", "IS NULL", "regexp", "'quoted'", '"quoted"', "order by", "execute system",
        "is this your parents' or yours?", "!@#$%^&*()", "-------", "summer of '69",
        "'90s and '00s", "'Select all' does nothing", "(in 2 days)", "and so on",
        "drop me a line; delete the rest",
    ],
)  # fmt: skip
def test_what_honest_clients_send_is_no_part_of_an_attack(engine: Scoring, text: str) -> None:
    assert engine.inspect(values(text), lines=True) == []
