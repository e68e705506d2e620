"""Which addresses the gateway may connect to: the SSRF rule, as a pure function (OWASP API7).

Rules of this file:
1. What is judged is the address itself, after name resolution; the caller connects to that very
   address, so that a name cannot mean another one a moment later (DNS rebinding).
2. Only globally reachable addresses pass by themselves. Everything else (loopback, private,
   shared, documentation, multicast, reserved) needs a network in the operator's list.
3. Link-local addresses and the metadata services of clouds are refused even if listed: what
   answers there hands out the credentials of the machine.
4. An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is judged as that one.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA has handed out so far (RFC 4291 2.4)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 2.1
# Metadata services outside the link-local ranges (AWS, Google Cloud, Alibaba Cloud).
_METADATA = frozenset(
    ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200")
)


def networks(texts: tuple[str, ...]) -> Networks:
    """CIDRs as networks. Raises ``ValueError`` for one that is none."""
    return tuple(ip_network(text) for text in texts)


def refusal(address: str, allowed: Networks) -> str | None:
    """Why the gateway must not connect to an IP address, or None when it may.

    ``allowed`` are the networks that the operator permits beside public addresses.
    """
    try:
        meant = _meant(ip_address(address))
    except ValueError:
        return "it is not an IP address"
    if meant.is_link_local or meant in _METADATA:
        return "link-local and metadata addresses are never connected to"
    if _is_public(meant) or any(meant in network for network in allowed):
        return None
    return "it is not a public address, and no allowed private network holds it"


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that packets to an IPv6 address end up at, if there is one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
