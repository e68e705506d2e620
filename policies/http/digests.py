"""Digests of content (RFC 9530): read, made, and checked while the content streams by."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Literal

from policies.http import structured

DigestAlgorithm = Literal["sha-256", "sha-512"]

# The two that RFC 9530 5 calls active; the others are known to be broken and prove nothing.
_HASHES: dict[str, Callable[..., Any]] = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class DigestRefused(ValueError):
    """A digest field is malformed; the message repeats nothing of it."""


def parse_digest(lines: Iterable[bytes]) -> dict[str, bytes]:
    """The digests of ``Content-Digest`` or ``Repr-Digest`` in algorithms that prove something.

    Empty when there are none. Raises ``DigestRefused``.
    """
    try:
        members = structured.dictionary(lines)
    except structured.FieldRefused as error:
        raise DigestRefused(str(error)) from error
    digests = {}
    for name, (value, _) in members.items():
        if not isinstance(value, bytes):
            raise DigestRefused("a digest is not a byte sequence")
        if name in _HASHES:
            digests[name] = value
    return digests


def digest_field(content: bytes, algorithm: str = "sha-256") -> bytes:
    """The value of ``Content-Digest`` for a content."""
    digest = base64.b64encode(_HASHES[algorithm](content).digest())
    return b"%s=:%s:" % (algorithm.encode(), digest)


class RunningDigest:
    """Digests of a content that comes in pieces, to be compared with the expected ones."""

    def __init__(self, expected: dict[str, bytes]) -> None:
        """``expected``: at least one, by algorithm; all of them must agree."""
        if not expected:
            raise ValueError("nothing is expected, so nothing could be proven")
        self._running = [(_HASHES[name](), value) for name, value in expected.items()]
        self.length = 0

    def feed(self, chunk: bytes) -> None:
        self.length += len(chunk)
        for running, _ in self._running:
            running.update(chunk)

    def agrees(self) -> bool:
        """Whether what was fed so far is the content that was expected."""
        return all(running.digest() == value for running, value in self._running)
