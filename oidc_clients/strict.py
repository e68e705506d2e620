"""The encodings of JOSE, read strictly: base64url without padding, and JSON objects.

What two readers could understand differently is refused here, once, for tokens, key sets and
every other document that a provider or a client sends: other alphabets, padding, stray bits,
duplicate members, numbers that are none, text that is not Unicode, unbounded nesting.
"""

import json
from binascii import Error, a2b_base64, b2a_base64
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Levels of objects and arrays within each other; a claims set needs three or four."""

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/...")
_PADDING = (b"", None, b"==", b"=")


class NotStrict(ValueError):
    """The text is not in the strict form; the message never repeats it."""


def base64url(text: bytes) -> bytes:
    """Decode base64url as RFC 7515 2 wants it: no padding, no other characters, and the one
    spelling of each value (RFC 4648 3.5: stray bits in the last character are refused).

    Raises ``NotStrict``.
    """
    padding = _PADDING[len(text) % 4]
    if padding is None:
        raise NotStrict("a base64url text of this length does not exist")
    standard = text.translate(_TO_STANDARD) + padding
    try:
        decoded = a2b_base64(standard)
    except Error as error:
        raise NotStrict("not base64url") from error
    if b2a_base64(decoded, newline=False) != standard:
        raise NotStrict("base64url with stray bits")
    return decoded


def json_object(data: bytes) -> dict[str, Any]:
    """Decode one JSON object (RFC 8259) in UTF-8.

    Refuses duplicate members, NaN and infinities (also as ``1e400``), lone surrogates and more
    than ``MAX_DEPTH`` levels. The caller bounds the size. Raises ``NotStrict``.
    """
    try:
        text = data.decode()
        value = _decoder.decode(text)
    except NotStrict:
        raise
    except RecursionError as error:
        raise NotStrict("JSON nested too deeply") from error
    except ValueError as error:
        raise NotStrict("not JSON in UTF-8") from error
    if type(value) is not dict:
        raise NotStrict("not a JSON object")
    _check_depth(value)
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("a JSON object has a member twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise NotStrict("NaN and infinities are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise NotStrict("a number is too large")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite
)


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise NotStrict("JSON nested too deeply")


def _check_surrogates(value: dict[str, Any]) -> None:
    """A lone surrogate is no character: such text could not be written to a header or a log."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotStrict("a string holds half a character") from error
