"""Structured fields (RFC 9651), in the one reading that two parsers cannot disagree about.

The parser is http-sf's. What the RFC leaves to "the last one wins" is refused here: a key that
stands twice would mean one thing to a gateway and another to the upstream behind it.
"""

from collections.abc import Iterable
from typing import Any, Literal

import http_sf

# As http-sf gives them: a bare item or an inner list, with its parameters.
Parameters = dict[str, Any]
Item = tuple[Any, Parameters]
InnerList = tuple[list[Item], Parameters]
Member = Item | InnerList
Kind = Literal["dictionary", "list", "item"]

MAX_BYTES = 32768  # of one field, all its lines together


class FieldRefused(ValueError):
    """The field is not well-formed; the message repeats nothing of it."""


def dictionary(lines: Iterable[bytes]) -> dict[str, Member]:
    """A dictionary (RFC 9651 3.2), its lines combined. Raises ``FieldRefused``."""
    parsed: dict[str, Member] = parse(lines, "dictionary")
    return parsed


def parse(lines: Iterable[bytes], kind: Kind) -> Any:
    """A field of any kind. Raises ``FieldRefused``."""
    value = b", ".join(lines)
    if len(value) > MAX_BYTES:
        raise FieldRefused(f"the field is longer than {MAX_BYTES} bytes")
    try:
        return http_sf.parse(value, tltype=kind, on_duplicate_key=_twice)
    except http_sf.StructuredFieldError as error:
        raise FieldRefused("the field is not a structured field of its kind") from error


def serialised(value: Any) -> str:
    """The canonical text of a field, a member or an item (RFC 9651 4.1).

    Raises ``FieldRefused`` for what has none, such as an empty dictionary.
    """
    try:
        return http_sf.ser(value)
    except (ValueError, TypeError) as error:
        raise FieldRefused("the value has no serialisation") from error


def _twice(key: str, context: str) -> None:
    raise FieldRefused(f"a {context} stands twice in the field")
