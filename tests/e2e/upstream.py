"""The recording upstream as tests see it: started, steered, and asked what it got."""

import base64
import json
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.e2e.processes import Process


@dataclass(frozen=True)
class Seen:
    """One request that reached the upstream."""

    connection: int
    method: str
    target: str
    fields: list[tuple[str, str]]
    minor: int
    length: int
    sha256: str
    body: str
    complete: bool
    answered: bool
    closed: bool

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class Upstream:
    """A running recorder. ``url`` and ``websocket_url`` are what a gateway is given as targets."""

    def __init__(self) -> None:
        self.process = Process([sys.executable, "-m", "tests.e2e.recorder"])
        ports = self.process.greeting()
        self.url = f"http://127.0.0.1:{ports['api']}"
        self.websocket_url = f"http://127.0.0.1:{ports['websocket']}"
        self._control = f"http://127.0.0.1:{ports['control']}"

    def _ask(self, path: str, content: bytes | None = None, timeout: float = 30) -> Any:
        request = urllib.request.Request(self._control + path, data=content)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def clear(self) -> None:
        """Forget what was seen and scripted."""
        self._ask("/clear")

    def seen(self) -> list[Seen]:
        """Every request since the last ``clear`` (the newest 20,000), in order of arrival."""
        return [
            Seen(**{**record, "fields": [tuple(pair) for pair in record["fields"]]})
            for record in self._ask("/summary")["records"]
        ]

    def counts(self) -> dict[str, Any]:
        """``heads`` and ``complete`` requests, ``connections``, ``violations``, ``handshakes``."""
        counts: dict[str, Any] = self._ask("/counts")
        return counts

    def script(self, answer: bytes, then: str = "close") -> None:
        """What the next request to ``/raw`` gets; ``then`` is keep, close or rst."""
        body = {"answer": base64.b64encode(answer).decode(), "then": then}
        self._ask("/script", json.dumps(body).encode())

    def emit(self) -> None:
        """Send one more event on every open ``/sse`` stream."""
        self._ask("/emit")

    def given_up(self, target: str, timeout: float) -> bool:
        """Wait until the gateway closed the connection of a request to ``target``."""
        path = f"/closed?target={quote(target)}&timeout={timeout}"
        return bool(self._ask(path, timeout=timeout + 10))

    def stop(self) -> None:
        self.process.stop()
