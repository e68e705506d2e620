"""The door's ``Body``: a request's content as the parser delivers it, and whether it comes fast
enough.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from apis.gateway.limits import Limits

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


class RequestBody:
    """The content of one request as the parser delivers it."""

    __slots__ = (
        "_ask", "_chunks", "_error", "_flow", "_waiter", "buffered", "ended", "length", "received",
    )  # fmt: skip

    def __init__(self, flow: Callable[[], None]) -> None:
        """``flow`` is called when the amount buffered has changed by reading."""
        self._flow = flow
        self._ask: Callable[[], None] | None = None
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.length: int | None = 0
        self.buffered = 0
        self.received = 0
        self.ended = False

    def ask_first(self, ask: Callable[[], None]) -> None:
        """The client waits for 100 Continue: ``ask`` sends it, at the first read."""
        self._ask = ask

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self.received += len(chunk)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Nothing more will come; whoever reads gets the error."""
        if self._error is None and not self.ended:
            self._error = error
            self._wake()

    @property
    def awaited(self) -> bool:
        """Somebody is waiting for the client to send more."""
        return self._waiter is not None

    def complete(self) -> bytes | None:
        """The whole content if it has arrived."""
        if not self.ended or self._error is not None:
            return None
        content = b"".join(self._chunks)
        self._taken(self.buffered)
        self._chunks.clear()
        return content

    async def read(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            if self._ask is not None:
                self._ask()
                self._ask = None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._taken(len(chunk))
        return chunk

    def _taken(self, size: int) -> None:
        self.buffered -= size
        self._flow()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


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


NO_BODY = RequestBody(_no_flow)
NO_BODY.end()
