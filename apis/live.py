"""Holder of the routing table in force: reading is one attribute, swapping one assignment."""

from apis.routing import RoutingTable


class Live:
    """The current table of this process; None until the first one was built."""

    __slots__ = ("table",)

    def __init__(self, table: RoutingTable | None = None) -> None:
        self.table = table

    def current(self) -> RoutingTable | None:
        return self.table

    def swap(self, table: RoutingTable) -> None:
        """Put a complete, verified table in force. Calls under way keep the one they began with."""
        self.table = table
