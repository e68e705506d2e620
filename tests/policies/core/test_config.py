"""How options are declared, and how what is wrong with them is told."""

from typing import Any

import pytest
from pydantic import Field, ValidationError, field_validator

from policies.core.config import (
    Options,
    PolicyConfig,
    Problem,
    invalid,
    location,
    message_of,
    problems_of,
)


class Part(Options):
    size: int = Field(ge=1)


class Whole(PolicyConfig):
    name: str = "x"
    parts: tuple[Part, ...] = ()
    wanted: bool = False

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError("at most five letters")
        return value


def problems(given: Any, prefix: tuple[Any, ...] = ()) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        Whole.model_validate(given)
    return [str(problem) for problem in problems_of(refused.value, prefix)]


def test_F7_unknown_keys_are_refused() -> None:
    assert problems({"nmae": "x"}) == ["nmae: unknown key"]


def test_options_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Whole().name = "y"


def test_every_problem_is_told_by_its_path() -> None:
    given = {"name": "too long", "parts": [{"size": 1}, {"size": "x"}, {}], "wanted": 7}
    assert problems(given, ("apis", 0)) == [
        "apis[0].name: at most five letters",
        "apis[0].parts[1].size: give a whole number",
        "apis[0].parts[2].size: is missing",
        "apis[0].wanted: give true or false",
    ]


def test_A7_what_was_given_is_never_repeated() -> None:
    with pytest.raises(ValidationError) as refused:
        Whole.model_validate({"parts": [{"size": "s3cret canary"}]})
    told = [str(refused.value), *map(str, problems_of(refused.value))]
    assert "canary" not in " ".join(told)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ((), ""),
        (("apis", 0, "routes", 2, "path"), "apis[0].routes[2].path"),
        ((0, "x"), "[0].x"),
    ],
)
def test_paths_are_written_as_in_the_file(parts: tuple[Any, ...], path: str) -> None:
    assert location(parts) == path


def test_a_problem_of_the_whole_has_no_path() -> None:
    assert str(Problem(path="", message="broken")) == "broken"


def test_problems_that_a_validator_found_keep_their_places() -> None:
    error = invalid([(("parts", 1), "one"), ((), "two")])
    assert [str(problem) for problem in problems_of(error)] == ["parts[1]: one", "two"]
    assert message_of(error.errors()[0]) == "one"
