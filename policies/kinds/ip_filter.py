"""``ip_filter``: from which addresses a route may be called.

The address is the client's, after trusted proxies were taken off (``Request.client``); what
others write into forwarding headers never counts. What is denied stays denied, whatever is
allowed. An IPv4 address is the same in its IPv4-mapped IPv6 form (RFC 4291 2.5.5.2), here and
in the configured networks.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny

_REFUSED = Deny("ip_refused", "Calls from this address are not accepted.")
_REMEMBERED = 4096  # addresses
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _cidr(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            "give a network as 192.0.2.0/24 or 2001:db8::/32, without bits behind its prefix, "
            "or one address"
        ) from None
    return text


Cidr = Annotated[str, AfterValidator(_cidr)]


class IpFilterConfig(PolicyConfig):
    """Options of ``ip_filter``."""

    allow: tuple[Cidr, ...] = Field(
        default=(),
        max_length=10000,
        title="Allow",
        description="Networks (CIDR) or addresses that may call; empty: all that are not denied.",
    )
    deny: tuple[Cidr, ...] = Field(
        default=(),
        max_length=10000,
        title="Deny",
        description="Networks (CIDR) or addresses that may not call, also where allow names them.",
    )


class _Networks:
    """A set of networks; looking up costs one step for each prefix length in use."""

    def __init__(self, texts: Iterable[str]) -> None:
        found: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            network = _plain_network(ipaddress.ip_network(text))
            shift = network.max_prefixlen - network.prefixlen
            key = (network.version, shift)
            found.setdefault(key, set()).add(int(network.network_address) >> shift)
        self._prefixes = [(*key, frozenset(values)) for key, values in found.items()]

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        return any(
            version == address.version and number >> shift in values
            for version, shift, values in self._prefixes
        )


class IpFilter(Policy):
    """Runs in ADMIT: the address is known before anything else, and costs nothing to refuse."""

    kind = "ip_filter"
    phase = Phase.ADMIT
    Config: ClassVar[type[PolicyConfig]] = IpFilterConfig
    summary = "Accepts calls by the client's address."

    def __init__(self, config: IpFilterConfig, services: Services) -> None:
        self._allow = _Networks(config.allow)
        self._deny = _Networks(config.deny)
        self._decide = lru_cache(maxsize=_REMEMBERED)(self._judge)

    def check(self, call: Call) -> Decision:
        return self._decide(call.request.client)

    def describe(self, call: Call) -> str:
        how = "allowed" if self._allow else "not denied"
        return f"the client's address {call.request.client} is {how}"

    def _judge(self, client: str) -> Decision:
        """A client without an address (a Unix socket) is in no network, so it is never allowed."""
        try:
            address = _plain_address(ipaddress.ip_address(client))
        except ValueError:
            return _REFUSED if self._allow or self._deny else PASS
        if address in self._deny or (self._allow and address not in self._allow):
            return _REFUSED
        return PASS


def _plain_address(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _plain_network(network: Network) -> Network:
    """The IPv4 network that an IPv4-mapped one means."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        start = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network(f"{start}/{network.prefixlen - _MAPPED.prefixlen}")
    return network
