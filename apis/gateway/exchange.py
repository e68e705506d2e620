"""What a door hands to ``handle``: one request, its body as it comes, and where the answer goes.

A door (``http1`` for the wire, ``view`` for Django) implements ``Body`` and ``Exchange``;
``handle`` knows nothing else of it. Errors of the client's side are the two exceptions here.
"""

from typing import Protocol

from policies.core.values import Deny, Field, Request


class ClientGone(Exception):
    """The client closed its connection, or broke the message; nobody is left to answer."""


class BodyRefused(Exception):
    """The request's body ended in a refusal: too slow, too large, or a policy's objection."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(deny.code)
        self.deny = deny


class Body(Protocol):
    """A request body, read once, in order, with back-pressure towards the client.

    ``length`` is the declared length, 0 for none, None when unknown (chunked).
    """

    length: int | None

    def complete(self) -> bytes | None:
        """The whole body if it has arrived already and is small, else None."""
        ...

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end.

        The first read sends ``100 Continue`` if the client waits for it. Raises
        ``ClientGone`` when the client aborts, ``BodyRefused`` when it is too slow.
        """
        ...


class Tunnel(Protocol):
    """One end of an upgraded connection; what it receives it writes to its peer."""

    def write(self, data: bytes) -> None: ...

    def pause(self) -> None:
        """The peer cannot take more: stop reading."""
        ...

    def resume(self) -> None: ...

    def close(self) -> None:
        """End this side after what was written; safe to call twice."""
        ...


class ClientTunnel(Tunnel, Protocol):
    """The client's end, made before the upstream's: it starts reading when it has its peer."""

    def join(self, peer: Tunnel) -> None: ...


class Exchange(Protocol):
    """One request and the way back. Exactly one answer is given: ``respond``, or ``start``
    followed by ``write`` and then ``finish`` or ``abort``, or ``upgrade``.

    The exchange frames the answer: ``fields`` must not hold connection or framing lines,
    except that ``length`` becomes Content-Length. None means unknown.
    """

    @property
    def request(self) -> Request: ...

    @property
    def body(self) -> Body: ...

    def respond(self, status: int, fields: list[Field], content: bytes, length: int | None) -> None:
        """A complete answer in one write. ``length`` differs from ``content`` only for HEAD/304."""
        ...

    def inform(self, status: int, fields: list[Field]) -> None:
        """An interim answer (1xx other than 100 and 101)."""
        ...

    def start(self, status: int, fields: list[Field], length: int | None) -> None:
        """The head of an answer whose content follows."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Content; returns when the client's side has room. Raises ``ClientGone``."""
        ...

    def finish(self) -> None:
        """The content is complete."""
        ...

    def abort(self) -> None:
        """The content will never be complete: the client must be able to see that."""
        ...

    def upgrade(self, fields: list[Field]) -> ClientTunnel:
        """Send 101 with these lines; the connection is a tunnel from here on."""
        ...
