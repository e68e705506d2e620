"""The door's ``Body``: a request's content as the parser delivers it, and whether it comes fast
enough.
"""

from collections.abc import Callable

from apis.gateway.limits import Limits
from apis.gateway.stream import Stream


class RequestBody(Stream):
    """The content of one request. ``length`` and the reading are those of ``exchange.Body``."""

    __slots__ = ("_ask", "length", "received")

    def __init__(self, flow: Callable[[], None], length: int | None = None) -> None:
        super().__init__(flow)
        self._ask: Callable[[], None] | None = None
        self.length = length
        self.received = 0

    def ask_first(self, ask: Callable[[], None]) -> None:
        """The client waits for 100 Continue: ``ask`` sends it, at the first read."""
        self._ask = ask

    def feed(self, chunk: bytes) -> None:
        self.received += len(chunk)
        super().feed(chunk)

    @property
    def awaited(self) -> bool:
        """Somebody is waiting for the client to send more."""
        return self._waiter is not None

    def complete(self) -> bytes | None:
        """The whole content if it has arrived."""
        return self.take() if self.ended else None

    async def read(self) -> bytes:
        if self._ask is not None and not self.received:
            self._ask()
        self._ask = None
        return await super().read()


class Pace:
    """Whether a body comes fast enough, counting only time in which somebody waited for it."""

    __slots__ = ("_limits", "_received", "_silence", "_waited")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._received = 0
        self._silence = 0.0
        self._waited = 0.0

    def too_slow(self, received: int, seconds: float) -> bool:
        """``received`` bytes in all, after another ``seconds`` of waiting."""
        self._waited += seconds
        self._silence = self._silence + seconds if received == self._received else 0.0
        self._received = received
        if self._silence >= self._limits.body_timeout:
            return True
        lasted = self._waited > self._limits.body_timeout
        return lasted and received < self._limits.body_rate * self._waited


def _no_flow() -> None:
    """A body that never holds anything never changes the flow."""


NO_BODY = RequestBody(_no_flow, 0)
NO_BODY.end()
