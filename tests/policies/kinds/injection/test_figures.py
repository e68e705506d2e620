"""Recall and false positives: the thresholds that the product is held to, and the whole table.

``pytest -s`` shows the table; ``figures`` prints it alone.
"""

import logging
from collections.abc import Iterator

import pytest

from policies.core.values import PASS
from tests.policies.kinds.injection import figures
from tests.policies.kinds.injection.attacks import VECTORS
from tests.policies.kinds.injection.benign.generate import make, read
from tests.policies.kinds.injection.figures import Count, Figures
from tests.policies.kinds.injection.missed import ATTACKS, HARMLESS

# Least recall in percent. Every set is named: a figure that gets worse is seen. Those below 90 are
# sets that this kind does not claim (see docs/design/0007), measured so that nobody has to guess.
GOTESTWAF = {
    "sqli": (66, 98), "xss": (340, 99), "traversal": (30, 100), "crlf": (31, 100),
    "nosql": (50, 100), "xxe": (9, 100), "command": (106, 99), "other": (37, 0), "benign": (141, 0),
}  # fmt: skip
CRS = {
    "sqli": (309, 94), "sqli, paranoia 2-4": (548, 82), "xss": (207, 85), "traversal": (14, 100),
    "crlf": (32, 100), "nul": (5, 100), "nosql": (11, 100), "command": (707, 32),
    "code": (1699, 25), "files": (52, 40), "other": (354, 0),
}  # fmt: skip
FALSE_POSITIVES = 0.5  # percent, at most


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals need not be logged."""
    logger = logging.getLogger("policies.kinds.injection")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.fixture(scope="module")
def measured() -> Figures:
    if not VECTORS.is_dir():
        pytest.skip("../shared/vectors/injection is not there")
    found = figures.measure(figures.policy())
    print("", *figures.table(found), sep="\n")
    return found


def _held(counts: dict[str, Count], least: dict[str, tuple[int, int]]) -> None:
    assert {n: row.cases for n, row in counts.items()} == {n: c for n, (c, _) in least.items()}
    for name, row in counts.items():
        assert row.rate >= least[name][1], (name, row)


def test_recall_on_gotestwaf(measured: Figures) -> None:
    _held(measured.gotestwaf, GOTESTWAF)
    assert sum(row.cases for row in measured.gotestwaf_sets.values()) == 810


def test_the_harmless_requests_of_gotestwaf_pass(measured: Figures) -> None:
    assert measured.gotestwaf["benign"] == Count(cases=3 * 47, refused=0)


def test_recall_on_the_owasp_core_rule_set(measured: Figures) -> None:
    _held(measured.crs, CRS)


def test_recall_on_sql_injection_of_cases_that_no_sign_was_tuned_on(measured: Figures) -> None:
    _held(measured.crs_sqli, {"seen": (701, 87), "held out": (156, 83)})


def test_every_missed_case_of_sql_injection_is_known_and_has_a_reason(measured: Figures) -> None:
    listed = [n for each in (HARMLESS, ATTACKS) for names in each.values() for n in names]
    injection = figures.policy()
    passed = [c.name for c in figures.sqli_cases() if figures.decide(injection, c) is PASS]
    assert sorted(passed) == sorted(listed)


def test_the_benign_corpus_is_what_its_templates_make() -> None:
    values = read()
    assert values == list(make())
    assert len(values) == 6563
    assert len({value.text for value in values}) == len(values)
    held_out = [value for value in values if value.held_out]
    assert len(held_out) / len(values) == pytest.approx(0.2, abs=0.01)
    origins = {value.origin for value in held_out}
    assert not origins & {value.origin for value in values if not value.held_out}


def test_false_positives_on_the_benign_corpus() -> None:
    """In every place, of the values seen in tuning and of those held out."""
    for name, row in figures.benign(figures.policy()).items():
        assert row.rate <= FALSE_POSITIVES, (name, row)
