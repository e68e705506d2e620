"""What policies may ask of shared state, and of the ledger that outlives it: the Protocols.

Implementations live in ``policies.stores`` and ``policies.ledger``.
"""

from collections.abc import Awaitable, Generator
from typing import NamedTuple, Protocol


class Rate(NamedTuple):
    """A GCRA limit: on average ``limit`` per ``per`` seconds, bursts of at most ``burst``."""

    limit: int
    per: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one unit drains (the emission interval)."""
        return self.per / self.limit


class Window(NamedTuple):
    """At most ``limit`` within ``per`` seconds."""

    limit: int
    per: float


class Allowance(NamedTuple):
    """The answer of a limit.

    ``remaining`` whole units could be taken at once; ``retry_after`` is the number of seconds
    until the refused cost would be allowed (0 when allowed); ``reset_after`` the number of
    seconds until all of the limit is available again.

    Awaiting it gives itself: a store that knows at once answers with it, and makes nobody wait.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float

    def __await__(self) -> Generator[None, None, "Allowance"]:
        yield from ()
        return self


class State(Protocol):
    """State shared by all workers: counters, nonces, leases and published values.

    Every method raises ``policies.core.errors.StateUnavailable`` when the store cannot
    answer, within a bounded time. Keys are text of any length; ttl is in seconds.
    """

    @property
    def unbroken_since(self) -> float:
        """From when on the store has forgotten nothing, in seconds since the epoch, as far as this
        process can tell: minus infinity unless it found another store than before."""
        ...

    def consume(self, key: str, rate: Rate, cost: int = 1) -> Awaitable[Allowance]:
        """Atomically take ``cost`` units from the bucket ``key`` if it holds them.

        ``cost=0`` looks without taking.
        """
        ...

    async def count(
        self, key: str, window: Window, cost: int = 1, needs: str | None = None
    ) -> Allowance:
        """The same by a fixed window, which begins with the first call that is counted.

        ``needs`` is the key of an entry without which nothing is counted: then it raises
        ``StateUnavailable``.
        """
        ...

    async def slide(self, key: str, window: Window, cost: int = 1) -> Allowance:
        """The same by a sliding window: never more than the limit in any stretch of ``per``."""
        ...

    async def occupy(
        self, key: str, holder: str, limit: int, ttl: float, cost: int = 1
    ) -> Allowance:
        """Take one of the ``limit`` slots of ``key`` for ``holder``, a name without blanks.

        ``cost=0`` looks.

        All slots that a holder has of a key end ``ttl`` seconds after its last ``occupy`` or
        ``hold`` there. How long a slot is kept is not known: the times of a refusal are 1.
        """
        ...

    def vacate(self, key: str, holder: str) -> None:
        """Give one slot back. It is not waited for, and a failure is not told: see ``hold``."""
        ...

    def hold(self, key: str, holder: str, least: int, most: int, ttl: float) -> None:
        """Keep a holder's slots of ``key``: no fewer than ``least``, no more than ``most``.

        It mends what got lost on the way or with the store. Not waited for.
        """
        ...

    async def increment(self, key: str, amount: int, ttl: float) -> int:
        """Atomically add to the counter ``key`` and return the sum.

        A counter that does not exist starts at 0 and lives ``ttl`` seconds from then.
        """
        ...

    async def remember_once(self, key: str, ttl: float) -> bool:
        """True for the first caller within ``ttl``, False for every other one."""
        ...

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        """Take or renew the lease ``key``; False while another holder has it."""
        ...

    async def release(self, key: str, holder: str) -> None:
        """Give the lease back if ``holder`` still has it."""
        ...

    async def publish(self, key: str, value: bytes, ttl: float) -> None:
        """Store a value for all workers."""
        ...

    async def swap(self, key: str, held: bytes | None, value: bytes, ttl: float) -> bool:
        """Store a value if ``held`` is what is there now (None: nothing); else change nothing.

        Whether it was stored.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """The published value, or None when there is none or it expired."""
        ...

    async def touch(self, key: str, ttl: float) -> bool:
        """Let what is kept under ``key`` live ``ttl`` seconds from now. Whether there was any."""
        ...

    async def delete(self, key: str) -> None:
        """Forget everything kept under ``key``."""
        ...


class Ledger(Protocol):
    """Where is written down what must survive a loss of shared state: how much was spent.

    ``complete`` is the key of the entry that is there while shared state has all counters that
    the ledger knows of; None where they cannot be lost.
    """

    @property
    def complete(self) -> str | None: ...

    def spent(self, key: str, units: int, ends: float) -> None:
        """Write down ``units`` of the counter ``key``, which ends at ``ends`` (epoch seconds).

        Returns at once; it is written within a second.
        """
        ...


class NoLedger:
    """Where nothing needs to survive."""

    complete = None

    def spent(self, key: str, units: int, ends: float) -> None:
        """Forget it."""
