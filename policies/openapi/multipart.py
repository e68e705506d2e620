"""``multipart/form-data`` (RFC 7578, RFC 2046 5.1), read in the only way that nobody can read
differently.

Parsers disagree about preambles, epilogues, bare line feeds, repeated or encoded parameters and
folded lines. A body that has any of these is refused, because a validator and the upstream would
see two bodies in it.
"""

import re
from typing import NamedTuple

from policies.openapi.texts import Malformed

MAX_PARTS = 1000
_MAX_HEAD = 4096  # bytes of a part's header lines
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=?-]{1,70}\Z")
_DISPOSITION = re.compile(
    rb'form-data; ?name="([^"\\\r\n\x00]{1,200})"(?:; ?filename="([^"\\\r\n\x00]{0,400})")?\Z',
    re.IGNORECASE,
)
_ALLOWED = frozenset({b"content-disposition", b"content-type", b"content-transfer-encoding"})
_AS_IT_IS = frozenset({b"", b"7bit", b"8bit", b"binary"})  # RFC 7578 4.7: others are deprecated


class Part(NamedTuple):
    """One part. ``content_type`` is empty where the part names none; ``file`` where it is one."""

    name: str
    content_type: bytes
    content: bytes
    file: bool


def parts_of(content: bytes, boundary: str) -> list[Part]:
    """The parts in order. Raises ``Malformed``."""
    if not _BOUNDARY.match(boundary):
        raise Malformed("the content type names no boundary that can be used")
    mark = b"--" + boundary.encode()
    if not content.startswith(mark + b"\r\n"):
        raise Malformed("it does not begin with its boundary")
    end = b"\r\n" + mark
    pieces = (b"\r\n" + content).split(end, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 2:
        raise Malformed(f"it has more than {MAX_PARTS} parts")
    if pieces[-1] not in (b"--", b"--\r\n"):
        raise Malformed("it does not end with its boundary")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    if not piece.startswith(b"\r\n"):
        raise Malformed("a part begins with something else than its header lines")
    head, blank, content = piece[2:].partition(b"\r\n\r\n")
    if not blank or len(head) > _MAX_HEAD:
        raise Malformed("a part has no header lines, or too many")
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name not in _ALLOWED or name in fields or b"\n" in line or b"\r" in line:
            raise Malformed("a part has a header line that is not taken, or has one twice")
        fields[name] = value.strip(b" \t")
    if fields.get(b"content-transfer-encoding", b"").lower() not in _AS_IT_IS:
        raise Malformed("a part is encoded for transfer")
    found = _DISPOSITION.match(fields.get(b"content-disposition", b""))
    if found is None:
        raise Malformed("a part does not say plainly which field it is")
    try:
        name_text = found[1].decode()
    except UnicodeDecodeError:
        raise Malformed("the name of a part is not UTF-8") from None
    return Part(name_text, fields.get(b"content-type", b""), content, found[2] is not None)
