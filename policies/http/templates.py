"""Header values made of text and of what is known about a call: ``{identity.subject}``.

A template is compiled once, when its policy is made; for each call it gives a value or none.

1. ``{identity.x}`` is what was proven about the caller, ``{request.x}`` what the request says;
   ``{{`` and ``}}`` are braces. Nothing else is understood, and nothing is ever evaluated.
2. A value of which any part is absent is absent as a whole: no line is written.
3. So is a value that cannot stand in a line as it is. It is never altered: no part of it can
   break the line, and a changed identity would be another identity.
4. Credentials and names that only the gateway may say are no sources: what was stripped from the
   client's lines does not come back under another name.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from policies.core.values import Call, Identity
from policies.http.fields import CREDENTIALS, HOP_BY_HOP, MAX_VALUE, RESERVED, fits, request_name

Source = Callable[[Call], str | None]

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_CLAIMS, _HEADERS = "identity.claims.", "request.headers."


def claim_text(identity: Identity, claim: str) -> str | None:
    """A claim as it is written into a line; None when it is absent or empty.

    ``subject``, ``issuer``, ``client`` and ``scopes`` are the identity's own.
    """
    match claim:
        case "subject" | "sub":
            return identity.subject or None
        case "issuer" | "iss":
            return identity.issuer or None
        case "client":
            return identity.client or None
        case "scopes":
            return " ".join(sorted(identity.scopes)) or None
    return _written(identity.claims.get(claim))


def _written(value: Any) -> str | None:
    """A claim's value; lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, separators=(",", ":"))


class Template:
    """One compiled value.

    ``tells_identity`` is True when it says something about the caller; ``text`` is what it was
    made from.
    """

    __slots__ = ("_fixed", "_parts", "tells_identity", "text")

    def __init__(self, text: str) -> None:
        """Raises ``ValueError`` for what is not understood, or can never stand in a line."""
        self.text = text
        self.tells_identity = False
        parts: list[Source | str] = []
        for match in _PIECE.finditer(text):
            piece, name = match[0], match[1]
            if name is not None:
                parts.append(_source(name))
                self.tells_identity = self.tells_identity or name.startswith("identity.")
            elif piece in ("{", "}"):
                raise ValueError("a single brace is written twice: {{ or }}")
            else:
                parts.append(piece[0] if piece in ("{{", "}}") else piece)
        self._parts = tuple(parts)
        literals = "".join(part for part in parts if isinstance(part, str))
        _check(text, literals)
        self._fixed = literals.encode() if all(isinstance(part, str) for part in parts) else None

    def value(self, call: Call) -> bytes | None:
        """The value for this call; None when there is none that can stand in a line."""
        if self._fixed is not None:
            return self._fixed
        texts = []
        for part in self._parts:
            piece = part if isinstance(part, str) else part(call)
            if piece is None:
                return None
            texts.append(piece)
        value = "".join(texts)
        return value.encode() if fits(value) else None


def _check(text: str, literals: str) -> None:
    """What a template says literally must be able to stand in a line."""
    if not text:
        raise ValueError("a value must not be empty; to take a line away, name it under remove")
    if text != text.strip(" ") or not (literals.isascii() and literals.isprintable()):
        raise ValueError("a value is printable ASCII without blanks at its ends")
    if len(text) > MAX_VALUE:
        raise ValueError(f"a value has at most {MAX_VALUE} characters")


def _source(name: str) -> Source:
    """What ``{name}`` stands for. Raises ``ValueError`` for an unknown name."""
    simple = _SOURCES.get(name)
    if simple is not None:
        return simple
    if name.startswith(_CLAIMS) and len(name) > len(_CLAIMS):
        return _claim(name.removeprefix(_CLAIMS))
    if name.startswith(_HEADERS):
        return _header(name.removeprefix(_HEADERS))
    known = ", ".join((*_SOURCES, f"{_CLAIMS}NAME", f"{_HEADERS}NAME"))
    raise ValueError(f"{{{name}}} is unknown; known are {known}")


def _identity(claim: str) -> Source:
    def source(call: Call) -> str | None:
        return None if call.identity is None else claim_text(call.identity, claim)

    return source


def _claim(name: str) -> Source:
    def source(call: Call) -> str | None:
        return None if call.identity is None else _written(call.identity.claims.get(name))

    return source


def _header(text: str) -> Source:
    name = request_name(text)
    if name in RESERVED or name in HOP_BY_HOP or name in CREDENTIALS:
        raise ValueError(f"{{{_HEADERS}{text}}}: this line of the client is not passed on")

    def source(call: Call) -> str | None:
        values = call.request.headers.all(name)
        return b", ".join(values).decode("latin-1") if values else None

    return source


_SOURCES: dict[str, Source] = {
    "identity.subject": _identity("subject"),
    "identity.issuer": _identity("issuer"),
    "identity.client": _identity("client"),
    "identity.scopes": _identity("scopes"),
    "identity.kind": lambda call: call.identity.kind if call.identity is not None else None,
    "identity.provider": lambda call: (call.identity and call.identity.provider) or None,
    "request.id": lambda call: call.request.id or None,
    "request.method": lambda call: call.request.method,
    "request.scheme": lambda call: "https" if call.request.secure else "http",
    "request.host": lambda call: call.request.host,
    "request.path": lambda call: call.request.path,
    "request.query": lambda call: (call.request.query or b"").decode("latin-1") or None,
    "request.client": lambda call: call.request.client or None,
    "request.route": lambda call: call.route or None,
}


def checked_template(text: str) -> str:
    """The text, if it is a template. Raises ``ValueError``."""
    return Template(text).text


def once(names: Iterable[str]) -> None:
    """Raises ``ValueError`` when a header name stands twice, in any case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise ValueError(f"{name} stands here twice: a line is set, added to or removed")
        seen.add(name.lower())
