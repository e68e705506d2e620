"""Where values stand in the head of a request: path, query and headers."""

import re

from policies.core.values import Headers, Request
from policies.http.fields import HOP_BY_HOP, RESERVED, SAID_UPSTREAM
from policies.kinds.injection.engine import Value

LONGEST_PLAIN = 7
# One character, or a few plain ones: too little for any attack, even in base64.
PLAIN = re.compile(r"(?s:[A-Za-z0-9_.:-]{0,7}|.)\Z")
_PLAIN_PAIR = re.compile(r"[A-Za-z0-9_.:-]{0,7}(?:=[A-Za-z0-9_.:-]{0,7})?\Z")
_NAME = re.compile(r"[\w.\[\]%-]+\Z")

# Not inspected: lines that no upstream gets as the client wrote them, and credentials and proofs,
# which are random text whose own policies say what is wrong with them.
_OWN = (
    HOP_BY_HOP
    | RESERVED
    | SAID_UPSTREAM
    | frozenset(b"authorization dpop signature signature-input content-digest repr-digest".split())
)


def path_values(path: str) -> list[Value]:
    """The path as a whole, and each segment that is more than a plain word."""
    values = [Value("path", "", path)]
    values += [Value("path", "", part) for part in path.split("/") if not PLAIN.match(part)]
    return values


def query_values(query: bytes) -> list[Value]:
    return form_values("query", query.decode("ascii", "replace"))


def form_values(place: str, text: str) -> list[Value]:
    """Names and values of ``application/x-www-form-urlencoded``, still percent-encoded.

    A pair that is there again is not named again.
    """
    values = []
    for pair in dict.fromkeys(text.replace("+", " ").split("&")):
        if _PLAIN_PAIR.match(pair):
            continue
        name, _, value = pair.partition("=")
        if not PLAIN.match(name):
            values.append(Value(place, "", name))
            if value and not _NAME.match(name):  # perhaps no pair, but a text with = in it
                values.append(Value(place, "", pair))
        if not PLAIN.match(value):
            values.append(Value(place, name, value))
    return values


def header_values(headers: Headers) -> list[Value]:
    """Values of all header lines that are inspected, cookies one by one."""
    values = []
    for name, raw in headers.fields:
        if name in _OWN:
            continue
        text = _text(raw)
        if name == b"cookie":
            for pair in text.split(";"):
                values += form_values(
                    "headers", pair.strip().replace("+", "%2B").replace("&", "%26")
                )
            continue
        values.append(Value("headers", name.decode("latin-1"), text))
        if name in (b"referer", b"origin") and "?" in text:
            values += form_values("headers", text.partition("?")[2])
    return values


def head_values(request: Request, places: frozenset[str]) -> list[Value]:
    """All values of the head that stand in ``places``."""
    values: list[Value] = []
    if "path" in places:
        values += path_values(request.path)
    if "query" in places and request.query:
        values += query_values(request.query)
    if "headers" in places:
        values += header_values(request.headers)
    return values


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
