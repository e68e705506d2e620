"""Options of policies, declared once: the source of form, REST schema, file check and docs.

Each kind declares a ``PolicyConfig``: frozen, unknown keys refused, every option with a
title, a description and bounds. ``PolicyEntry`` is one configured policy as it stands in the
configuration file, ``- jwt: {providers: [acme]}``, with the members that every kind takes.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Mode = Literal["enforce", "report", "off"]
OnFailure = Literal["deny", "local", "allow"]


class Options(BaseModel):
    """Base of everything configurable: immutable and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PolicyConfig(Options):
    """The options of one policy kind."""


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


def problems_of(error: ValidationError, prefix: tuple[Any, ...] = ()) -> list[Problem]:
    """Every problem of a pydantic validation, by its path; never with the offending input."""
    found = []
    for item in error.errors(include_input=False, include_url=False):
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        found.append(Problem(path=location(prefix + tuple(item["loc"])), message=message))
    return found
