"""How a value stands in a path, query, header or cookie: every style, exploded or not.

The inverse of RFC 6570 (3.2.2, 3.2.5, 3.2.7, 3.2.8) and of what OpenAPI adds to it. What comes out
are texts: a text, a list of texts, or a mapping of texts. A delimiter is one only where it stands
as itself; percent-encoded it belongs to the text. Pieces are decoded after they were split. A blank
and ``|`` are the exception: they cannot stand in a query otherwise than encoded, so in the styles
that they delimit they always do.

=============== =========== ======================= ================== ==========================
style           in          text                    array              object
=============== =========== ======================= ================== ==========================
simple          path,header blue                    blue,black         R,1,G,2
simple *                    blue                    blue,black         R=1,G=2
label           path        .blue                   .blue,black        .R,1,G,2
label *                     .blue                   .blue.black        .R=1.G=2
matrix          path        ;c=blue                 ;c=blue,black      ;c=R,1,G,2
matrix *                    ;c=blue                 ;c=blue;c=black    ;R=1;G=2
form            query,cookie c=blue                 c=blue,black       c=R,1,G,2
form *                      c=blue                  c=blue&c=black     R=1&G=2
spaceDelimited  query       -                       c=blue%20black     c=R%201%20G%202
spaceDelimited *            -                       c=blue&c=black     -
pipeDelimited   query       -                       c=blue|black       c=R|1|G|2
pipeDelimited *             -                       c=blue&c=black     -
deepObject      query       -                       -                  c[R]=1&c[G]=2
=============== =========== ======================= ================== ==========================

(``*``: exploded.)
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from policies.openapi.texts import Malformed, decoded

Texts = str | list[str] | dict[str, str | list[str]]
Decode = Callable[[bytes], str]

STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_DELIMITED = {
    "spaceDelimited": re.compile(rb"%20|\+| "),
    "pipeDelimited": re.compile(rb"\||%7[Cc]"),
}
_COMMA = re.compile(rb",")


class Serialisation(NamedTuple):
    """How one parameter is written. ``kind``: text, array or object."""

    style: str
    explode: bool
    kind: str

    def problem(self, where: str) -> str | None:
        """Why nothing can be written so in ``where``."""
        if self.style not in STYLES[where]:
            return f"in {where} there is no style {self.style}"
        if self.style == "deepObject" and self.kind != "object":
            return "deepObject is for objects alone"
        if self.style in _DELIMITED and self.kind == "text":
            return f"{self.style} is for arrays and objects"
        if self.style in _DELIMITED and self.kind == "object" and self.explode:
            return f"{self.style} is not exploded for objects"
        return None

    @property
    def spreads(self) -> bool:
        """Whether its pairs are named by its members and not by itself."""
        return self.style == "form" and self.explode and self.kind == "object"

    @property
    def repeats(self) -> bool:
        """Whether its name may stand more than once."""
        return self.explode and self.kind == "array"


def from_segment(how: Serialisation, name: str, raw: bytes) -> Texts:
    """The value of a path segment. Raises ``Malformed``."""
    if how.style == "simple":
        return _split(how, raw, b",", decoded)
    if how.style == "label":
        if not raw.startswith(b"."):
            raise Malformed("it must begin with a dot")
        return _split(how, raw[1:], b"." if how.explode else b",", decoded)
    return _from_matrix(how, name, raw)


def from_header(how: Serialisation, lines: Sequence[bytes]) -> Texts:
    """The value of a header that stands on some lines (RFC 9110 5.3). Raises ``Malformed``."""
    if how.kind == "text":
        if len(lines) != 1:
            raise Malformed("it is given more than once")
        return _plain(lines[0])
    return _split(how, b",".join(lines), b",", _plain)


def from_values(how: Serialisation, values: Sequence[bytes], decode: Decode) -> Texts:
    """The value of the pairs that bear a parameter's name. Raises ``Malformed``."""
    if how.repeats:
        return [decode(value) for value in values]
    if len(values) != 1:
        raise Malformed("it is given more than once")
    delimiter = _DELIMITED.get(how.style, _COMMA)
    if how.kind == "text":
        return decode(values[0])
    return _parts(how.kind, [decode(part) for part in delimiter.split(values[0])])


def _from_matrix(how: Serialisation, name: str, raw: bytes) -> Texts:
    if not raw.startswith(b";"):
        raise Malformed("it must begin with a semicolon")
    parts = raw[1:].split(b";")
    if how.explode and how.kind == "object":
        return _members([_pair(part, decoded) for part in parts])
    pairs = [part.partition(b"=") for part in parts]
    if any(decoded(key) != name for key, _, _ in pairs):
        raise Malformed("it must be named by its name alone")
    return from_values(how, [value for _, _, value in pairs], decoded)


def _split(how: Serialisation, raw: bytes, delimiter: bytes, decode: Decode) -> Texts:
    if how.kind == "text":
        return decode(raw)
    parts = raw.split(delimiter)
    if how.kind == "object" and how.explode:
        return _members([_pair(part, decode) for part in parts])
    return _parts(how.kind, [decode(part) for part in parts])


def _parts(kind: str, parts: list[str]) -> Texts:
    if kind == "array":
        return parts
    if len(parts) % 2:
        raise Malformed("it must be names and values by turns")
    return _members(list(zip(parts[::2], parts[1::2], strict=True)))


def _pair(part: bytes, decode: Decode) -> tuple[str, str]:
    name, equals, value = part.partition(b"=")
    if not equals:
        raise Malformed("it must be pairs of a name and a value")
    return decode(name), decode(value)


def _members(pairs: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    members: dict[str, str | list[str]] = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a member is given more than once")
    return members


def _plain(raw: bytes) -> str:
    """Header values are not percent-encoded."""
    try:
        return raw.strip(b" \t").decode()
    except UnicodeDecodeError:
        raise Malformed("the text is not UTF-8") from None
