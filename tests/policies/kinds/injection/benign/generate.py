"""Makes ``benign.jsonl``: realistic values of APIs that no policy may take for an attack.

``python -m tests.policies.kinds.injection.benign.generate`` writes the file, which is committed;
the same templates and words give the same file. Rules:

1. A template is a line of ``templates/*.lines`` or a block of ``*.blocks`` (between ``§``).
   A word in single guillemets is a slot, filled from ``vocabulary``; ``⏎`` and ``␍`` are LF and CR.
2. ``origin`` is the beginning of the SHA-256 of the template (of the value where none was used).
3. Held out is what has ``int(origin, 16) % 5 == 0``: whole templates, about a fifth. It was
   fixed before there was an engine. Held-out values are measured, never looked at for tuning.
"""

import hashlib
import json
import random
import re
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.policies.kinds.injection.benign.vocabulary import SLOTS

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "benign.jsonl"
_SLOT = re.compile("\u2039([A-Za-z0-9]+)\u203a")
_FILLS = 8  # values a template gives at most
_TRIES = 40
_TOKENS = 60  # values of each form in ``tokens``


class Value(NamedTuple):
    category: str
    origin: str
    text: str

    @property
    def held_out(self) -> bool:
        return int(self.origin, 16) % 5 == 0


def read() -> list[Value]:
    """The committed corpus."""
    return [Value(*json.loads(line)) for line in CORPUS.read_text().splitlines()]


def make() -> Iterator[Value]:
    seen: set[str] = set()
    for category, template, text in (*_filled(), *_tokens()):
        if text not in seen:
            seen.add(text)
            yield Value(category, hashlib.sha256(template.encode()).hexdigest()[:8], text)


def _filled() -> Iterator[tuple[str, str, str]]:
    for path in sorted((FOLDER / "templates").iterdir()):
        separator = "\n§\n" if path.suffix == ".blocks" else "\n"
        for template in path.read_text().rstrip("\n").split(separator):
            texts = dict.fromkeys(_fill(template, random.Random(template)))
            for text in list(texts)[:_FILLS]:
                yield path.stem, template, text


def _fill(template: str, rng: random.Random) -> Iterator[str]:
    raw = template.replace("⏎", "\n").replace("␍", "\r")
    for _ in range(_TRIES):
        yield _SLOT.sub(lambda match: SLOTS[match[1]](rng), raw)


def _tokens() -> Iterator[tuple[str, str, str]]:
    """Values without words: ids, encodings, numbers. Each is an origin of its own."""
    rng = random.Random("tokens")
    for _ in range(_TOKENS):
        raw = rng.randbytes(rng.randint(6, 90))
        number = rng.uniform(-1e6, 1e6)
        day = f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        for text in (
            b64encode(raw).decode(),
            urlsafe_b64encode(raw).decode().rstrip("="),
            raw.hex(),
            raw.decode("latin-1").encode("unicode_escape").decode(),
            _jwt(rng),
            str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
            f"{number:.{rng.randint(0, 6)}f}",
            f"{number:e}",
            f"{rng.uniform(-90, 90):.5f},{rng.uniform(-180, 180):.5f}",
            f"{day}T{rng.randint(0, 23):02}:00:00+02:00",
            ":".join(f"{b:02x}" for b in rng.randbytes(6)),
            "sha256-" + b64encode(rng.randbytes(32)).decode(),
            f"$2b$12${b64encode(rng.randbytes(39)).decode()}",
            b64encode(json.dumps({"after": rng.randint(1, 10**9), "by": "name"}).encode()).decode(),
            f"data:application/pdf;base64,{b64encode(rng.randbytes(80)).decode()}",
            f"{rng.randint(0, 255)}.{rng.randint(0, 255)}.0.0/{rng.randint(8, 32)}",
            f"fe80::{rng.randint(1, 65535):x}:{rng.randint(1, 65535):x}",
            "".join(rng.choices("".join(map(chr, range(33, 127))), k=rng.randint(12, 24))),
        ):
            yield "tokens", text, text


def _jwt(rng: random.Random) -> str:
    def part(data: bytes) -> str:
        return urlsafe_b64encode(data).decode().rstrip("=")

    head = json.dumps({"alg": "RS256", "kid": rng.randbytes(4).hex(), "typ": "at+jwt"})
    body = json.dumps({"iss": "https://login.example.com", "sub": str(rng.randint(1, 10**6))})
    return ".".join((part(head.encode()), part(body.encode()), part(rng.randbytes(64))))


if __name__ == "__main__":
    lines = [json.dumps(value, ensure_ascii=False) for value in make()]
    CORPUS.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} values")
