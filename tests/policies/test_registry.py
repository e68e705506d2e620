"""Every kind of the roll-call can be described, drawn as a form and configured."""

import pytest

from policies.core.phase import Phase
from policies.core.policy import IdentityPolicy, Policy
from policies.registry import KINDS

kinds = pytest.mark.parametrize("kind", sorted(KINDS))


@kinds
def test_a_kind_says_what_it_is(kind: str) -> None:
    policy = KINDS[kind]
    assert issubclass(policy, Policy)
    assert policy.kind == kind
    assert isinstance(policy.phase, Phase)
    assert policy.summary.endswith(".")
    assert (policy.phase is Phase.IDENTIFY) == issubclass(policy, IdentityPolicy)


@kinds
def test_every_option_has_a_title_and_a_description(kind: str) -> None:
    for name, option in KINDS[kind].Config.model_fields.items():
        assert option.title, name
        assert option.description, name


@kinds
def test_every_number_is_bounded(kind: str) -> None:
    for name, option in KINDS[kind].Config.model_json_schema()["properties"].items():
        for shape in option.get("anyOf", [option]):
            if shape.get("type") in ("integer", "number"):
                assert {"minimum", "exclusiveMinimum"} & shape.keys(), name
                assert {"maximum", "exclusiveMaximum"} & shape.keys(), name
