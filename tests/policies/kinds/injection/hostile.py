"""Bodies made to be slow to inspect, and what they cost.

``python -m tests.policies.kinds.injection.hostile`` prints the milliseconds that 1 MiB of each
takes: the first time, when the automata still grow by what they meet, and then.
"""

import json
import logging
import string
from collections.abc import Callable
from functools import partial
from random import Random
from time import process_time
from urllib.parse import quote

from policies.core.values import Call, Decision, Headers, Request
from policies.kinds.injection import Injection, InjectionConfig

MIB = 1024 * 1024
PIECES = [
    "' or 1=1 -- ", "union all select ", "<svg onload=", "javascript:alert(", " && cat /etc/passwd",
    "../..", "${jndi:", "\r\nset-cookie: x", "<!entity x system", "$where:", "order by 1,",
    "case when 1 then", "/* a */", "/*", "*/", " 'x' ", '"y"', "`z`", "(select ", "{{7*7}}", "%27",
    "%2527", "&lt;", r"\u0027", "\uff1c", "it's", "plain words ", "admin'--", "0x414141", "\n", ";",
    "MSBvciAxPTE=",
    "MSBvciAxPTE%253D", "\x1e", "%1e", "%0a%1e%0a", "MSBvciAxPTE&#61;", "AND 7=(", "O'Brien",
]  # fmt: skip
_ENCODED = ["%2527", "%25", "\uff07 ", "&amp;#39;", "\\u005cu0027", "/*", "*/", " or ", "select "]
_KEYWORDS = ["select ", "union ", "from ", " or ", "1=1 ", "'", '"', "(", ")", ";", "--", "<p "]

Text = Callable[[int], str]  # of so many characters


def _repeated(piece: str) -> Text:
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def _mixed(pieces: list[str]) -> Text:
    def text(size: int) -> str:
        draw = Random(5)
        return "".join(draw.choices(pieces, k=size))[:size]

    return text


def _wrapped(size: int) -> str:
    text = _mixed(list(string.printable))(size // 4)
    return quote(quote(quote(text, safe=""), safe=""), safe="")[:size]


TEXTS: dict[str, Text] = {
    "one letter": _repeated("a"),
    "quotes": _repeated("'"),
    "backslashes": _repeated("\\"),
    "percent": _repeated("%25"),
    "percent apart": _repeated("%41a"),
    "percent, not ASCII": _repeated("%c3%a9a"),
    "references": _repeated("&amp;amp;"),
    "references apart": _repeated("&lt;"),
    "no references": _repeated("&a"),
    "escapes": _repeated(r"\u0027"),
    "comments": _repeated("/**/"),
    "conditional comments": _repeated("/*!*/"),
    "open comments": _repeated("/*"),
    "brackets": _repeated("<a "),
    "climbing": _repeated("../"),
    "conditions": _repeated("or 1"),
    "fullwidth": _repeated("\uff53"),
    "ligatures": _repeated("\ufdfa"),
    "invisible": _repeated("a\u200b"),
    "base64": _repeated("QUFB"),
    "spaces": _repeated(" "),
    "everything": _mixed(PIECES),
    "printable": _mixed(list(string.printable)),
    "encoded": _mixed(_ENCODED),
    "keywords": _mixed(_KEYWORDS),
    "wrapped": _wrapped,
}


Values = Callable[[int], list[str]]  # which take about so many characters in JSON


def _numbered(*texts: str) -> Values:
    """Distinct texts, by turns."""

    def values(size: int) -> list[str]:
        found: list[str] = []
        while size > 0:
            turn, which = divmod(len(found), len(texts))
            found.append(f"{texts[which]}{turn:x}")
            size -= len(found[-1]) + 3
        return found

    return values


# The halves of an attack by turns: each group of them is suspicious, and no value is an attack.
LISTS: dict[str, Values] = {
    "quotes": _numbered("'"),
    "the same": lambda size: ["''"] * (size // 5),
    "halves": _numbered("if(", "/*!"),
    "encoded halves": _numbered("/*!%2527", "if(%2527"),
    "escaped halves": _numbered("/*!&amp;#39;\\", "if(&amp;#39;\\"),
    "halves apart": _numbered(*["/*!"] * 9, *["if("] * 9),
    "sentences": _numbered("case when it's so, then not: ", "select some of them from all of "),
    "words": _numbered("a plain word "),
}


Body = tuple[bytes, bytes]  # its media type and its content


def _text(text: Text, size: int) -> Body:
    return b"text/plain", text(size).encode()[:size].decode(errors="ignore").encode()


def _json(values: Values, size: int) -> Body:
    listed = json.dumps(values(size), separators=(",", ":"), ensure_ascii=False)
    return b"application/json", listed.encode()


def _xml(values: Values, size: int) -> Body:
    return b"application/xml", "".join(f"<a>{text}" for text in values(size))[:size].encode()


def _form(values: Values, size: int) -> Body:
    pairs = map(quote, values(size)[:10_000])
    return b"application/x-www-form-urlencoded", "&".join(pairs)[:size].encode()


def _members(size: int) -> Body:
    return b"application/json", json.dumps(dict.fromkeys(_numbered("'")(size * 2 // 3), 1)).encode()


def _part(size: int) -> Body:
    fields = _repeated("a=' ")(size)
    return b"multipart/form-data; boundary=b", f"--b\n{fields}".encode()


BODIES: dict[str, Callable[[int], Body]] = {  # of at most about so many bytes
    **{f"{name}, text": partial(_text, text) for name, text in TEXTS.items()},
    **{f"{name}, JSON": partial(_json, values) for name, values in LISTS.items()},
    **{f"{name}, XML": partial(_xml, values) for name, values in LISTS.items()},
    **{f"{name}, form": partial(_form, values) for name, values in LISTS.items()},
    "members, JSON": _members,
    "fields of a part": _part,
}


def inspect(policy: Injection, media: bytes, content: bytes) -> Decision:
    """What is decided of a whole body, in this thread."""
    headers = Headers([(b"content-type", media)])
    request = Request("POST", "h", "/", None, headers, "192.0.2.1", body_length=len(content))
    return policy._inspect(Call(request, "r", 0.0), content)


def main() -> None:
    logging.disable(logging.CRITICAL)
    policy = Injection(InjectionConfig(), None)  # type: ignore[arg-type]
    print(f"{'':28} {'bytes':>9} {'first':>6} {'then':>6}")
    for name, body in BODIES.items():
        media, content = body(MIB)
        times = []
        for _ in range(4):
            before = process_time()
            decision = inspect(policy, media, content)
            times.append(1000 * (process_time() - before))
        said = type(decision).__name__
        print(f"{name:28} {len(content):9} {times[0]:6.0f} {min(times[1:]):6.0f} {said}")


if __name__ == "__main__":
    main()
