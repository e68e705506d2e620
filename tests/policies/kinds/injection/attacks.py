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
    source: str, group: str, kind: str, name: str, *, target: str = "/api",
    headers: dict[str, str] | None = None, body: bytes = b"", method: str = "GET",
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


def _placed(row: dict[str, Any], payload: str, encoder: str, place: Any) -> Case:
    group, text = f"{row['set']} {row['type']}", _ENCODERS[encoder](payload)
    kind = "benign" if row["set"] == "false-pos" else _KINDS.get(str(row["type"])) or _mixed(row, payload)
    head = ("gotestwaf", group, kind)
    name = f"{encoder} {place if isinstance(place, str) else next(iter(place))} {payload}"
    escaped = text if encoder == "URL" else quote(text, safe="")
    match place:
        case "URLParam":
            return make_case(*head, name, target=f"/api?test={escaped}")
        case "URLPath":
            return make_case(*head, name, target=f"/{text}")
        case "HTMLForm":
            return _posted(head, name, "application/x-www-form-urlencoded", f"test={escaped}")
        case "HTMLMultipartForm":
            body = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="test"\r\n\r\n{text}\r\n--{BOUNDARY}--\r\n'
            return _posted(head, name, f"multipart/form-data; boundary={BOUNDARY}", body)
        case "JSONRequest":
            return _posted(head, name, "application/json", json.dumps({"test": text}))
        case "Header":
            return make_case(*head, name, headers={"X-Test": text})
        case "UserAgent":
            return make_case(*head, name, headers={"User-Agent": text})
        case "XMLBody":
            return _posted(head, name, "application/xml", text)
        case "SOAPBody":
            body = f'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><a>{text}</a></soap:Body></soap:Envelope>'
            return _posted(head, name, "application/soap+xml", body)
        case "gRPC":
            framed = text.encode()
            return _posted(head, name, "application/grpc", "\0\0\0\0\x10\n\x10" + framed.decode())
    return _special(head, name, place, text)


def _special(head: tuple[str, str, str], name: str, place: dict[str, Any], text: str) -> Case:
    if "GraphQL" in place:
        if place["GraphQL"]["method"] == "POST":
            return _posted(head, name, "application/json", text)
        return make_case(*head, name, target=f"/graphql?query={quote(text, safe='')}")
    raw = place["RawRequest"]
    fill = lambda part: part.replace("{{payload}}", text)  # noqa: E731
    headers = {k: fill(v) for k, v in raw.get("headers", {}).items()}
    return make_case(*head, name, target=raw["path"], headers=headers, body=fill(raw["body"]).encode(), method=raw["method"])


def _posted(head: tuple[str, str, str], name: str, media: str, body: str) -> Case:
    return make_case(*head, name, headers={"Content-Type": media}, body=body.encode(), method="POST")


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
    headers = dict(test.get("headers") or {})
    body = (test.get("data") or "").encode()
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return make_case(
        "crs", str(rule), kind if positive else "benign", f"{test['rule']}-{test['test']}",
        target=test.get("uri") or "/", headers=headers, body=body, method=test.get("method") or "GET",
    )  # fmt: skip
