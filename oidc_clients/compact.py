"""A signed JWT as it arrives, taken apart before anything of it is believed. Pure.

Only the compact serialisation of a JWS (RFC 7515 7.1) is understood: three parts of strict
base64url, a header that says nothing we would have to ignore at our peril. What the header
offers as a key (``jwk``, ``jku``, ``x5u``, ``x5c``) is not even read (RFC 8725 3.10).
"""

from dataclasses import dataclass
from typing import Any

from oidc_clients.jwks import MAX_KID_BYTES
from oidc_clients.strict import NotStrict, base64url, json_object

MAX_TOKEN_BYTES = 8192

# Members that change how the rest must be understood; no extension is understood here
# (RFC 7515 4.1.11, RFC 7797 6; RFC 7516: enc and zip make it something else than a JWS).
_EXTENSIONS = frozenset({"crit", "b64", "zip", "enc"})


@dataclass(frozen=True, slots=True)
class Compact:
    """The parts of one token. Nothing in it is verified."""

    algorithm: str
    kid: str | None
    typ: str | None
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse(token: bytes) -> Compact:
    """Take a token apart. Raises ``NotStrict``."""
    if len(token) > MAX_TOKEN_BYTES:
        raise NotStrict("the token is too large")
    parts = token.split(b".")
    if len(parts) != 3:
        raise NotStrict("the token has not three parts")
    header = json_object(base64url(parts[0]))
    if not _EXTENSIONS.isdisjoint(header):
        raise NotStrict("the header asks for an extension")
    algorithm, kid, typ = _text(header, "alg"), _text(header, "kid"), _text(header, "typ")
    if algorithm is None:
        raise NotStrict("the header names no algorithm")
    if kid is not None and len(kid.encode()) > MAX_KID_BYTES:
        raise NotStrict("the kid is too long")
    signing_input = token[: token.rindex(b".")]
    return Compact(algorithm, kid, typ, base64url(parts[1]), signing_input, base64url(parts[2]))


def _text(header: dict[str, Any], name: str) -> str | None:
    value = header.get(name)
    if name in header and not isinstance(value, str):
        raise NotStrict("a member of the header is not a text")
    return value
