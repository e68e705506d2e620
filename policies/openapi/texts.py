"""What the texts of paths, queries, headers, cookies and forms mean: the one table.

=========  ==================================================================================
integer    ``-?(0|[1-9][0-9]*)``: no sign ``+``, no leading zero, blank, ``.``, exponent or ``_``
number     a number as JSON writes it (RFC 8259 6), finite
boolean    ``true`` or ``false``
null       no text: a value that is undefined is left out (RFC 6570 2.3)
string     any text
=========  ==================================================================================

Digits are ASCII digits. A text that fits none of a schema's types stays a text, and the schema
says what is wrong with it. Where a schema takes several types, the first of the table that the
text fits is meant.
"""

import math
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_to_bytes

MAX_DIGITS = 300  # of a whole number; longer ones are no numbers here

_INTEGER = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,4})?\Z")
_BOOLEANS = {"true": True, "false": False}
_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Malformed(ValueError):
    """A text is not what its place asks for; the message repeats nothing of it."""


def scalar(text: str, types: Collection[str]) -> Any:
    """What a text means where values of ``types`` are expected."""
    if "integer" in types and _INTEGER.match(text):
        return int(text)
    if "number" in types and _NUMBER.match(text):
        number = float(text)
        if math.isfinite(number):
            return int(text) if _INTEGER.match(text) else number
    if "boolean" in types and text in _BOOLEANS:
        return _BOOLEANS[text]
    return text


def decoded(raw: bytes, *, plus: bool = False) -> str:
    """A percent-encoded text (RFC 3986 2.1); with ``plus``, ``+`` is a blank as in forms.

    Raises ``Malformed``.
    """
    if plus:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _ENCODED.search(raw):
            raise Malformed("a percent-encoding is incomplete")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Malformed("the text is not UTF-8") from None
