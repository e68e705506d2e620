"""Messages as RFC texts print them, and the vectors that hold them."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies.core.values import Headers
from policies.http.components import RequestMessage, ResponseMessage

VECTORS = Path(__file__).parents[3] / "../shared/vectors"


def vectors(name: str) -> Any:
    """The content of a vector file; skips where the vectors are absent."""
    path = VECTORS / name
    if not path.exists():
        pytest.skip("../shared/vectors is absent")
    return json.loads(path.read_text())


def headers(text: str) -> Headers:
    """Field lines, folded ones unfolded (RFC 9421 2.1), as a door hands them on."""
    fields: list[tuple[bytes, bytes]] = []
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            name, value = fields.pop()
            fields.append((name, value + b" " + line.strip().encode()))
        else:
            name, _, value = line.partition(":")
            fields.append((name.lower().encode(), value.replace("(SP)", "").strip().encode()))
    return Headers(fields)


def request(text: str, scheme: str = "https") -> tuple[RequestMessage, bytes]:
    """A printed request and its content."""
    head, _, content = text.partition("\n\n")
    line, _, rest = head.partition("\n")
    method, target, _ = line.split(" ")
    path, mark, query = target.partition("?")
    fields = headers(rest)
    authority = (fields.get(b"host") or b"").decode()
    raw_query = query.encode() if mark else None
    return RequestMessage(method, scheme, authority, path, raw_query, fields), content.encode()


def response(
    text: str, answered: RequestMessage | None = None, trailers: str = ""
) -> tuple[ResponseMessage, bytes]:
    """A printed response and its content."""
    head, _, content = text.partition("\n\n")
    line, _, rest = head.partition("\n")
    status = int(line.split(" ")[1])
    return ResponseMessage(status, headers(rest), answered, headers(trailers)), content.encode()


def with_fields(text: str, fields: str) -> str:
    """A printed message with further field lines."""
    head, gap, content = text.partition("\n\n")
    return f"{head}\n{fields}{gap}{content}"
