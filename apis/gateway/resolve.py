"""From a target's host to the addresses the gateway may connect to (SSRF rule, promise S1)."""

import asyncio
import contextlib
import socket
from ipaddress import ip_address

from apis.gateway.upstream import UpstreamUnreachable
from policies.core.addresses import Networks, refusal

_CACHED_FOR = 5.0  # seconds


class Resolver:
    """Resolves one host and port. Looked up at most every 5 seconds, once for all who wait.

    Every address is judged, and connections go to the judged address itself, so that a name
    cannot lead elsewhere between check and use.
    """

    def __init__(self, host: str, port: int, allowed: Networks) -> None:
        self._host = host
        self._port = port
        self._allowed = allowed
        self._addresses: list[str] = []
        self._expires = 0.0
        self._lookup: asyncio.Task[list[str]] | None = None

    async def addresses(self) -> list[str]:
        """The permitted addresses, at least one, in the resolver's order.

        Raises ``UpstreamUnreachable`` when the name has none, or none that is permitted.
        """
        if asyncio.get_running_loop().time() < self._expires:
            return self._addresses
        if self._lookup is None:
            self._lookup = asyncio.create_task(self._resolve())
            self._lookup.add_done_callback(self._resolved)
        # One who waits no longer does not end the look-up: a resolver that hangs is asked once.
        return await asyncio.shield(self._lookup)

    def _resolved(self, lookup: asyncio.Task[list[str]]) -> None:
        self._lookup = None
        if not lookup.cancelled() and lookup.exception() is None:
            self._addresses = lookup.result()
            self._expires = asyncio.get_running_loop().time() + _CACHED_FOR

    async def _resolve(self) -> list[str]:
        addresses = await self._look_up()
        refusals = {address: refusal(address, self._allowed) for address in addresses}
        permitted = [address for address in addresses if refusals[address] is None]
        if not permitted:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in refusals.items())
            raise UpstreamUnreachable(f"{self._host} must not be connected to: {reasons}")
        return permitted

    async def _look_up(self) -> list[str]:
        """Every address of the host. What only looks like one ("127.1") is looked up as well."""
        with contextlib.suppress(ValueError):
            return [str(ip_address(self._host))]
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UpstreamUnreachable(f"{self._host} cannot be resolved") from error
        return list(dict.fromkeys(str(item[4][0]) for item in found))
