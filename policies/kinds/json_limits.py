"""``json_limits``: how deep, wide and long the JSON of a request's body may be.

The body is held back and read whole before the upstream sees a byte of it, and goes on exactly
as it came. Refused is what parsers are known to read differently or to choke on: what is not
JSON to the letter (RFC 8259), a key that stands twice in an object (the first counts here, the
last there), ``NaN`` and numbers beyond every float, deep nesting.

Bodies of other media types pass unread. A JSON body that cannot be read is refused, since what is
not read is not limited: compressed, in another charset than UTF-8, or under a Content-Type that
is no media type or stands twice.
"""

from math import inf
from typing import Any, ClassVar, Literal

import jiter
from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny, Headers
from policies.http.media_types import media_type

_DEEPEST = 200  # what the parser itself takes

_ENCODED = Deny(
    "media_type_unsupported",
    "A JSON body must not be compressed.",
    fields=((b"accept-encoding", b"identity"),),  # RFC 9110 12.5.3: what is taken instead
)
_CHARSET = Deny("media_type_unsupported", "A JSON body must be UTF-8.")
_NO_TYPE = Deny("media_type_unsupported", "The Content-Type names no media type.")
_AMBIGUOUS = Deny("media_type_unsupported", "Exactly one Content-Type is needed.")


def _refusal(message: str) -> Deny:
    errors = ({"in": "body", "name": "", "message": message},)
    return Deny("request_invalid", "The JSON of the body is not accepted.", errors=errors)


class JsonLimitsConfig(PolicyConfig):
    """Options of ``json_limits``."""

    depth: int = Field(
        default=32,
        ge=1,
        le=_DEEPEST,
        title="Depth",
        description="How many arrays and objects may stand within each other.",
    )
    members: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        title="Members",
        description="Members of one object, or items of one array.",
    )
    string: int = Field(
        default=65536,
        ge=1,
        le=2**30,
        title="String",
        description="Characters of one text or of one key.",
    )
    duplicate_keys: Literal["refuse", "allow"] = Field(
        default="refuse",
        title="Duplicate keys",
        description="allow: an object may have the same key twice.",
    )


class JsonLimits(Policy):
    """Runs in VALIDATE: a body is read only for callers within their limits."""

    kind = "json_limits"
    phase = Phase.VALIDATE
    Config: ClassVar[type[PolicyConfig]] = JsonLimitsConfig
    summary = "Limits depth, width and length of a JSON body, and refuses duplicate keys."

    def __init__(self, config: JsonLimitsConfig, services: Services) -> None:
        self._depth, self._members = config.depth, config.members
        self._string = config.string
        self._unique = config.duplicate_keys == "refuse"
        unique = " with every key once in its object" if self._unique else ""
        self._malformed = _refusal(f"not well-formed JSON{unique}, at most {_DEEPEST} levels deep")
        self._deep = _refusal(f"more than {config.depth} levels deep")
        self._wide = _refusal(f"more than {config.members} members or items in one place")
        self._long = _refusal(f"a text or key of more than {config.string} characters")
        self._infinite = _refusal("a number that is too large")

    def check(self, call: Call) -> Decision:
        if call.request.body_length == 0:
            return PASS
        readable = _readable(call.request.headers)
        return readable if isinstance(readable, Deny) else PASS

    def holds_body(self, call: Call) -> bool:
        return _readable(call.request.headers) is True

    def check_body(self, call: Call, content: bytes) -> Decision:
        try:
            value = jiter.from_json(
                content, catch_duplicate_keys=self._unique, allow_inf_nan=False, cache_mode="none"
            )
        except ValueError:
            return self._malformed
        return self._exceeded(value, len(content) > self._string) or PASS

    def describe(self, call: Call) -> str:
        return self.summary if self.holds_body(call) else "the body is not JSON"

    def _exceeded(self, value: Any, may_be_long: bool) -> Deny | None:
        """The first limit that a value does not keep; it is looked at level by level."""
        level, deeper = [value], self._depth
        while level:
            below: list[Any] = []
            for item in level:
                kind = type(item)
                if kind is dict or kind is list:
                    if deeper == 0:
                        return self._deep
                    if len(item) > self._members:
                        return self._wide
                    if kind is list:
                        below += item
                        continue
                    below += item.values()
                    if may_be_long and any(len(key) > self._string for key in item):
                        return self._long
                elif kind is float and (item == inf or item == -inf):
                    return self._infinite
                elif may_be_long and kind is str and len(item) > self._string:
                    return self._long
            level, deeper = below, deeper - 1
        return None


def _readable(headers: Headers) -> bool | Deny:
    """Whether the body is JSON and to be read; or why it cannot be, though it may be JSON."""
    lines = headers.all(b"content-type")
    types = [media_type(line) for line in lines]
    if not any(kind is None or kind.is_json for kind in types):
        return False
    if len(types) > 1:
        return _AMBIGUOUS
    kind = types[0]
    if kind is None:
        return _NO_TYPE
    if any(coding.lower() != b"identity" for coding in headers.all(b"content-encoding")):
        return _ENCODED
    return True if kind.charset in ("", "utf-8") else _CHARSET
