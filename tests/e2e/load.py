"""A bounded load of keep-alive requests that accounts for every one of them.

Each connection is one task: send, await the answer, compare it with what was asked, again. Each
target carries a number of its own and the recorder answers with the target, so that an answer
meant for somebody else is seen (``mismatched``). A request without an answer is ``lost``.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Self

from tests.e2e.raw import encode
from tests.e2e.servers import until
from tests.e2e.strict import END, Head, Messages, Violation


@dataclass
class Totals:
    """What became of the requests. ``lost`` says for each lost one when and how."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    longest: float = 0.0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    def spotless(self) -> bool:
        """Every request was answered, with 200, with its own answer."""
        bad = self.lost or self.mismatched or self.violations
        return not bad and self.sent == self.answered == self.statuses[200]

    def __str__(self) -> str:
        return (
            f"sent={self.sent} statuses={dict(self.statuses)} lost={self.lost[:5]} "
            f"({len(self.lost)}) mismatched={self.mismatched[:5]} violations={self.violations[:5]}"
        )


class Load:
    """Runs in a thread of its own from ``__enter__`` to ``__exit__``; then read ``totals``.

    ``prefix`` is what each numbered target begins with; as the upstream sees it, it must be
    ``seen_as``. ``tokens`` are used in turn. ``pause`` is the time between two requests of one
    connection, in seconds.
    """

    def __init__(
        self,
        address: tuple[str, int],
        tokens: Sequence[str] | Callable[[], str],
        connections: int = 8,
        prefix: str = "/orders/id/",
        seen_as: str = "/id/",
        pause: float = 0.002,
    ) -> None:
        self.totals = Totals()
        self._address = address
        self._token = tokens if callable(tokens) else _in_turn(tokens)
        self._connections = connections
        self._prefix, self._seen_as, self._pause = prefix, seen_as, pause
        self._numbers = count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.flying: set[int] = set()  # local ports of connections with a request under way

    def __enter__(self) -> Self:
        self._thread.start()
        self.await_answers(self._connections)
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def stop(self) -> Totals:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the load did not end"
        return self.totals

    def await_answers(self, more: int, seconds: float = 30) -> None:
        """Wait until that many more requests were answered."""
        goal = self.totals.answered + more
        until(lambda: self.totals.answered >= goal, seconds, f"{more} more answers")

    async def _run(self) -> None:
        await asyncio.gather(*(self._connection() for _ in range(self._connections)))

    async def _connection(self) -> None:
        while not self._stopping.is_set():
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except ConnectionError as error:
                self.totals.lost.append(f"connecting: {error!r}")
                await asyncio.sleep(0.05)
                continue
            try:
                await self._requests(reader, writer)
            except Violation as violation:
                self.totals.violations.append(str(violation))
            finally:
                writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked: deque[str] = deque()
        messages = Messages(asked)
        port = writer.get_extra_info("sockname")[1]
        while not self._stopping.is_set():
            number = next(self._numbers)
            fields = [("Authorization", f"Bearer {self._token()}")]
            self.totals.sent += 1
            begun = time.monotonic()
            asked.append("GET")
            self.flying.add(port)
            try:
                writer.write(encode("GET", f"{self._prefix}{number}", fields))
                async with asyncio.timeout(30):
                    head, body = await _answer(reader, messages)
            except (ConnectionError, EOFError, TimeoutError) as error:
                self.totals.lost.append(f"{number} at {time.monotonic():.3f}: {error!r}")
                return
            finally:
                self.flying.discard(port)
            self.totals.longest = max(self.totals.longest, time.monotonic() - begun)
            self._account(number, head, body)
            if (head.get("connection") or "").lower() == "close":
                return
            await asyncio.sleep(self._pause)

    def _account(self, number: int, head: Head, body: bytes) -> None:
        self.totals.statuses[head.status] += 1
        expected = f"{self._seen_as}{number}"
        if head.status == 200 and body.decode("latin-1") != expected:
            self.totals.mismatched.append(f"{expected}: {body[:80]!r}")


def _in_turn(tokens: Sequence[str]) -> Callable[[], str]:
    numbers = count()
    return lambda: tokens[next(numbers) % len(tokens)]


async def _answer(reader: asyncio.StreamReader, messages: Messages) -> tuple[Head, bytes]:
    head: Head | None = None
    body = bytearray()
    while (event := messages.take()) is not END:
        if isinstance(event, Head):
            head = event
        elif isinstance(event, bytes):
            body += event
        else:
            data = await reader.read(65536)
            if not data:
                raise EOFError("closed without an answer" if head is None else "cut answer")
            messages.feed(data)
    assert head is not None
    return head, bytes(body)
