"""Header rules: what is never forwarded, what the gateway says itself, and whom it believes.

One rule for every route (RFC 9110 7.6.1, RFC 7239): first the client's copies of everything
reserved go, then what ``Connection`` names, and only then are the gateway's own lines added;
so no Connection token can remove what the gateway adds, and no spelling of a reserved name
reaches an upstream. Names arrive in lower case; the door refused names with ``_``.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import http_sf

from policies.core.values import Field, Headers
from policies.http.fields import HOP_BY_HOP, RESERVED

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]

_REQUEST_DROPPED = HOP_BY_HOP | RESERVED | {b"host", b"expect"}
_RESPONSE_DROPPED = HOP_BY_HOP | {b"server", b"x-powered-by", b"x-request-id"}

# What Connection says where it names no header lines.
_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b"upgrade"))
# Connection may not name these away: the gateway checks or frames by them.
_KEPT = frozenset(
    (b"authorization", b"cookie", b"host", b"content-type", b"content-encoding", b"via")
)


@lru_cache(maxsize=1024)
def dropped_names(configured: frozenset[bytes]) -> frozenset[bytes]:
    """Every request header name that a route does not forward."""
    return _REQUEST_DROPPED | configured


def forward_lines(headers: Headers, dropped: frozenset[bytes]) -> list[bytes]:
    """The client's lines that go upstream, as ``name: value``."""
    nominated = headers.get(b"connection")
    if nominated is not None and (headers.repeats or nominated.lower() not in _PLAIN_CONNECTION):
        dropped = dropped | (_tokens(headers.all(b"connection")) - _KEPT)
    if 0x2E in headers.names:  # a dot: some servers fold it into a dash, so it could pose too
        dotted = {name for name, _ in headers.fields if name.replace(b".", b"-") in dropped}
        dropped = dropped | dotted
    return [b": ".join(field) for field in headers.fields if field[0] not in dropped]


def answer_fields(fields: list[Field]) -> list[Field]:
    """An upstream's lines that go to the client."""
    kept = []
    for field in fields:
        name, value = field
        if name not in _RESPONSE_DROPPED:
            kept.append(field)
        elif name == b"connection" and value.lower() not in _PLAIN_CONNECTION:
            named = _tokens([value for name, value in fields if name == b"connection"])
            return [f for f in fields if f[0] not in _RESPONSE_DROPPED and f[0] not in named]
    return kept


def _tokens(values: list[bytes]) -> frozenset[bytes]:
    return frozenset(
        token.strip().lower() for value in values for token in value.split(b",") if token.strip()
    )


def without_cookies(headers: Headers, names: frozenset[str]) -> Headers:
    """The headers without the named cookies (RFC 6265 5.4); other cookies stay as they are."""
    unwanted = {name.encode() for name in names}
    kept: list[Field] = []
    for name, value in headers.fields:
        if name == b"cookie":
            pairs = [p for p in value.split(b";") if p.partition(b"=")[0].strip() not in unwanted]
            value = b";".join(pairs).strip()
            if not value:
                continue
        kept.append((name, value))
    return Headers(kept)


@lru_cache(maxsize=4096)
def forwarding_lines(chain: str, secure: bool, host: bytes) -> bytes:
    """``Forwarded`` and ``X-Forwarded-*`` for one client: ready lines, each ended by CRLF.

    ``chain`` is the client's address, and behind it those of trusted proxies, by ``", "``.
    """
    proto = "https" if secure else "http"
    authority = host.decode("latin-1")
    elements = [f"for={_node(address)}" for address in chain.split(", ")]
    elements[0] += f';host="{authority}";proto={proto}'
    return (
        f"forwarded: {', '.join(elements)}\r\nx-forwarded-for: {chain}\r\n"
        f"x-forwarded-proto: {proto}\r\nx-forwarded-host: {authority}\r\n"
    ).encode("latin-1")


def _node(address: str) -> str:
    return f'"[{address}]"' if ":" in address else address


def unmapped(address: str) -> str:
    """An address in its usual form; IPv4-mapped IPv6 becomes the IPv4 address it means.

    Raises ``ValueError`` for what is no address.
    """
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether a peer is one of the operator's own proxies."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:  # a Unix socket has no address: it is trusted by its file's mode only
        return False
    return any(address in network for network in trusted)


def client_chain(peer: str, headers: Headers, trusted: Networks) -> str:
    """The client's address and the trusted proxies behind it, read from the right.

    The right-most address that no trusted proxy vouches for is the client; whatever stands
    left of it was said by the client and is not believed.
    """
    hops = [peer]
    values = b",".join(headers.all(b"x-forwarded-for")).decode("latin-1")
    for text in reversed(values.split(",")):
        if not is_trusted(hops[0], trusted):
            break
        try:
            hops.insert(0, unmapped(text.strip()))
        except ValueError:
            break
    return ", ".join(hops)


def told_certificate(headers: Headers) -> bytes | None:
    """The client's certificate in DER, as a trusted proxy tells it in ``Client-Cert`` (RFC 9440
    2.1). None when it tells none, or in no way that could be understood."""
    lines = headers.all(b"client-cert")
    if len(lines) != 1:
        return None
    try:
        item: Any = http_sf.parse(lines[0], tltype="item")
    except ValueError:
        return None
    return item[0] if isinstance(item[0], bytes) and item[0] else None
