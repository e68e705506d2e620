"""Recall and false positives of ``injection``.

``python -m tests.policies.kinds.injection.figures`` prints them. Attacks come from
``../shared/vectors/injection``, benign values from ``benign/benign.jsonl``.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from policies.core.values import PASS, Decision
from policies.kinds.injection import Injection, InjectionConfig
from tests.policies.kinds.injection.attacks import Case, crs, gotestwaf, make_case
from tests.policies.kinds.injection.benign.generate import Value, read

PLACES = ("query", "json", "form", "header", "path")


def policy() -> Injection:
    return Injection(InjectionConfig(), None)  # type: ignore[arg-type]


def decide(injection: Injection, case: Case) -> Decision | None:
    """What the policy says of a case; None where the gateway refuses it before any policy."""
    if case.call is None:
        return None
    decision = injection.check(case.call)
    if decision is PASS and case.body and injection.holds_body(case.call):
        judged = injection.check_body(case.call, case.body)
        decision = asyncio.run(judged) if asyncio.iscoroutine(judged) else judged
    return decision


class Count(NamedTuple):
    """How many cases were refused: by the policy, or by the gateway's own parser before it."""

    cases: int
    refused: int
    earlier: int = 0

    @property
    def rate(self) -> float:
        return 100 * (self.refused + self.earlier) / self.cases


def count(injection: Injection, cases: Iterable[Case], by: str) -> dict[str, Count]:
    """The counts of cases by their ``kind`` or ``group``."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for case in cases:
        decision = decide(injection, case)
        row = sums[getattr(case, by)]
        row[0] += 1
        row[1] += decision is not None and decision is not PASS
        row[2] += decision is None
    return {name: Count(*row) for name, row in sorted(sums.items())}


def placed(value: Value, place: str) -> Case:
    """A benign value where a client would put it."""
    head = ("benign", value.category, "benign", value.text)
    escaped = quote(value.text, safe="")
    if place == "query":
        return make_case(*head, target=f"/api?q={escaped}")
    if place == "path":
        return make_case(*head, target=f"/api/{escaped}")
    if place == "header":
        return make_case(*head, headers={"X-Note": value.text})
    if place == "form":
        kind, body = "application/x-www-form-urlencoded", f"q={escaped}"
    else:
        kind, body = "application/json", json.dumps({"q": value.text})
    return make_case(*head, headers={"Content-Type": kind}, body=body.encode())


def benign(injection: Injection) -> dict[str, Count]:
    """False positives by place, of the values that were seen in tuning and those held out.

    A value that cannot stand in a place (a line break in a header) is not counted there.
    """
    values = read()
    found = {}
    for name, held_out in (("seen", False), ("held out", True)):
        part = [value for value in values if value.held_out is held_out]
        for place in PLACES:
            cases = [case for case in (placed(v, place) for v in part) if case.call is not None]
            found[f"{name}, in {place}"] = count(injection, cases, "kind")["benign"]
    return found


def held_out(case: Case) -> bool:
    """Whether a case of family 942 is of the fifth by which its tuning was judged."""
    return hashlib.sha256(case.name.encode()).digest()[0] % 5 == 0


def sqli_cases() -> list[Case]:
    """OWASP CRS family 942 as a whole (942290 is about NoSQL)."""
    return [case for case in crs() if case.kind.startswith("sqli")]


def sqli(injection: Injection) -> dict[str, Count]:
    """Recall on family 942, of the cases that were seen in tuning and those held out."""
    whole: dict[str, list[Case]] = {"seen": [], "held out": []}
    for case in sqli_cases():
        whole["held out" if held_out(case) else "seen"].append(case._replace(kind="sqli"))
    return {name: count(injection, cases, "kind")["sqli"] for name, cases in whole.items()}


class Figures(NamedTuple):
    """Everything that is measured: counts by the name of what was counted."""

    gotestwaf: dict[str, Count]
    gotestwaf_sets: dict[str, Count]
    crs: dict[str, Count]
    crs_sqli: dict[str, Count]  # family 942 as a whole, and its fifth that no sign was tuned on
    crs_silent: dict[str, Count]  # requests that one rule of theirs must not fire on
    benign: dict[str, Count]


def measure(injection: Injection) -> Figures:
    attacks = list(gotestwaf())
    return Figures(
        gotestwaf=count(injection, attacks, "kind"),
        gotestwaf_sets=count(injection, attacks, "group"),
        crs=count(injection, crs(), "kind"),
        crs_sqli=sqli(injection),
        crs_silent=count(injection, crs(positive=False), "kind"),
        benign=benign(injection),
    )


def table(figures: Figures) -> Iterator[str]:
    """All figures, a line each."""
    for part, counts in figures._asdict().items():
        yield f"\n{part:42} {'cases':>6} {'policy':>7} {'parser':>7} {'refused':>8}"
        for name, row in counts.items():
            yield f"  {name:40} {row.cases:6} {row.refused:7} {row.earlier:7} {row.rate:7.2f}%"


if __name__ == "__main__":
    print(*table(measure(policy())), sep="\n")
