"""Recall and false positives of ``injection``: ``python -m tests.policies.kinds.injection.figures``.

Attacks come from ``../shared/vectors/injection``, benign values from ``benign/benign.jsonl``.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from policies.core.values import PASS, Decision
from policies.kinds.injection import Injection, InjectionConfig
from tests.policies.kinds.injection.attacks import Case, crs, gotestwaf, make_case
from tests.policies.kinds.injection.benign.generate import Value, read


def policy() -> Injection:
    return Injection(InjectionConfig(), None)  # type: ignore[arg-type]


def decide(injection: Injection, case: Case) -> Decision | None:
    """What the policy says of a case; None where the gateway refuses it before any policy."""
    if case.call is None:
        return None
    decision = injection.check(case.call)
    if decision is PASS and case.body and injection.holds_body(case.call):
        decision = asyncio.run(injection.check_body(case.call, case.body))
    return decision


class Count(NamedTuple):
    cases: int
    refused: int  # by the policy
    earlier: int  # by the gateway's own parser, before any policy

    @property
    def rate(self) -> float:
        return 100 * (self.refused + self.earlier) / self.cases


def count(injection: Injection, cases: Iterable[Case], by: str) -> dict[tuple[str, str], Count]:
    """How many cases are refused, by source and ``by``: ``kind`` or ``group``."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for case in cases:
        decision = decide(injection, case)
        row = sums[case.source, getattr(case, by)]
        row[0] += 1
        row[1] += decision is not None and decision is not PASS
        row[2] += decision is None
    return {key: Count(*row) for key, row in sorted(sums.items())}


PLACES = ("query", "json", "form", "header", "path")


def placed(value: Value, place: str) -> Case:
    """A benign value where a client would put it."""
    head = ("benign", value.category, "benign", value.text)
    if place == "query":
        return make_case(*head, target=f"/api?q={quote(value.text, safe='')}")
    if place == "path":
        return make_case(*head, target=f"/api/{quote(value.text, safe='')}")
    if place == "header":
        return make_case(*head, headers={"X-Note": value.text})
    if place == "form":
        kind, body = "application/x-www-form-urlencoded", f"q={quote(value.text, safe='')}"
    else:
        kind, body = "application/json", json.dumps({"q": value.text})
    return make_case(*head, headers={"Content-Type": kind}, body=body.encode())


def false_positives(injection: Injection, values: Iterable[Value], place: str) -> list[Value]:
    return [v for v in values if decide(injection, placed(v, place)) not in (PASS, None)]


def main() -> None:
    injection = policy()
    print(f"{'attacks':34} {'cases':>6} {'policy':>7} {'parser':>7} {'recall':>8}")
    for cases in (list(gotestwaf()), list(crs())):
        for by in ("kind", "group"):
            for (source, name), row in count(injection, cases, by).items():
                if source == "crs" and by == "group":
                    continue
                print(f"{source + ' ' + name:34} {row.cases:6} {row.refused:7} {row.earlier:7} {row.rate:7.2f}%")
    (row,) = count(injection, crs(positive=False), "kind").values()
    print(f"{'crs no_expect (weak benign)':34} {row.cases:6} {row.refused:7} {row.earlier:7} {row.rate:7.2f}%")
    values = read()
    print(f"\n{'benign corpus':34} {'values':>6} {'refused':>7} {'rate':>8}")
    for held_out in (False, True):
        part = [value for value in values if value.held_out is held_out]
        for place in PLACES:
            wrong = len(false_positives(injection, part, place))
            name = f"{'held out' if held_out else 'seen'}, as {place}"
            print(f"{name:34} {len(part):6} {wrong:7} {100 * wrong / len(part):7.2f}%")


if __name__ == "__main__":
    main()
