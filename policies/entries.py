"""One configured policy, as it stands in the configuration file: ``- jwt: {providers: [acme]}``.

The one key is the kind; below it stand the kind's own options and the members that every
policy takes: ``name`` and ``mode``. ``on_failure`` is an option of those kinds that depend
on shared state, and unknown to all others.
"""

from typing import Any, Self

from pydantic import Field, SerializeAsAny, ValidationError, model_serializer, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from policies.core.config import Mode, Options, PolicyConfig
from policies.core.policy import IdentityPolicy
from policies.registry import KINDS


class PolicyEntry(Options):
    """A policy of a kind, with its checked options."""

    kind: str = Field(title="Kind", description="One of the built-in policy kinds.")
    name: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9_.-]{0,62})?$",
        title="Name",
        description="Tells two policies of one kind on the same route apart; empty: the kind.",
    )
    mode: Mode = Field(
        default="enforce",
        title="Mode",
        description="enforce; report: count and log what would be refused, and let it pass; off.",
    )
    config: SerializeAsAny[PolicyConfig] = Field(
        title="Options", description="The options of the kind."
    )

    @classmethod
    def of(cls, kind: str, options: dict[str, Any]) -> Self:
        """An entry from its kind and what stands below it. Raises ``ValidationError``."""
        return cls.model_validate({kind: options})

    @property
    def title(self) -> str:
        """What logs, ``explain`` and precedence call it."""
        return self.name or self.kind

    @property
    def is_identity(self) -> bool:
        """Whether it proves who is calling (in any mode)."""
        return issubclass(KINDS[self.kind], IdentityPolicy)

    @property
    def options(self) -> dict[str, Any]:
        """The kind's options that differ from their defaults: what is stored."""
        return self.config.model_dump(mode="json", exclude_defaults=True)

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, data: Any) -> Any:
        if isinstance(data, cls):
            return data
        if isinstance(data, dict) and isinstance(data.get("config"), PolicyConfig):
            return data  # made in the program: the options are checked already
        if not isinstance(data, dict) or len(data) != 1:
            raise ValueError("a policy is one key, its kind, with its options below: public: {}")
        ((kind, options),) = data.items()
        if kind not in KINDS:
            raise ValueError(f"unknown policy kind; known are {', '.join(sorted(KINDS))}")
        options = {} if options is None else options
        if not isinstance(options, dict):
            raise _below(kind, "give the options as a mapping; {} for none")
        members = {name: options[name] for name in ("name", "mode") if name in options}
        own = {name: value for name, value in options.items() if name not in members}
        return {"kind": kind, **members, "config": _checked(kind, own)}

    @model_serializer(mode="plain")
    def _dump(self) -> dict[str, Any]:
        options = self.options
        if self.name:
            options["name"] = self.name
        if self.mode != "enforce":
            options["mode"] = self.mode
        return {self.kind: options}


def _checked(kind: str, options: dict[str, Any]) -> PolicyConfig:
    """The kind's Config; its problems get the kind as part of their path."""
    try:
        return KINDS[kind].Config.model_validate(options)
    except ValidationError as error:
        raise ValidationError.from_exception_data(
            kind,
            [
                InitErrorDetails(
                    type=PydanticCustomError(item["type"], "{text}", {"text": item["msg"]}),
                    loc=(kind, *item["loc"]),
                    input=None,
                )
                for item in error.errors(include_url=False, include_input=False)
            ],
        ) from None


def _below(kind: str, message: str) -> ValidationError:
    detail = InitErrorDetails(
        type=PydanticCustomError("value_error", "{text}", {"text": message}),
        loc=(kind,),
        input=None,
    )
    return ValidationError.from_exception_data(kind, [detail])
