"""``request_headers``: which header lines the upstream gets beside, or instead of, the client's.

The client's copies of what is set or removed are dropped before the gateway's lines are added,
so no ``Connection`` token and no spelling of the client's removes or forges one (RFC 9110
7.6.1). A name whose value tells who is calling is reserved on every route, as those of
``forward_identity`` are.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision
from policies.http.fields import CREDENTIALS, HOP_BY_HOP, RESERVED, SAID_UPSTREAM, request_name
from policies.http.templates import Template, checked_template, once

_OWN = HOP_BY_HOP | RESERVED | SAID_UPSTREAM


def _removable(text: str) -> str:
    name = request_name(text)
    if name in _OWN or name.startswith(b"proxy-"):
        raise ValueError(f"{text} frames the message or is the gateway's own to write")
    return text


def _writable(text: str) -> str:
    if request_name(_removable(text)) in CREDENTIALS:
        raise ValueError(f"{text} carries credentials, and a template is no place for a secret")
    return text


Removable = Annotated[str, AfterValidator(_removable)]
Writable = Annotated[str, AfterValidator(_writable)]
Value = Annotated[str, AfterValidator(checked_template)]

_TEMPLATE = "A value may hold {identity.subject}, {identity.claims.NAME}, {request.id} and so on."


class RequestHeadersConfig(PolicyConfig):
    """Options of ``request_headers``."""

    set: dict[Writable, Value] = Field(
        default={},
        max_length=32,
        title="Set",
        description="Header name to value: the upstream gets this line and none of the client's. "
        + _TEMPLATE,
    )
    add: dict[Writable, Value] = Field(
        default={},
        max_length=32,
        title="Add",
        description="Header name to value: a line beside those of the client.",
    )
    remove: tuple[Removable, ...] = Field(
        default=(),
        max_length=100,
        title="Remove",
        description="Header names of the client that the upstream does not get.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        once((*self.set, *self.add, *self.remove))
        return self


class RequestHeaders(Policy):
    """Runs in SHAPE: after every check, so that no check sees our own lines."""

    kind = "request_headers"
    phase = Phase.SHAPE
    Config: ClassVar[type[PolicyConfig]] = RequestHeadersConfig
    summary = "Sets, adds and removes header lines on the way to the upstream."

    def __init__(self, config: RequestHeadersConfig, services: Services) -> None:
        lines = [*config.set.items(), *config.add.items()]
        self._lines = [(request_name(name), Template(text)) for name, text in lines]
        self.writes = frozenset(name for name, _ in self._lines)
        self.sets = frozenset(name for name, template in self._lines if template.tells_identity)
        self.drops = frozenset(map(request_name, (*config.set, *config.remove)))

    def check(self, call: Call) -> Decision:
        for name, template in self._lines:
            value = template.value(call)
            if value is not None:
                call.upstream_fields.append((name, value))
        return PASS

    def describe(self, call: Call) -> str:
        written = {name for name, template in self._lines if template.value(call) is not None}
        parts = [
            f"{verb} {_listed(names)}"
            for verb, names in (
                ("writes", written),
                ("has no value for", self.writes - written),
                ("drops the client's", self.drops),
            )
            if names
        ]
        return "; ".join(parts) or "nothing to change"


def _listed(names: Iterable[bytes]) -> str:
    return ", ".join(sorted(name.decode() for name in names))
