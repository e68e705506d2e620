"""Recall and false positives of ``injection``.

``python -m tests.policies.kinds.injection.figures`` prints them. Attacks come from
``../shared/vectors/injection``, benign values from ``benign/benign.jsonl``.
"""

import asyncio
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


def table(injection: Injection) -> Iterator[str]:
    """All figures, a line each."""
    sets = {"gotestwaf": list(gotestwaf()), "crs": list(crs())}
    yield f"{'attacks':42} {'cases':>6} {'policy':>7} {'parser':>7} {'recall':>8}"
    for source, cases in sets.items():
        for name, row in count(injection, cases, "kind").items():
            yield _line(f"{source}: {name}", row)
    for name, row in count(injection, sets["gotestwaf"], "group").items():
        yield _line(f"gotestwaf set {name}", row)
    (weak,) = count(injection, crs(positive=False), "kind").values()
    yield _line("crs no_expect (weakly benign)", weak)
    yield f"\n{'benign values':42} {'cases':>6} {'policy':>7} {'parser':>7} {'wrong':>8}"
    for name, row in benign(injection).items():
        yield _line(name, row)


def _line(name: str, row: Count) -> str:
    return f"{name:42} {row.cases:6} {row.refused:7} {row.earlier:7} {row.rate:7.2f}%"


if __name__ == "__main__":
    print(*table(policy()), sep="\n")
