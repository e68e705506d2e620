"""Where values stand in the head of a request: path, query and headers.

A value's name is said in refusals only if it is harmless itself.
"""

import re

from policies.core.values import Headers, Request
from policies.kinds.injection.engine import Value

PLAIN = re.compile(
    r"(?s:.|[A-Za-z0-9_.:-]{0,7})\Z"
)  # too short and plain for any attack, even in base64
_PLAIN_PAIR = re.compile(r"[A-Za-z0-9_.:-]{0,7}(?:=[A-Za-z0-9_.:-]{0,7})?\Z")
_SAYABLE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}\Z")

# Not inspected: what this gateway reads itself by its own strict grammar (framing, routing,
# conditions, credentials, signatures), and what proxies write. Credentials are random text, and
# what is wrong with them is said by the policy that takes them.
_OWN = frozenset(
    b"host connection content-length transfer-encoding te trailer upgrade expect via date "
    b"content-type content-encoding content-digest repr-digest signature signature-input "
    b"authorization proxy-authorization x-api-key accept accept-encoding accept-language "
    b"accept-charset cache-control pragma if-match if-none-match if-modified-since "
    b"if-unmodified-since if-range range max-forwards forwarded x-forwarded-for x-forwarded-proto "
    b"x-forwarded-host x-request-id traceparent tracestate client-cert client-cert-chain dpop "
    b"sec-ch-ua sec-ch-ua-full-version-list sec-websocket-key sec-websocket-extensions".split()
)


def path_values(path: str) -> list[Value]:
    """The path as a whole, and each segment that is more than a plain word."""
    values = [Value("path", "", path)]
    values += [Value("path", "", part) for part in path.split("/") if not PLAIN.match(part)]
    return values


def query_values(query: bytes) -> list[Value]:
    return form_values("query", query.decode("ascii", "replace"))


def form_values(place: str, text: str) -> list[Value]:
    """Names and values of ``application/x-www-form-urlencoded``, still percent-encoded."""
    values = []
    for pair in text.replace("+", " ").split("&"):
        if _PLAIN_PAIR.match(pair):
            continue
        name, _, value = pair.partition("=")
        if not PLAIN.match(name):
            values.append(Value(place, "", name))
        if not PLAIN.match(value):
            values.append(Value(place, sayable(name), value))
    return values


def header_values(headers: Headers) -> list[Value]:
    """Values of all header lines but those that the gateway reads itself, cookies one by one."""
    values = []
    for name, raw in headers.fields:
        if name in _OWN:
            continue
        text = _text(raw)
        said = sayable(name.decode("latin-1"))
        if name == b"cookie":
            for pair in text.split(";"):
                values += form_values(
                    "headers", pair.strip().replace("+", "%2B").replace("&", "%26")
                )
            continue
        values.append(Value("headers", said, text))
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


def sayable(name: str) -> str:
    """``name`` if repeating it does no harm, else nothing."""
    return name if _SAYABLE.match(name) else ""


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
