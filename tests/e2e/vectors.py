"""Third-party request smuggling vectors from ``../shared/vectors``, as bytes to send."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ROOT

FOLDER = ROOT.parent / "shared" / "vectors" / "smuggling"
_ESCAPE = re.compile(rb'\\(r|n|t|f|"|\\|x[0-9a-f]{2}|[0-7]{1,3})')
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"f": b"\f", b'"': b'"', b"\\": b"\\"}
_REQUEST_LINE = re.compile(rb"[A-Z-]+ [^\r\n]+ (?:HTTP|RTSP|ICE)/\d\.\d\r\n")


@dataclass(frozen=True)
class Fixture:
    """One llhttp fixture. ``error`` is what strict llhttp says of it; lenient ones have none."""

    title: str
    kind: str
    raw: bytes
    error: str | None

    @property
    def must_be_refused(self) -> bool:
        return self.error is not None or "-lenient" in self.kind

    def with_host(self) -> bytes:
        """The same with a Host in every head that has none, so that it is not refused for that."""
        if re.search(rb"\r\nhost\s*:", self.raw, re.IGNORECASE):
            return self.raw
        return _REQUEST_LINE.sub(lambda match: match[0] + b"Host: a\r\n", self.raw)


def _load(name: str) -> list[dict[str, Any]]:
    path: Path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the vectors are not here: {path.name}")
    content: list[dict[str, Any]] = json.loads(path.read_text())
    return content


def te_mutations() -> list[tuple[str, bytes]]:
    """Names and header lines that look like ``Transfer-Encoding: chunked``."""
    rows = _load("te_mutations.json")
    return [(row["id"], row["header_latin1"].encode("latin-1")) for row in rows]


def llhttp_fixtures(kind: str) -> list[Fixture]:
    """The fixtures of ``kind`` (request or response), all their variants."""
    found = []
    for row in _load("llhttp_fixtures.json"):
        raw = _unescape(row["raw_lf"].replace("\n", "\r\n").encode())
        of = row["type"] or "request"
        if row["type"] is None:  # a URL alone
            raw = b"GET " + raw + b" HTTP/1.1\r\n\r\n"
        if of.partition("-")[0] == kind:
            found.append(Fixture(row["title"], of, raw, row["error"]))
    return found


def _unescape(text: bytes) -> bytes:
    def meant(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code in _PLAIN:
            return _PLAIN[code]
        return bytes([int(code[1:], 16) if code[:1] == b"x" else int(code, 8)])

    return _ESCAPE.sub(meant, text)
