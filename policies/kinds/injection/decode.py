"""What a value may turn into on its way through a server: its readings.

A value is read as it stands and after each of at most three rounds of decoding, until a round
changes nothing. One round undoes everything that servers, frameworks and browsers are known to
undo: percent-encoding (also ``%u`` and overlong UTF-8), HTML character references, JavaScript
escapes, compatibility forms of Unicode, invisible characters, and base64 of a whole value. SQL
comments are taken out of further readings. Every step is linear in the length of the text.
"""

import re
import unicodedata
from binascii import Error, a2b_base64
from collections.abc import Iterable
from html import unescape
from urllib.parse import unquote_to_bytes

ROUNDS = 3
_MARK = "\x1e"  # stands between texts that are read together, and for itself in none
_SEPARATOR = f"\n{_MARK}\n"

_UTF16 = re.compile(r"%u([0-9a-fA-F]{4})")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_OVERLONG = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]")
_ESCAPE = re.compile(
    r"\\{1,4}(?:u([0-9a-fA-F]{4})|u\{0{0,4}([0-9a-fA-F]{1,4})\}|x([0-9a-fA-F]{2}))"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}\Z")
_SOLID = re.compile(r"\S{8,}\Z")
_SPACES = re.compile("&(?:tab|newline);", re.IGNORECASE)  # also as no browser writes them
_COMMENT = re.compile(r"/\*[^*\x1e]*(?:\*(?!/)[^*\x1e]*)*(?:\*/)?")
_CONDITIONAL = re.compile(r"/\*[!+][0-9]*([^*\x1e]*(?:\*(?!/)[^*\x1e]*)*)(?:\*/)?")
_UNENDED = re.compile(f"(?<!\n){_MARK}")  # a comment at the end of a text took the line break too
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4]")
_QUOTES = re.compile("[\u201c\u201d\u201f\u2033]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


def readings(text: str) -> list[str]:
    """``text`` and what it decodes to, each once, in lower case; the last is the most decoded."""
    found = [text.replace(_MARK, " ")]
    for _ in range(ROUNDS):
        decoded = _decode(found[-1]).replace(_MARK, " ")
        decoded = from_base64(decoded) or decoded
        if decoded == found[-1]:
            break
        found.append(decoded)
    return _finished(found)


def readings_together(texts: Iterable[str]) -> list[str] | None:
    """The readings of several texts as the lines of one, which hold all that each alone would.

    None if a text may pass for several.
    """
    found = [_SEPARATOR.join(texts)]
    marks = found[0].count(_MARK)
    for _ in range(ROUNDS):
        decoded = _decode(found[-1])
        if decoded == found[-1]:
            break
        found.append(decoded)
    if any(reading.count(_MARK) != marks for reading in found):
        return None
    return _finished(found)


def separable(text: str) -> str:
    """``text`` as it is joined with others: followed by what it is the base64 of, if anything."""
    plain = text.replace(_MARK, " ")
    hidden = _hidden(plain)
    return plain if hidden is None else _SEPARATOR.join((plain, hidden.replace(_MARK, " ")))


def _finished(found: list[str]) -> list[str]:
    """In lower case, with vertical tabs as the spaces they are in SQL, and without comments too."""
    lowered = list(dict.fromkeys(reading.lower().replace("\v", " ") for reading in found))
    if "/*" in lowered[-1]:
        lowered += _without_comments(lowered[-1])
    return lowered


def _decode(text: str) -> str:
    if "%" in text:
        text = _PERCENT.sub(_octets, _UTF16.sub(_character, text))
    if "&" in text:
        text = unescape(_SPACES.sub("\t", text))
    if "\\" in text:
        text = _ESCAPE.sub(_printable, text)
    if not text.isascii():
        text = _INVISIBLE.sub("", _QUOTES.sub('"', _APOSTROPHES.sub("'", text)))
        text = unicodedata.normalize("NFKC", text)
    return text


def _octets(match: re.Match[str]) -> str:
    """Percent-encoded octets as text: UTF-8, overlong forms as what they stand for."""
    octets = unquote_to_bytes(match[0])
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return _OVERLONG.sub(_shortest, octets).decode(errors="replace")


def _shortest(match: re.Match[bytes]) -> bytes:
    code = 0
    for octet in match[0][1:]:
        code = code << 6 | octet & 0x3F
    code |= (match[0][0] & (0x1F if len(match[0]) == 2 else 0x0F)) << 6 * (len(match[0]) - 1)
    return chr(code).encode()


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code < 0xE000 else chr(code)


def _printable(match: re.Match[str]) -> str:
    """A JavaScript escape of a printable ASCII character; any other hides nothing."""
    code = int(match[1] or match[2] or match[3], 16)
    return chr(code) if 0x20 <= code < 0x7F else match[0]


def _hidden(text: str) -> str | None:
    """What ``text`` as a whole is the base64 of, once it is decoded."""
    if not _SOLID.match(text):
        return None
    for _ in range(ROUNDS):
        decoded = _decode(text)
        plain = from_base64(decoded)
        if plain or decoded == text:
            return plain
        text = decoded
    return None


def from_base64(text: str) -> str | None:
    """What ``text`` is the base64 of, if it is that as a whole and of readable text."""
    if not _BASE64.match(text):
        return None
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = a2b_base64(plain + "=" * (-len(plain) % 4)).decode()
    except (Error, UnicodeDecodeError):
        return None
    readable = decoded.replace("\r", "").replace("\n", "").replace("\t", "").replace("\0", "")
    return decoded if readable.isprintable() else None


def _without_comments(text: str) -> list[str]:
    """SQL comments gone, as a space and as nothing; MySQL's conditional ones as their content."""
    shown = _CONDITIONAL.sub(r" \1 ", text) if "/*!" in text or "/*+" in text else text
    found = (_COMMENT.sub(" ", text), _COMMENT.sub("", text), _COMMENT.sub(" ", shown))
    return [_UNENDED.sub(f"\n{_MARK}", reading) for reading in dict.fromkeys(found)]
