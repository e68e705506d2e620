"""``response_headers``: which header lines the client gets beside, or instead of, the upstream's.

It edits refusals and other answers of the gateway too, so it may not touch what those must
carry: framing, the content's type, the request id, the challenge of a 401.
"""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import Call
from policies.core.values import Field as HeaderField
from policies.http.fields import HOP_BY_HOP, response_name
from policies.http.templates import Template, checked_template, once

_OWN = HOP_BY_HOP | {b"date", b"x-request-id", b"www-authenticate"}
# What the content is, and what vouches for it, is not a matter of the header alone.
_BOUND_TO_CONTENT = frozenset(
    (b"content-type", b"content-encoding", b"content-range", b"content-digest", b"repr-digest",
     b"signature", b"signature-input")
)  # fmt: skip


def _removable(text: str) -> str:
    name = response_name(text)
    if name in _OWN or name.startswith(b"proxy-"):
        raise ValueError(f"{text} frames the message or is the gateway's own to write")
    return text


def _writable(text: str) -> str:
    name = response_name(_removable(text))
    if name in _BOUND_TO_CONTENT:
        raise ValueError(f"{text} belongs to the content, which stays as it is")
    if name.startswith(b"access-control-"):
        raise ValueError(f"{text} is what the policy cors is for")
    return text


Removable = Annotated[str, AfterValidator(_removable)]
Writable = Annotated[str, AfterValidator(_writable)]
Value = Annotated[str, AfterValidator(checked_template)]


class ResponseHeadersConfig(PolicyConfig):
    """Options of ``response_headers``."""

    set: dict[Writable, Value] = Field(
        default={},
        max_length=32,
        title="Set",
        description="Header name to value: the client gets this line and none of the upstream's. "
        "Values are templates, as those of request_headers are.",
    )
    add: dict[Writable, Value] = Field(
        default={},
        max_length=32,
        title="Add",
        description="Header name to value: a line beside those of the upstream.",
    )
    remove: tuple[Removable, ...] = Field(
        default=(),
        max_length=100,
        title="Remove",
        description="Header names of the upstream that the client does not get.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        once((*self.set, *self.add, *self.remove))
        return self


class ResponseHeaders(Policy):
    """Runs on the answer, in the order of the configuration: what is nearer the route is later."""

    kind = "response_headers"
    phase = Phase.RESPOND
    Config: ClassVar[type[PolicyConfig]] = ResponseHeadersConfig
    summary = "Sets, adds and removes header lines on the way to the client."

    def __init__(self, config: ResponseHeadersConfig, services: Services) -> None:
        lines = [*config.set.items(), *config.add.items()]
        self._lines = [(response_name(name), Template(text)) for name, text in lines]
        self._dropped = frozenset(map(response_name, (*config.set, *config.remove)))

    def edit(self, call: Call, status: int, fields: list[HeaderField]) -> list[HeaderField]:
        if self._dropped:
            fields = [field for field in fields if field[0] not in self._dropped]
        for name, template in self._lines:
            value = template.value(call)
            if value is not None:
                fields.append((name, value))
        return fields
