"""What a value may turn into on its way through a server: its readings.

A value is read as it stands and after each of at most three rounds of decoding, until a round
changes nothing. One round undoes everything that servers, frameworks and browsers are known to
undo: percent-encoding (also ``%u`` and overlong UTF-8), HTML character references, JavaScript
escapes, compatibility forms of ASCII, invisible characters, and base64 of a whole value. SQL
comments are taken out of further readings.

Many values are decoded together, as the parts of one text with a mark between them that nothing
decodes to. Every step is linear in the length of the text, none makes it longer than a small
multiple, and a step costs little for each piece it replaces: pieces are split off by one pass,
and each distinct one is worked out once.
"""

import re
import unicodedata
from binascii import a2b_base64
from collections.abc import Callable, Iterable
from html import unescape
from itertools import groupby
from urllib.parse import unquote_to_bytes

ROUNDS = 3
_MARK = "\x1e"  # stands between texts that are read together, and for itself in none
_SEPARATOR = f"\n{_MARK}\n"
_BETWEEN = f"{_SEPARATOR}{_MARK}\n"
SEPARATOR = _SEPARATOR.encode()  # stands between the readings of a text, and of several

# Each pattern has one group, around all of the piece that it replaces.
_UTF16 = re.compile("(%u[0-9a-fA-F]{4})")
_PERCENT = re.compile("(%(?:[0-7][0-9a-fA-F]|[89a-fA-F][0-9a-fA-F](?:%[89a-fA-F][0-9a-fA-F])*))")
_REFERENCE = re.compile(  # without a semicolon: only those of ASCII, of spaces and of quotes
    "(&(?:#0*[0-9]{1,7};?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]+;"
    "|[lg]t|LT|GT|amp|AMP|quot|QUOT|nbsp|shy|acute|sup[123]|ord[fm]))"
)
_ESCAPE = re.compile(r"(\\{1,4}(?:u[0-9a-fA-F]{4}|u\{0{0,4}[0-9a-fA-F]{1,4}\}|x[0-9a-fA-F]{2}))")
# The first character is none that stands for a control or for no octet that begins a character.
_BASE64 = re.compile(f"({_MARK}\n[ACDI-Za-fw-z0-9][A-Za-z0-9+/_-]{{7,}}={{0,2}})(?=\n{_MARK})")
_COMMENT = re.compile(r"/\*[^*\x1e]*(?:\*(?!/)[^*\x1e]*)*(?:\*/)?")
_CONDITIONAL = re.compile(r"/\*[!+][0-9]*([^*\x1e]*(?:\*(?!/)[^*\x1e]*)*)(?:\*/)?")

_OVERLONG = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]")
_UNREADABLE = re.compile(  # what most random octets hold and no text: found without an exception
    rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\xc0\xc1\xf5-\xff]|(?:^|[\x00-\x7f])[\x80-\xbf]"
)
_MARKS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201f\u2033", '"')
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None)
)


def readings(text: str) -> list[str]:
    """``text`` and what it decodes to, each once, in lower case; the last is the most decoded."""
    return [_apart(reading)[0] for reading in readings_together([text])]


def readings_together(texts: Iterable[str]) -> list[str]:
    """The readings of several texts as one text each, which ``rows`` takes apart."""
    inside = _SEPARATOR.join([text.replace(_MARK, " ") for text in texts])
    found = [f"{_SEPARATOR}{inside}{_SEPARATOR}"]
    for _ in range(ROUNDS):
        decoded = _decode(found[-1])
        if decoded == found[-1]:
            break
        found.append(decoded)
    lowered = list(dict.fromkeys(reading.lower().replace("\v", " ") for reading in found))
    if "/*" in lowered[-1]:
        lowered += _without_comments(lowered[-1])
    return lowered


def rows(together: list[str]) -> list[bytes]:
    """For each of the texts that were read together, its readings as one, in their order."""
    columns = map(_apart, together)
    found = map(_SEPARATOR.join, zip(*columns, strict=True))
    return _BETWEEN.join(found).encode("utf-8", "replace").split(_BETWEEN.encode())


def _apart(reading: str) -> list[str]:
    return reading[len(_SEPARATOR) : -len(_SEPARATOR)].split(_SEPARATOR)


