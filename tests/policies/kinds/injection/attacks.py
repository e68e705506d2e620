"""The attacks of ``../shared/vectors/injection`` as requests that this gateway would see.

gotestwaf: each payload times its encoders times its places. OWASP CRS regression: each test as it
stands; a ``no_expect`` test says only that one rule of theirs is silent.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from apis.gateway.canonical import TargetRefused, canonical_path, split_target
from policies.core.values import Call, Headers, Request

VECTORS = Path(__file__).parents[5] / "shared" / "vectors" / "injection"
BOUNDARY = "a1b2c3"


class Case(NamedTuple):
    """One request. ``call`` is None where the gateway's own parser refuses the request."""

    source: str
    group: str
    kind: str
    name: str
    call: Call | None
    body: bytes = b""


def make_case(
    source: str,
    group: str,
    kind: str,
    name: str,
    *,
    target: str = "/api",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    method: str = "GET",
) -> Case:
    fields = [(k.lower().encode(), str(v).encode()) for k, v in (headers or {}).items()]
    try:
        raw, query = split_target(target.encode())
        path = canonical_path(raw)
    except TargetRefused:
        return Case(source, group, kind, name, None)
    if any(b"\r" in v or b"\n" in v or b"\0" in v for _, v in fields):
        return Case(source, group, kind, name, None)
    request = Request(
        method, "api.example", path, query, Headers(fields), "192.0.2.7", body_length=len(body)
    )
    return Case(source, group, kind, name, Call(request, "r", 0.0), body)


# gotestwaf

_KINDS = {
    "SQL Injection": "sqli", "8KB SQL Injection": "sqli", "XSS": "xss", "8KB XSS": "xss",
    "LFI": "traversal", "community-lfi-multipart": "traversal", "Path Traversal": "traversal",
    "RCE": "command", "8KB RCE": "command", "Shell": "command", "RawRequest test": "command",
    "SS Injection": "command", "SST Injection": "command", "CRLF Injection": "crlf",
    "Mail Injection": "crlf", "NoSQL Injection": "nosql", "XXE": "xxe",
}  # fmt: skip
_ENCODERS = {
    "Plain": lambda text: text,
    "URL": lambda text: quote(text, safe=""),
    "Base64Flat": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
}


def gotestwaf() -> Iterator[Case]:
    for row in json.loads((VECTORS / "gotestwaf.json").read_text()):
        for payload in row["payload"]:
            for encoder in row["encoder"]:
                for place in row["placeholder"]:
                    yield _placed(row, payload, encoder, place)


_PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="test"\r\n\r\n'
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_BODIES = {  # place: media type, what stands before and after the payload
    "HTMLForm": ("application/x-www-form-urlencoded", "test=", ""),
    "HTMLMultipartForm": (
        f"multipart/form-data; boundary={BOUNDARY}",
        _PART,
        f"\r\n--{BOUNDARY}--",
    ),
    "XMLBody": ("application/xml", "", ""),
    "SOAPBody": (
        "application/soap+xml",
        f'<s:Envelope xmlns:s="{_SOAP}"><s:Body><a>',
        "</a></s:Body></s:Envelope>",
    ),
    "gRPC": ("application/grpc", "\0\0\0\0\x10\n\x10", ""),
}


def _placed(row: dict[str, Any], payload: str, encoder: str, place: Any) -> Case:
    kind = (
        "benign" if row["set"] == "false-pos" else _KINDS.get(row["type"]) or _mixed(row, payload)
    )
    title = place if isinstance(place, str) else next(iter(place))
    head = ("gotestwaf", f"{row['set']} {row['type']}", kind, f"{encoder} {title} {payload}")
    text = _ENCODERS[encoder](payload)
    escaped = text if encoder == "URL" else quote(text, safe="")
    if title == "URLParam":
        return make_case(*head, target=f"/api?test={escaped}")
    if title == "URLPath":
        return make_case(*head, target=f"/{text}")
    if title in ("Header", "UserAgent"):
        return make_case(*head, headers={"X-Test" if title == "Header" else "User-Agent": text})
    if title == "JSONRequest":
        return _posted(head, "application/json", json.dumps({"test": text}))
    if title in _BODIES:
        media, before, after = _BODIES[title]
        return _posted(head, media, before + (escaped if title == "HTMLForm" else text) + after)
    if title == "GraphQL":
        if place[title]["method"] == "POST":
            return _posted(head, "application/json", text)
        return make_case(*head, target=f"/graphql?query={escaped}")
    return _raw(head, place["RawRequest"], text)


def _raw(head: tuple[str, str, str, str], request: dict[str, Any], text: str) -> Case:
    def fill(part: str) -> str:
        return part.replace("{{payload}}", text)

    return make_case(
        *head,
        target=request["path"],
        headers={name: fill(value) for name, value in request.get("headers", {}).items()},
        body=fill(request["body"]).encode(),
        method=request["method"],
    )


def _posted(head: tuple[str, str, str, str], media: str, body: str) -> Case:
    return make_case(*head, headers={"Content-Type": media}, body=body.encode(), method="POST")


def _mixed(row: dict[str, Any], payload: str) -> str:
    """Rows that mix classes: the payload says which."""
    if not str(row["type"]).startswith(("REST", "SOAP", "gRPC")):
        return "other"
    return "sqli" if "select" in payload or "JSON_DEPTH" in payload else "xss"


# OWASP CRS

# What each family is about; "code" (PHP, Java, Node), "files" (names of files to fetch) and
# "other" are no class of ours. Rules of CRS's default paranoia level (1) are told apart from
# the rest of family 942, which fires on single operators and quotes by design.
_FAMILIES = {
    "942": "sqli, paranoia 2-4", "941": "xss", "930": "files", "932": "command",
    "933": "code", "934": "code", "944": "code",
}  # fmt: skip
_DEFAULT_SQLI = (
    942100, 942140, 942151, 942160, 942170, 942190, 942220, 942230, 942240, 942250, 942270,
    942280, 942320, 942350, 942360, 942500, 942540, 942550, 942560,
)  # fmt: skip
_RULES = {
    **dict.fromkeys(_DEFAULT_SQLI, "sqli"), 942290: "nosql",
    **dict.fromkeys(range(921110, 921180), "crlf"), 921190: "crlf",
    920270: "nul", 930100: "traversal", 930110: "traversal",
}  # fmt: skip


def crs(positive: bool = True) -> Iterator[Case]:
    for path in sorted((VECTORS / "crs").glob("REQUEST-*.json")):
        for test in json.loads(path.read_text()):
            rules = test.get("expect" if positive else "no_expect")
            if rules and "encoded" not in test:  # ten are whole raw connections: the door's part
                yield _crs_case(test, rules[0], positive)


def _crs_case(test: dict[str, Any], rule: int, positive: bool) -> Case:
    kind = _RULES.get(rule) or _FAMILIES.get(str(rule)[:3], "other")
    headers = dict(test["headers"])
    body = (test.get("data") or "").encode()
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return make_case(
        "crs", str(rule), kind if positive else "benign", f"{test['rule']}-{test['test']}",
        target=test["uri"], headers=headers, body=body, method=test["method"],
    )  # fmt: skip
