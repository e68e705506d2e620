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
    what, _, name = by.partition(":")
    if by == "identity":
        return _once_for_each_identity(by, prefix, _identity)
    if by == "client":
        return _once_for_each_identity(by, prefix, _client)
    if what == "claim" and _CLAIM_NAME.fullmatch(name):
        return _once_for_each_identity(by, prefix, lambda identity: _claim(identity, name))
    if by == "ip":
        return lambda call: prefix + _address(call)
    if by == "route":
        return lambda call: prefix + _bounded(f"route:{call.route}")
    if what == "header" and _FIELD_NAME.fullmatch(name):
        field = name.lower().encode()
        return lambda call: prefix + _header(call, field)
    raise ValueError("say identity, ip, client, route, claim:NAME or header:NAME")


def _once_for_each_identity(by: str, prefix: str, key_of: Callable[[Identity], str]) -> KeyOf:
    """The function that makes the keys of what an identity says; of nobody's, by address."""
    name = repr((prefix, by))  # says which is which, whatever they hold

    def make(identity: Identity) -> str:
        return prefix + key_of(identity)

    def prepared(call: Call) -> str:
        identity = call.identity
        if identity is None or identity.kind == "public":
            return prefix + _address(call)
        key: str = identity.prepared(name, make)
        return key

    return prepared


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


def _header(call: Call, name: bytes) -> str:
    value = call.request.headers.get(name)
    return _address(call) if value is None else _bounded(f"header:{value.decode('latin-1')}")


def _identity(identity: Identity) -> str:
    return _bounded(f"identity:{identity.key}")


def _client(identity: Identity) -> str:
    if not identity.client:
        return _identity(identity)
    return _bounded(f"client:{len(identity.issuer)}:{identity.issuer}{identity.client}")


def _claim(identity: Identity, name: str) -> str:
    value = identity.claims.get(name)
    if value is None:
        return _identity(identity)
    text = json.dumps(value, sort_keys=True)  # "1" and 1 are two values
    return _bounded(f"claim:{len(identity.issuer)}:{identity.issuer}{text}")


def _bounded(key: str) -> str:
    """The key, or its hash when a caller made it long or it is not printable ASCII."""
    if len(key) <= 256 and key.isascii() and key.isprintable():
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[: key.index(':')]}#{digest}"
