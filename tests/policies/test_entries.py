"""One policy as it stands in a file."""

import pytest
from pydantic import ValidationError

from policies.core.config import PolicyConfig, problems_of
from policies.entries import PolicyEntry
from policies.registry import KINDS


def refused(data):
    with pytest.raises(ValidationError) as error:
        PolicyEntry.model_validate(data)
    return {problem.path: problem.message for problem in problems_of(error.value)}


@pytest.mark.parametrize(
    "data",
    [
        {"public": {}},
        {"jwt": {"providers": ["acme"], "scopes": ["read"]}},
        {"rate_limit": {"limit": 1, "per": 60, "name": "short", "mode": "report"}},
        {"rate_limit": {"limit": 1, "per": 60, "on_failure": "local", "mode": "off"}},
    ],
)
def test_an_entry_is_written_as_it_is_read(data):
    entry = PolicyEntry.model_validate(data)
    assert entry.model_dump() == data
    assert PolicyEntry.model_validate(entry.model_dump(mode="json")) == entry


def test_what_has_its_default_is_left_out():
    entry = PolicyEntry.model_validate(
        {"rate_limit": {"limit": 1, "per": 60, "by": "identity", "mode": "enforce", "name": ""}}
    )
    assert entry.model_dump() == {"rate_limit": {"limit": 1, "per": 60}}
    assert (entry.title, entry.mode, entry.is_identity) == ("rate_limit", "enforce", False)


def test_nothing_below_the_kind_means_no_options():
    assert PolicyEntry.model_validate({"public": None}).model_dump() == {"public": {}}


@pytest.mark.parametrize("data", [{}, {"public": {}, "jwt": {}}, "public", ["public"], None, 1])
def test_a_policy_is_one_key(data):
    assert refused(data) == {
        "": "a policy is one key, its kind, with its options below: public: {}"
    }


@pytest.mark.parametrize("kind", ["nothing", "Public", "", "config", "kind"])
def test_F7_an_unknown_kind_is_refused(kind):
    message = refused({kind: {}})[""]
    assert message == f"unknown policy kind; known are {', '.join(sorted(KINDS))}"


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({"public": []}, {"public": "give the options as a mapping; {} for none"}),
        ({"public": {"x": 1}}, {"public.x": "unknown key"}),
        ({"public": {"on_failure": "deny"}}, {"public.on_failure": "unknown key"}),
        ({"public": {"config": {}}}, {"public.config": "unknown key"}),
        (
            {"rate_limit": {"per": 0, "mode": "on", "name": "A"}},
            {
                "rate_limit.limit": "is missing",
                "rate_limit.per": "give at least 1",
                "rate_limit.name": "use lower-case letters, digits, '-', '_' and '.', "
                "beginning with a letter or digit, at most 63",
                "rate_limit.mode": "give 'enforce', 'report' or 'off'",
            },
        ),
    ],
)
def test_every_problem_has_the_kind_in_its_path(data, problems):
    assert refused(data) == problems


def test_options_that_nobody_checked_do_not_get_in():
    assert refused({"kind": "jwt", "config": {}})
    assert refused({"kind": "jwt", "config": {}, "name": "x"})
    assert issubclass(KINDS["jwt"].Config, PolicyConfig)


def test_an_option_that_is_a_word_of_python_is_stored_as_the_file_says_it() -> None:
    entry = PolicyEntry.of("injection", {"in": ["query"], "mode": "report"})
    assert entry.options == {"in": ["query"]}
    assert PolicyEntry.of("injection", {**entry.options, "mode": "report"}) == entry
