"""What limits count by: the option ``by``, and the key it makes of a call.

The rule (OWASP API4): the proven identity first, the client's address where there is none,
and nothing that a caller may choose freely unless the administrator asks for it by name. What
a call lacks is never counted in one bucket with other calls that lack it, but by the next
best thing: claim or client, then identity, then address.
"""

import hashlib
import ipaddress
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import cast

from policies.core.values import Call, Identity

_FIELD_NAME = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z-]{1,128}")  # a token, without "_"
_CLAIM_NAME = re.compile(r"[^\x00-\x1f]{1,128}")

_LENGTH = re.compile(r"(\d{1,4}):")

KeyOf = Callable[[Call], str]


def counted_by(by: str, prefix: str = "") -> KeyOf:
    """The function that makes the keys of ``by``, which begin with ``prefix``.

    Keys of different things never collide, and are printable ASCII, at most 256 characters behind
    the prefix. Raises ``ValueError`` for what cannot be counted by.
    """
    if by == "identity":
        return _by_identity(prefix)
    key_of = _key_of(by)
    return lambda call: prefix + key_of(call)


def _by_identity(prefix: str) -> KeyOf:
    """As nearly everybody counts: a key is made once for each identity."""
    name = f"counted by {prefix}"

    def make(identity: Identity) -> str:
        return prefix + _counted(identity)

    def key_of(call: Call) -> str:
        identity = call.identity
        if identity is None or identity.kind == "public":
            return prefix + _address(call)
        return cast(str, identity.prepared(name, make))

    return key_of


def _key_of(by: str) -> KeyOf:
    simple = _SIMPLE.get(by)
    if simple is not None:
        return simple
    what, _, name = by.partition(":")
    if what == "claim" and _CLAIM_NAME.fullmatch(name):
        return lambda call: _claim(call, name)
    if what == "header" and _FIELD_NAME.fullmatch(name):
        field = name.lower().encode()
        return lambda call: _header(call, field)
    raise ValueError("say identity, ip, client, route, claim:NAME or header:NAME")


def readable(key: str) -> str:
    """A key of ``counted_by`` for people: ``alice (jwt of https://op.example)``.

    A key of which only the hash was kept stays as it is.
    """
    what, _, rest = key.partition(":")
    parts = []
    while match := _LENGTH.match(rest):
        begins = match.end()
        ends = begins + int(match[1])
        parts.append(rest[begins:ends])
        rest = rest[ends:]
    if what == "identity" and len(parts) == 3 and not rest:
        kind, issuer, subject = parts
        return f"{subject} ({kind} of {issuer})" if issuer else f"{subject} ({kind})"
    if what in ("client", "claim") and len(parts) == 1:
        return f"{what} {rest} of {parts[0]}"
    return key


@lru_cache(maxsize=8192)
def address_group(client: str) -> str:
    """The address that a client cannot easily change within: IPv4, or the /64 of an IPv6.

    An IPv4-mapped IPv6 address is the IPv4 address. What is no address stays as it is.
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _address(call: Call) -> str:
    return f"ip:{address_group(call.request.client)}"


def _identity(call: Call) -> str:
    identity = call.identity
    if identity is None or identity.kind == "public":
        return _address(call)
    return _counted(identity)


def _counted(identity: Identity) -> str:
    return _bounded(f"identity:{identity.key}")


def _client(call: Call) -> str:
    identity = call.identity
    if identity is None or not identity.client:
        return _identity(call)
    return _bounded(f"client:{len(identity.issuer)}:{identity.issuer}{identity.client}")


def _claim(call: Call, name: str) -> str:
    identity = call.identity
    value = identity.claims.get(name) if identity is not None else None
    if identity is None or value is None:
        return _identity(call)
    text = json.dumps(value, sort_keys=True)  # "1" and 1 are two values
    return _bounded(f"claim:{len(identity.issuer)}:{identity.issuer}{text}")


def _header(call: Call, name: bytes) -> str:
    value = call.request.headers.get(name)
    return _address(call) if value is None else _bounded(f"header:{value.decode('latin-1')}")


def _route(call: Call) -> str:
    return _bounded(f"route:{call.route}")


_SIMPLE: dict[str, KeyOf] = {
    "ip": _address,
    "client": _client,
    "route": _route,
}


def _bounded(key: str) -> str:
    """The key, or its hash when a caller made it long or it is not printable ASCII."""
    if len(key) <= 256 and key.isascii() and key.isprintable():
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[: key.index(':')]}#{digest}"
