"""One configured policy, as it stands in the configuration file: ``- jwt: {providers: [acme]}``.

The one key is the kind; below it stand the kind's own options and the members that every
policy takes: ``name`` and ``mode``. ``on_failure`` is an option of those kinds that depend
on shared state, and unknown to all others.
"""

from typing import Any, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    model_serializer,
    model_validator,
)

from policies.core.config import (
    Mode,
    NameOrNone,
    Options,
    PolicyConfig,
    errors_of,
    invalid,
    message_of,
)
from policies.core.policy import IdentityPolicy
from policies.registry import KINDS

_MEMBERS = ("name", "mode")


class PolicyEntry(Options):
    """A policy of a kind, with its checked options."""

    kind: str = Field(title="Kind", description="One of the built-in policy kinds.")
    name: NameOrNone = Field(
        default="",
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
        return self.config.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @model_validator(mode="wrap")
    @classmethod
    def _parse(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        if isinstance(data, dict) and isinstance(data.get("config"), PolicyConfig):
            return handler(data)  # made in the program: the options are checked already
        if not isinstance(data, dict) or len(data) != 1:
            raise ValueError("a policy is one key, its kind, with its options below: public: {}")
        ((kind, options),) = data.items()
        if kind not in KINDS:
            raise ValueError(f"unknown policy kind; known are {', '.join(sorted(KINDS))}")
        options = {} if options is None else options
        if not isinstance(options, dict):
            raise invalid([((kind,), "give the options as a mapping; {} for none")])
        return cls._read(kind, options, handler)

    @classmethod
    def _read(
        cls, kind: str, options: dict[str, Any], handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        """The entry of a kind. Problems have the kind in their path, and none hides another."""
        members = {name: options[name] for name in _MEMBERS if name in options}
        own = {name: value for name, value in options.items() if name not in members}
        found: list[tuple[tuple[int | str, ...], str]] = []
        config = PolicyConfig()
        try:
            config = KINDS[kind].Config.model_validate(own)
        except ValidationError as error:
            found += _below(kind, error)
        try:
            entry = handler({"kind": kind, "config": config, **members})
        except ValidationError as error:
            found += _below(kind, error)
        if found:
            raise invalid(found)
        return entry

    @model_serializer(mode="plain")
    def _dump(self) -> dict[str, Any]:
        options = self.options
        if self.name:
            options["name"] = self.name
        if self.mode != "enforce":
            options["mode"] = self.mode
        return {self.kind: options}


def _below(kind: str, error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    return [((kind, *item["loc"]), message_of(item)) for item in errors_of(error)]
