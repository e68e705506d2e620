"""JSON texts that others wrote, read so that no later reader can mean another value by them.

A member given twice, a number beyond what a double can hold, or a text that is no Unicode would be
one thing here and another upstream (RFC 8259 4, 6, 8.2; RFC 7493): they are refused. The parser is
jiter's; it stops at a depth of some 200 levels. What was judged goes upstream byte for byte.
"""

import math
from typing import Any

import jiter
import re2

from policies.openapi.texts import Malformed

# Only these spellings can be numbers beyond a double: looking for them is cheaper than walking
# the value, with an engine that has one pass for both (re takes ten times as long).
_MAY_OVERFLOW = re2.compile(rb"[0-9][eE]\+?[0-9]{2}|[0-9]{300}")
_DUPLICATE = "Detected duplicate key"


def read_json(content: bytes) -> Any:
    """The value of a JSON text. Raises ``Malformed``."""
    try:
        value = jiter.from_json(
            content, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys"
        )
    except ValueError as error:
        twice = str(error).startswith(_DUPLICATE)
        message = "a member is given more than once" if twice else "it is not well-formed JSON"
        raise Malformed(message) from None
    if _MAY_OVERFLOW.search(content) and not _finite(value):
        raise Malformed("a number is too large")
    return value


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
