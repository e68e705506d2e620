"""Values in a body: JSON, forms, multipart, XML and plain text.

A body that cannot be read as what it says it is, is read as plain text: an upstream may be more
lenient than we are. A body that cannot be read at all (an unknown content coding or character
set) raises ``Unreadable``, for what cannot be inspected must not pass as inspected.
"""

import re
import zlib
from collections.abc import Iterable
from itertools import repeat
from typing import Any, NamedTuple

import jiter

from policies.core.values import Headers
from policies.http.media_types import MediaType, media_type
from policies.kinds.injection.engine import Value
from policies.kinds.injection.places import LONGEST_PLAIN, PLAIN, form_values

_MOST_INFLATED = 8 * 1024 * 1024  # bytes that a compressed body may become
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"}
_TEXTUAL = ("json", "xml", "urlencoded", "graphql", "javascript", "yaml")  # ends of media types
_UNNAMED = MediaType("")
_MOST_PARTS = 1000  # of a multipart body
_MOST_FIELDS = 10_000  # of a form
_XML_VALUE = re.compile(
    r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)|>([^<>]+)|=\s*\"([^\"]*)\"|=\s*'([^']*)'", re.DOTALL
)
_SHOWN = {"image/svg+xml", "application/xhtml+xml"}  # XML that browsers show: all of it is a value
_DISPOSITION_VALUE = re.compile(r"([\w*]+)=(?:\"([^\"\r\n]*)\"|([^;\s]*))")


class Unreadable(ValueError):
    """The body cannot be inspected; the message is for the client."""


def is_read(headers: Headers) -> bool:
    """Whether the body may hold text. Others (pictures, archives) need not be held."""
    lines = headers.all(b"content-type")
    types = [media_type(line) for line in lines]
    return not types or any(kind is None or _holds_text(kind) for kind in types)


class Body(NamedTuple):
    """What a body holds: its values, and all of it where it is an XML document."""

    values: list[Value]
    document: str = ""


def read(headers: Headers, content: bytes) -> Body:
    """A whole body. Raises ``Unreadable``."""
    lines = headers.all(b"content-type")
    kind = media_type(lines[0]) if lines else _UNNAMED
    if kind is None or len(lines) > 1:
        raise Unreadable("the body does not say which one media type it has")
    content = _decoded(headers.all(b"content-encoding"), content)
    text = _text(kind.charset or "utf-8", content)
    essence = kind.essence
    whole = Value("body", "", text)
    if essence.endswith("json"):
        return Body(_json(content, whole))
    if essence.endswith("urlencoded"):
        return Body(_form(text))
    if essence.startswith("multipart/"):
        return Body(_multipart(kind.boundary, whole))
    if essence.endswith("xml"):
        return Body(_xml(text) + ([whole] if essence in _SHOWN else []), text)
    return Body([whole, *(_form(text) if kind is _UNNAMED else ())])


def _holds_text(kind: MediaType) -> bool:
    return kind.essence.startswith(("text/", "multipart/")) or kind.essence.endswith(_TEXTUAL)


def _form(text: str) -> list[Value]:
    if text.count("&") >= _MOST_FIELDS:
        raise Unreadable("the body has more fields than are inspected")
    return form_values("body", text)


def _json(content: bytes, whole: Value) -> list[Value]:
    try:
        document = jiter.from_json(content, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError:
        return [whole]
    texts: dict[str, str] = {}  # and the name that each has where it is met first
    keys: dict[str, None] = {}
    left: list[tuple[str, Any]] = [("", [document])]
    while left:
        name, node = left.pop()
        items: Iterable[tuple[str, Any]] = zip(repeat(name), node)
        if type(node) is dict:
            keys |= dict.fromkeys(node)
            items = node.items()
        for label, item in items:
            kind = type(item)
            if kind is str:
                texts.setdefault(item, label)
            elif kind is dict or kind is list:
                left.append((label, item))
    values = [
        Value("body", name, text)
        for text, name in texts.items()
        if len(text) > LONGEST_PLAIN or not PLAIN.match(text)
    ]
    values += [Value("body", "", key) for key in keys if not PLAIN.match(key)]
    return values


def _xml(text: str) -> list[Value]:
    """Texts and attributes: the elements around them are structure, whatever their names."""
    inside = dict.fromkeys(["".join(found).strip() for found in _XML_VALUE.findall(text)])
    return [Value("body", "", part) for part in inside if not PLAIN.match(part)]


def _multipart(boundary: str, whole: Value) -> list[Value]:
    """Names, file names and textual contents of the parts (RFC 7578)."""
    delimiter, text = "--" + boundary, whole.text
    if not boundary or delimiter not in text:
        return [whole]
    if text.count(delimiter) > _MOST_PARTS:
        raise Unreadable("the body has more parts than are inspected")
    values: list[Value] = []
    for part in text.split(delimiter)[1:]:
        head, _, content = part.replace("\r\n", "\n").lstrip("\n").partition("\n\n")
        fields = {
            name.lower(): quoted or bare for name, quoted, bare in _DISPOSITION_VALUE.findall(head)
        }
        values += [Value("body", "", value) for value in fields.values() if not PLAIN.match(value)]
        if "filename" in fields and not _is_text(head):
            continue
        values.append(Value("body", fields.get("name", ""), content.removesuffix("\n")))
    return values


def _is_text(head: str) -> bool:
    kind = re.search(r"(?im)^content-type:\s*([\w.+/-]+)", head)
    if kind is None:
        return False
    media = kind[1].lower()
    return media.startswith("text/") or media.endswith(("json", "xml"))


def _decoded(lines: list[bytes], content: bytes) -> bytes:
    """The content without its content coding (RFC 9110 8.4), if that is gzip or deflate."""
    codings = [coding.strip().lower() for coding in b",".join(lines).split(b",")]
    codings = [coding for coding in codings if coding not in (b"", b"identity")]
    if not codings:
        return content
    if len(codings) > 1 or codings[0] not in (b"gzip", b"x-gzip", b"deflate"):
        raise Unreadable("the body has a content coding that cannot be inspected")
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = inflate.decompress(content, _MOST_INFLATED)
    except zlib.error:
        raise Unreadable("the body is not in the content coding that it declares") from None
    if not inflate.eof or inflate.unused_data:
        raise Unreadable("the body is too large once it is decompressed, or not one whole stream")
    return plain


def _text(charset: str, content: bytes) -> str:
    if charset not in _CHARSETS:
        raise Unreadable("the body has a character set that cannot be inspected")
    try:
        return content.decode(charset)
    except UnicodeDecodeError:
        return content.decode("latin-1")
