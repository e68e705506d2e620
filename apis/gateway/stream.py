"""Content on its way from one connection to another: read once, in order, and never piled up."""

import asyncio
from collections.abc import Callable

HIGH_WATER = 256 * 1024  # bytes held: above it the sender's socket is no longer read ...
LOW_WATER = 64 * 1024  # ... until no more than this is left


class Stream:
    """Bytes that one side feeds and the other side reads.

    ``flow`` is called whenever reading made room, so that whoever feeds can go on.
    """

    __slots__ = ("_chunks", "_error", "_flow", "_waiter", "buffered", "ended")

    def __init__(self, flow: Callable[[], None]) -> None:
        self._flow = flow
        self._chunks: list[bytes] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.buffered = 0
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.buffered += len(chunk)
        self._wake()

    def end(self) -> None:
        """The content is complete."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """The content will never be complete: who reads on gets ``error``."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    async def read(self) -> bytes:
        """All that is there, waiting for something; ``b""`` at the end. Raises as ``fail`` says."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    def take(self) -> bytes:
        """All that is there now."""
        chunks, self._chunks = self._chunks, []
        self.buffered = 0
        self._flow()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
