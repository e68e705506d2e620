"""Which declared media type a content has, and which of them a client accepts (RFC 9110 12.5.1)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Generic, TypeVar

from policies.core.values import Headers
from policies.http.media_types import MediaType, media_type
from policies.openapi.contents import covers

T = TypeVar("T")
_LONGEST = 512  # bytes of a field that is remembered: clients choose them
_REFUSED = re.compile(rb"0(?:\.0{0,3})?\Z")  # the weights that mean "not acceptable"


class Declared(Generic[T]):
    """Media types and ranges of a document, each with what stands for it."""

    __slots__ = ("_exact", "_json", "_ranges", "essences")

    def __init__(
        self, entries: Mapping[str, T], json: Mapping[str, T] = MappingProxyType({})
    ) -> None:
        """``json``: what stands for JSON where it is a range that covers it."""
        self._exact = {name: item for name, item in entries.items() if "*" not in name}
        ranges = [(name, item) for name, item in entries.items() if "*" in name]
        self._ranges = sorted(ranges, key=lambda entry: entry[0] == "*/*")
        self._json = json
        self.essences = tuple(entries)

    def of(self, headers: Headers) -> tuple[T, MediaType] | None:
        """What stands for the type of a message's content, and the type; None for one that is
        not declared, not named, or named more than once."""
        line = headers.get(b"content-type")
        if line is None or (headers.repeats and len(headers.all(b"content-type")) > 1):
            return None
        named = media_type(line)
        found = self.find(named) if named is not None else None
        return (found, named) if found is not None and named is not None else None

    def find(self, named: MediaType) -> T | None:
        """What stands for a type: an exact name before ``text/*`` before ``*/*``."""
        exact = self._exact.get(named.essence)
        if exact is not None:
            return exact
        for name, item in self._ranges:
            if covers(name, named.essence):
                return self._json.get(name, item) if named.is_json else item
        return None


def accepts(accept: bytes, offered: tuple[str, ...]) -> bool:
    """Whether an ``Accept`` field takes any of the offered types.

    A type is as welcome as the most specific range that covers it says; a range that is malformed
    covers nothing.
    """
    return (_remembered if len(accept) <= _LONGEST else _accepts)(accept, offered)


def _accepts(accept: bytes, offered: tuple[str, ...]) -> bool:
    ranges = [entry for entry in map(_range, _elements(accept)) if entry is not None]
    return any(_welcome(ranges, essence) for essence in offered)


_remembered = lru_cache(maxsize=256)(_accepts)


def _welcome(ranges: list[tuple[str, bool]], offered: str) -> bool:
    covering = [
        (name.count("*"), not wanted)
        for name, wanted in ranges
        if covers(name, offered) or covers(offered, name)
    ]
    return bool(covering) and not min(covering)[1]


def _range(element: bytes) -> tuple[str, bool] | None:
    """A range and whether it is wanted (``q`` above 0)."""
    parts = element.split(b";")
    named = media_type(parts[0].strip(b" \t"))
    if named is None:
        return None
    for part in parts[1:]:
        name, _, value = part.partition(b"=")
        if name.strip(b" \t").lower() == b"q":
            return named.essence, _REFUSED.match(value.strip(b" \t")) is None
    return named.essence, True


def _elements(line: bytes) -> list[bytes]:
    """The elements of a list (RFC 9110 5.6.1); no parameter of a range needs a quoted comma."""
    return [element for element in line.split(b",") if element.strip(b" \t")]
