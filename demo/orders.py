"""A demo orders API, described by ``orders.yaml``. ``python -m demo.orders``.

It trusts whoever reaches it: the gateway in front has checked the caller, and tells who it is
in ``X-Subject``. Demo only: the orders live in memory and are at most a hundred.
"""

import json
import threading
from typing import Any

from demo.server import JsonHandler, LoopbackServer, port_argument, run

MAX_ITEMS = 100
HEARTBEAT = 5
"""Seconds between two comments on a silent feed: they show that the client is still there."""


class Orders:
    """The orders, and a way to wait for the next one."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.add("tea", 2, "demo")
        self.add("coffee", 1, "demo")

    def add(self, product: str, quantity: int, subject: str) -> dict[str, Any] | None:
        """The new order, or None when there are too many."""
        with self._changed:
            if len(self._items) >= MAX_ITEMS:
                return None
            item = {
                "id": len(self._items) + 1,
                "product": product,
                "quantity": quantity,
                "ordered_by": subject,
            }
            self._items.append(item)
            self._changed.notify_all()
            return item

    def all(self) -> list[dict[str, Any]]:
        with self._changed:
            return list(self._items)

    def get(self, number: str) -> dict[str, Any] | None:
        return next((item for item in self.all() if str(item["id"]) == number), None)

    def since(self, seen: int, timeout: float) -> list[dict[str, Any]]:
        """Orders after the first ``seen``; waits for one at most ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) > seen, timeout)
            return self._items[seen:]


def new_order(body: bytes) -> tuple[str, int] | None:
    """Product and quantity of a well-formed order."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    product, quantity = content.get("product"), content.get("quantity", 1)
    if not isinstance(product, str) or not 1 <= len(product) <= 100:
        return None
    if type(quantity) is not int or not 1 <= quantity <= 1000:
        return None
    return product, quantity


class OrdersHandler(JsonHandler):
    """The operations of ``orders.yaml``."""

    server: "OrdersServer"

    def answer(self, path: str, body: bytes) -> None:
        orders = self.server.orders
        if self.command == "POST":
            if path == "/items":
                self._create(body)
            else:
                self.send_json(404, {"error": "not found"})
        elif path == "/items":
            self.send_json(200, {"items": orders.all()})
        elif path.startswith("/items/"):
            item = orders.get(path.removeprefix("/items/"))
            self.send_json(*((200, item) if item else (404, {"error": "no such order"})))
        elif path == "/status":
            self.send_json(200, {"status": "ok"})
        elif path == "/feed":
            self._feed()
        else:
            self.send_json(404, {"error": "not found"})

    def _create(self, body: bytes) -> None:
        order = new_order(body)
        if order is None:
            self.send_json(400, {"error": "give a product and a quantity from 1 to 1000"})
            return
        item = self.server.orders.add(*order, self.headers.get("X-Subject", "unknown"))
        if item is None:
            self.send_json(409, {"error": "the demo keeps at most 100 orders"})
        else:
            self.send_json(201, item, {"Location": f"/items/{item['id']}"})

    def _feed(self) -> None:
        """Server-sent events: one for every order there is, then one for each new order."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = 0
        try:
            while self.command != "HEAD":
                items = self.server.orders.since(seen, HEARTBEAT)
                seen += len(items)
                for item in items:
                    self._event(f"id: {item['id']}\nevent: order\ndata: {json.dumps(item)}\n\n")
                if not items:
                    self._event(": still here\n\n")
        except OSError:  # the client left, as clients of a feed do
            self.close_connection = True

    def _event(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


class OrdersServer(LoopbackServer):
    """The orders API on a loopback port."""

    def __init__(self, port: int) -> None:
        super().__init__(port, OrdersHandler)
        self.orders = Orders()


if __name__ == "__main__":
    run(OrdersServer(port_argument("The demo orders API", 9102)))
