"""The one path parser: a raw request target becomes one canonical path, or is refused.

Routing, exemptions, signatures, limit keys and the upstream URL all use this value, so no two
of them can disagree about which path was asked for. Rules (RFC 3986 6.2.2, and refusals where
servers are known to differ):

1. Percent-encodings of unreserved characters are decoded; all others stay, in upper case.
2. ``.`` and ``..`` segments are resolved, after rule 1, so ``%2e%2e`` cannot hide.
3. Refused: what some server decodes into a separator or a control (``%2f``, ``%5c``, ``\\``,
   ``%00``-``%1f``, ``%7f``), empty segments (``//``), ``;`` behind a dot segment or nothing,
   ``..`` above the root, bytes outside RFC 3986's path characters, and encodings that are not
   UTF-8. A whole segment ``;name=value`` (RFC 6570 3.2.7) is canonical, because only a template
   that asks for it ever matches it (``policies.core.path_templates``).
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes


class TargetRefused(ValueError):
    """The request target has no canonical form; the message is safe to show."""


_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)+/?\Z|/\Z")
_PATH_BYTES = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/%-]*\Z")
_QUERY_BYTES = re.compile(rb"[\x21\x22\x24-\x7e]*\Z")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})?")
_PATH_STYLE = re.compile(r"(?:;[A-Za-z0-9_-]+=[^;]*)+\Z")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HOST = re.compile(
    rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}))(?::[0-9]{1,5})?\Z"
)


def split_target(raw: bytes) -> tuple[bytes, bytes | None]:
    """A target in origin form as (raw path, raw query or None). Raises ``TargetRefused``."""
    path, mark, query = raw.partition(b"?")
    if not mark:
        return path, None
    if not _QUERY_BYTES.match(query):
        raise TargetRefused("The query holds characters that must be percent-encoded.")
    return path, query


@lru_cache(maxsize=2048)
def canonical_path(raw: bytes) -> str:
    """The canonical form of a raw path. Raises ``TargetRefused``."""
    if _PLAIN.match(raw):
        return raw.decode("ascii")
    if not raw.startswith(b"/"):
        raise TargetRefused("The request target must be a path.")
    if not _PATH_BYTES.match(raw):
        raise TargetRefused("The path holds characters that must be percent-encoded.")
    text = _ENCODED.sub(_decode_unreserved, raw.decode("ascii"))
    _check_utf8(text)
    return _resolve(text)


def _decode_unreserved(match: re.Match[str]) -> str:
    digits = match.group(1)
    if digits is None:
        raise TargetRefused("The path holds an incomplete percent-encoding.")
    code = int(digits, 16)
    if code < 0x20 or code == 0x7F:
        raise TargetRefused("The path holds an encoded control character.")
    if code in (0x2F, 0x5C):
        raise TargetRefused("The path holds an encoded slash or backslash.")
    character = chr(code)
    return character if character in _UNRESERVED else f"%{digits.upper()}"


def _check_utf8(text: str) -> None:
    try:
        unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise TargetRefused("The path's percent-encodings are not UTF-8.") from None


def _resolve(text: str) -> str:
    segments: list[str] = []
    parts = text.split("/")[1:]
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "" and not last:
            raise TargetRefused("The path holds an empty segment.")
        bare, parameter, _ = part.replace("%3B", ";").partition(";")
        if parameter and bare in ("", ".", "..") and not _PATH_STYLE.match(part):
            raise TargetRefused("The path holds a parameter on a dot segment.")
        if part == "..":
            if not segments:
                raise TargetRefused("The path leads above the root.")
            segments.pop()
        elif part != ".":
            segments.append(part)
            continue
        if last:
            segments.append("")
    return "/" + "/".join(segments)


@lru_cache(maxsize=1024)
def host_name(raw: bytes) -> str:
    """The host of a Host field or authority: lower case, without port (RFC 9110 7.2).

    Raises ``TargetRefused`` for an empty or malformed value.
    """
    match = _HOST.match(raw)
    if match is None:
        raise TargetRefused("The Host header is empty or malformed.")
    return match.group(1).decode("ascii").lower().rstrip(".")


def origin_form(raw: bytes, host: bytes) -> bytes:
    """The target in origin form: an absolute form is accepted if its authority is the Host."""
    if raw.startswith(b"/"):
        return raw
    scheme, mark, rest = raw.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise TargetRefused("The request target must be a path.")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    if rest[:end].lower() != host.lower():
        raise TargetRefused("The target's authority differs from the Host header.")
    path = rest[end:]
    return path if path.startswith(b"/") else b"/" + path
