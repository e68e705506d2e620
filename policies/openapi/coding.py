"""Content codings (RFC 9110 8.4.1), undone within bounds so that a content can be looked into."""

import zlib

from policies.openapi.texts import Malformed

_GZIP = 16 + zlib.MAX_WBITS
_WBITS = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": zlib.MAX_WBITS}


def undone(content: bytes, codings: list[bytes], bound: int) -> bytes:
    """The content without its coding, at most ``bound`` bytes of it. Raises ``Malformed``."""
    coding = b",".join(codings).strip().lower()
    if coding in (b"", b"identity") or not content:
        return content
    wbits = _WBITS.get(coding)
    if wbits is None:
        raise Malformed("its content coding is not one that can be undone: gzip, deflate")
    decoder = zlib.decompressobj(wbits)
    try:
        plain = decoder.decompress(content, bound)
    except zlib.error:
        raise Malformed("its content coding is broken") from None
    if decoder.unconsumed_tail or not decoder.eof or decoder.unused_data:
        raise Malformed("its content is too large, cut off, or followed by something else")
    return plain
