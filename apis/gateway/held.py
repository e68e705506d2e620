"""Content that policies look at before it is forwarded: as it streams by, or whole and held back.

What is held is bounded by the caller; of what is larger the rest stays where it is.
"""

from collections.abc import Awaitable, Callable

from apis.gateway.exchange import Body, BodyRefused
from apis.gateway.upstream import UpstreamResponse
from policies.core.policy import BodyWatch


class WatchedBody:
    """A body whose every chunk is shown to the policies that asked, before it is forwarded."""

    def __init__(self, body: Body, watches: list[BodyWatch]) -> None:
        self._body = body
        self._watches = watches
        self.length = body.length

    def complete(self) -> bytes | None:
        content = self._body.complete()
        if content is not None:
            self._show(content)
            self._end()
        return content

    async def read(self) -> bytes:
        chunk = await self._body.read()
        if chunk:
            self._show(chunk)
        else:
            self._end()
        return chunk

    def _show(self, chunk: bytes) -> None:
        for watch in self._watches:
            deny = watch.feed(chunk)
            if deny is not None:
                raise BodyRefused(deny)

    def _end(self) -> None:
        for watch in self._watches:
            deny = watch.end()
            if deny is not None:
                raise BodyRefused(deny)


class HeldBody:
    """A body that is here."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length: int | None = len(content)

    def complete(self) -> bytes | None:
        return self._content

    async def read(self) -> bytes:
        content, self._content = self._content, b""
        return content


class ResumedBody:
    """A body of which the beginning is here, and the rest still with the client."""

    def __init__(self, beginning: bytes, rest: Body) -> None:
        self._beginning = beginning
        self._rest = rest
        self.length = rest.length

    def complete(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        beginning, self._beginning = self._beginning, b""
        return beginning or await self._rest.read()


async def hold_body(body: Body, bound: int) -> tuple[bytes, bool]:
    """The content of a body, and whether that is all of it: there is more when it has passed
    ``bound`` bytes, or says that it will. Raises what ``read`` raises."""
    if body.length is not None and body.length > bound:
        return b"", False
    return await _collect(body.read, bound)


async def hold_answer(response: UpstreamResponse, bound: int) -> tuple[bytes, bool]:
    """The content of an answer, and whether that is all of it: there is more when it has passed
    ``bound`` bytes. Raises what ``read`` raises."""
    if response.content is not None:
        return response.content, True
    if bound == 0 or (response.length is not None and response.length > bound):
        return b"", False
    return await _collect(response.read, bound)


async def _collect(read: Callable[[], Awaitable[bytes]], bound: int) -> tuple[bytes, bool]:
    """What is read until the end, or until more than ``bound`` bytes are there."""
    chunks = []
    size = 0
    while chunk := await read():
        size += len(chunk)
        chunks.append(chunk)
        if size > bound:
            return b"".join(chunks), False
    return b"".join(chunks), True
