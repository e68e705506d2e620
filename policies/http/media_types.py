"""Media types (RFC 9110 8.3.1), as far as policies ask about them. Pure."""

import re
from functools import lru_cache
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*")
_PARAMETER = re.compile(
    rf'[ \t]*;[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t -~])*"))?[ \t]*'
)
_LONGEST = 256  # bytes of a line that is remembered: clients choose them
_ESCAPED = re.compile(r"\\(.)")


class MediaType(NamedTuple):
    """``essence`` is ``type/subtype`` in lower case; the others are empty where none is named."""

    essence: str
    charset: str = ""
    boundary: str = ""  # of a multipart type, as it stands

    @property
    def is_json(self) -> bool:
        """JSON by its name, or by its structured syntax suffix (RFC 8259 11, RFC 6839 3.1)."""
        return self.essence == "application/json" or self.essence.endswith("+json")


def media_type(value: bytes) -> MediaType | None:
    """The media type that a Content-Type line names; None for what names none.

    A parameter that stands twice makes it none: recipients disagree about which one counts.
    """
    return _remembered(value) if len(value) <= _LONGEST else _read(value)


def _read(value: bytes) -> MediaType | None:
    text = value.decode("latin-1")
    found = _TYPE.match(text)
    if found is None:
        return None
    parameters: dict[str, str] = {}
    at = found.end()
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None:
            return None
        at = parameter.end()
        name, given = parameter.groups()
        if name is None:
            continue
        if name.lower() in parameters:
            return None
        parameters[name.lower()] = _unquoted(given)
    charset, boundary = parameters.get("charset", ""), parameters.get("boundary", "")
    return MediaType(found[1].lower(), charset.lower(), boundary)


_remembered = lru_cache(maxsize=1024)(_read)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
