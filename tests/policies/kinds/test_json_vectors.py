"""The JSON parsing set of ``../shared/vectors``, run whole."""

from collections import Counter

import pytest

from policies.core.values import PASS
from policies.kinds.json_limits import JsonLimits, JsonLimitsConfig
from tests.json_cases import COUNT, REFUSED_ON_PURPOSE, Case, json_cases


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return json_cases()


def _passes(case: Case, **options: object) -> bool:
    policy = JsonLimits(JsonLimitsConfig(depth=200, **options), None)  # type: ignore[arg-type]
    return policy.check_body(None, case.content) is PASS  # type: ignore[arg-type]


def test_O1_what_is_not_json_is_refused_and_what_is_passes(cases: list[Case]) -> None:
    assert len(cases) == COUNT
    assert Counter(case.expect for case in cases) == {"reject": 187, "accept": 95, "either": 35}
    wrong = {
        case.name
        for case in cases
        if case.expect != "either" and _passes(case) != (case.expect == "accept")
    }
    assert wrong == REFUSED_ON_PURPOSE


def test_duplicate_keys_pass_where_they_are_allowed(cases: list[Case]) -> None:
    allowed = [case for case in cases if case.name in REFUSED_ON_PURPOSE]
    assert len(allowed) == 2
    assert all(_passes(case, duplicate_keys="allow") for case in allowed)


def test_of_what_parsers_may_read_either_way_only_whole_numbers_and_small_ones_pass(
    cases: list[Case],
) -> None:
    passing = {case.name for case in cases if case.expect == "either" and _passes(case)}
    assert passing == {
        "i_number_double_huge_neg_exp.json",
        "i_number_real_underflow.json",
        "i_number_too_big_neg_int.json",
        "i_number_too_big_pos_int.json",
        "i_number_very_big_negative_int.json",
    }