def _decode(text: str) -> str:
    """One round."""
    if "%" in text:
        if "%u" in text:
            text = _replaced(_UTF16, _character, text)
        text = _replaced(_PERCENT, _octets, text)
    if "&" in text:
        text = _replaced(_REFERENCE, _referenced, text)
    if "\\" in text:
        text = _replaced(_ESCAPE, _printable, text)
    if not text.isascii():
        text = _replaced(_FOLDED, _folded, text)
    return _replaced(_BASE64, _unveiled, text)


class _Meanings(dict[str, str]):
    """What each piece stands for, worked out when it is first met."""

    def __init__(self, meaning: Callable[[str], str]) -> None:
        self._meaning = meaning

    def __missing__(self, piece: str) -> str:
        found = self[piece] = self._meaning(piece)
        return found


def _replaced(pattern: re.Pattern[str], meaning: Callable[[str], str], text: str) -> str:
    pieces = pattern.split(text)
    if len(pieces) == 1:
        return text
    pieces[1::2] = map(_Meanings(meaning).__getitem__, pieces[1::2])
    return "".join(pieces)


def _octets(piece: str) -> str:
    """Percent-encoded octets as text: UTF-8, overlong forms as what they stand for."""
    octets = unquote_to_bytes(piece)
    try:
        return octets.decode().replace(_MARK, " ")
    except UnicodeDecodeError:
        return _OVERLONG.sub(_shortest, octets).decode(errors="replace").replace(_MARK, " ")


def _shortest(match: re.Match[bytes]) -> bytes:
    code = 0
    for octet in match[0][1:]:
        code = code << 6 | octet & 0x3F
    code |= (match[0][0] & (0x1F if len(match[0]) == 2 else 0x0F)) << 6 * (len(match[0]) - 1)
    return chr(code).encode()


def _character(piece: str) -> str:
    code = int(piece[2:], 16)
    return piece if 0xD800 <= code < 0xE000 else chr(code).replace(_MARK, " ")


def _referenced(piece: str) -> str:
    """A character reference of HTML; tabs and line breaks also as no browser writes them."""
    if piece.lower() in ("&tab;", "&newline;"):
        return "\t"
    if piece.startswith("&#0"):  # thousands of digits are no number to Python
        piece = "&#" + piece[2:].lstrip("0")
    return unescape(piece).replace(_MARK, " ")


def _printable(piece: str) -> str:
    """A JavaScript escape of a printable ASCII character; any other hides nothing."""
    code = int(piece.lstrip("\\").strip("ux{}"), 16)
    return chr(code) if 0x20 <= code < 0x7F else piece


def _folded(piece: str) -> str:
    return unicodedata.normalize("NFKC", piece.translate(_MARKS))


def _folding() -> re.Pattern[str]:
    """Runs of the characters that are compatibility forms of ASCII, quotes, or invisible.

    Others stay as they are: signs are made of ASCII, and some become eighteen characters. Those
    beyond the first plane are not told apart, which would make the search slow.
    """
    codes = (
        code
        for code in range(0x80, 0x10000)
        if code in _MARKS or unicodedata.normalize("NFKC", chr(code)).isascii()
    )
    ranges = "\U00010000-\U0001ffff"
    for _, run in groupby(enumerate(codes), lambda numbered: numbered[1] - numbered[0]):
        members = [chr(code) for _, code in run]
        ranges += f"{members[0]}-{members[-1]}"
    return re.compile(f"([{ranges}]+)")


_FOLDED = _folding()


def _unveiled(piece: str) -> str:
    """A mark, and what is base64 after it as what it stands for, if that is readable text."""
    digits = piece[2:].rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:  # six bits are no octet
        return piece
    octets = a2b_base64(digits + "=" * (-len(digits) % 4))
    if _UNREADABLE.search(octets):
        return piece
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return piece
    readable = text.replace("\r", "").replace("\n", "").replace("\t", "").replace("\0", "")
    return piece[:2] + text if readable.isprintable() else piece


def _without_comments(text: str) -> list[str]:
    """SQL comments gone, as a space and as nothing; MySQL's conditional ones as their content."""
    bare = text.replace(_SEPARATOR, _MARK)  # a comment that is not closed ends at a mark
    pieces = _COMMENT.split(bare)
    found = [" ".join(pieces), "".join(pieces)]
    if "/*!" in bare or "/*+" in bare:
        shown = " ".join(_CONDITIONAL.split(bare))
        found.append(" ".join(_COMMENT.split(shown)) if "/*" in shown else shown)
    return [reading.replace(_MARK, _SEPARATOR) for reading in dict.fromkeys(found)]
