"""Options of policies, declared once: the source of form, REST schema, file check and docs.

Each kind declares a ``PolicyConfig``: frozen, unknown keys refused, every option with a
title, a description and bounds. One configured policy, with the members that every kind
takes, is a ``policies.entries.PolicyEntry``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError(
            "use lower-case letters, digits, '-', '_' and '.', beginning with a letter or digit, "
            "at most 63"
        )
    return text


Name = Annotated[str, AfterValidator(_name)]
NameOrNone = Annotated[str, AfterValidator(lambda text: text and _name(text))]
Mode = Literal["enforce", "report", "off"]
OnFailure = Literal["deny", "local", "allow"]


class Options(BaseModel):
    """Base of everything configurable: immutable and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PolicyConfig(Options):
    """The options of one policy kind."""

    @property
    def signs(self) -> bool:
        """Whether a policy with these options uses the gateway's own signing keys."""
        return False


def option_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The options as they are called in a file: by alias where the name is a word of Python."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


class Problem(Options):
    """One thing that is wrong with a configuration, where it is, and what to do about it."""

    path: str = Field(description="Place in the configuration, e.g. apis[0].routes[2].path")
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def location(parts: tuple[Any, ...]) -> str:
    """A pydantic error location as a path in the file: ``apis[0].routes[1].path``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


_MESSAGES = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "string_type": "give a text",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a finite number",
    "tuple_type": "give a list",
    "list_type": "give a list",
    "dict_type": "give a mapping",
    "model_type": "give a mapping",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "string_too_short": "give at least {min_length} characters",
    "string_too_long": "give at most {max_length} characters",
    "greater_than_equal": "give at least {ge}",
    "greater_than": "give more than {gt}",
    "less_than_equal": "give at most {le}",
    "less_than": "give less than {lt}",
    "literal_error": "give {expected}",
    "string_pattern_mismatch": "give a text of the form {pattern}",
}


def message_of(item: Mapping[str, Any]) -> str:
    """One error of pydantic in the words of this product."""
    message = _MESSAGES.get(item["type"])
    if message is None:
        return str(item["msg"]).removeprefix("Value error, ")
    bounds = {name: _plain(value) for name, value in item.get("ctx", {}).items()}
    return message.format(**bounds)


def _plain(value: Any) -> Any:
    """``60.0`` is said as 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def errors_of(error: ValidationError) -> list[Any]:
    """Every error of a pydantic validation, but for those that another one causes.

    A list whose items are all wrong is called too short as well: that says nothing new.
    """
    items = error.errors(include_input=False, include_url=False)
    around = {item["loc"][:length] for item in items for length in range(len(item["loc"]))}
    return [item for item in items if item["type"] != "too_short" or item["loc"] not in around]


def problems_of(error: ValidationError, prefix: tuple[Any, ...] = ()) -> list[Problem]:
    """Every problem of a pydantic validation, by its path; never with the offending input."""
    return [
        Problem(path=location(prefix + tuple(item["loc"])), message=message_of(item))
        for item in errors_of(error)
    ]


def invalid(found: Iterable[tuple[tuple[int | str, ...], str]]) -> ValidationError:
    """What a validator of several members raises: each problem with its place below it."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{text}", {"text": message}),
            loc=place,
            input=None,
        )
        for place, message in found
    ]
    return ValidationError.from_exception_data("configuration", details)
