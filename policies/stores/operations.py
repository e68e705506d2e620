"""The vocabulary of shared state: what can be asked of a store, and the Protocol of a store.

Every store executes lists of these operations; the asynchronous face, the Django cache and
``explain`` are built on them once, for all stores. Rules:

1. A key holds one entry, with one value and one moment at which it is gone.
2. An operation is total: an entry that means nothing to it (a value where a number was
   expected) counts as absent, so that one operation never spoils the others of its batch.
3. A store reads its own clock; several machines agree because they ask the same store.

Keys are text of any length; ``ttl`` is in seconds and greater than 0.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from policies.core.state import Allowance, Rate, Window


class Consume(NamedTuple):
    """Take ``cost`` units from a bucket, by GCRA. Result: ``Allowance``."""

    key: str
    rate: Rate
    cost: int = 1


class Count(NamedTuple):
    """Take from a fixed window, which begins with what is taken first. Result: ``Allowance``.

    The entry is a counter: it ends with its window. Where ``needs`` names an entry that is not
    there, nothing is taken and the result is None.
    """

    key: str
    window: Window
    cost: int = 1
    needs: str | None = None


class Slide(NamedTuple):
    """Take from a sliding window (see ``policies.stores.windows``). Result: ``Allowance``."""

    key: str
    window: Window
    cost: int = 1


class Occupy(NamedTuple):
    """Take slots for ``holder``, a name without blanks (see ``policies.stores.slots``).

    Result: ``Allowance``.
    """

    key: str
    holder: str
    limit: int
    ttl: float
    cost: int = 1


class Hold(NamedTuple):
    """Let a holder's slots live ``ttl`` from now, and be between ``least`` and ``most``.

    Result: True. With both 0 it has none any more.
    """

    key: str
    holder: str
    least: int
    most: int
    ttl: float


class Vacate(NamedTuple):
    """Give one slot back. Result: whether ``holder`` had one."""

    key: str
    holder: str


class Raise(NamedTuple):
    """Let a counter be at least ``amount``. Result: what it is now.

    An absent one lives ``ttl`` seconds; the end of another does not move.
    """

    key: str
    amount: int
    ttl: float


class Increment(NamedTuple):
    """Add to a counter; its end does not move. Result: the sum.

    An absent counter starts at 0 and lives ``ttl`` seconds. ``ttl`` None: it is not started,
    and the result is None.
    """

    key: str
    amount: int
    ttl: float | None


class RememberOnce(NamedTuple):
    """Result: True for the first within ``ttl``, False for the others."""

    key: str
    ttl: float


class Lease(NamedTuple):
    """Take or renew. Result: whether ``holder`` has the lease now."""

    key: str
    holder: str
    ttl: float


class Release(NamedTuple):
    """Give a lease back. Result: whether ``holder`` had it."""

    key: str
    holder: str


class Publish(NamedTuple):
    """Store a value. Result: True; with ``absent_only``, False when there was one already."""

    key: str
    value: bytes
    ttl: float
    absent_only: bool = False


class Replace(NamedTuple):
    """Store a value in the place of another one. Result: whether ``held`` was what was there."""

    key: str
    held: bytes
    value: bytes
    ttl: float


class Read(NamedTuple):
    """Result: the value or None. A counter reads as its decimal digits."""

    key: str


class Touch(NamedTuple):
    """Let an entry live ``ttl`` seconds from now. Result: whether there was one."""

    key: str
    ttl: float


class Delete(NamedTuple):
    """Result: whether there was an entry."""

    key: str


RareOperation = (
    Count
    | Slide
    | Occupy
    | Hold
    | Vacate
    | Raise
    | Increment
    | RememberOnce
    | Lease
    | Release
    | Publish
    | Replace
    | Read
    | Touch
    | Delete
)
Operation = Consume | RareOperation
Result = Allowance | int | bool | bytes | None


class Backend(Protocol):
    """A store as a blocking caller sees it; safe to use from several threads."""

    @property
    def unbroken_since(self) -> float:
        """See ``policies.core.state.State``."""
        ...

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        """The results of all operations, in order, as one atomic step.

        Raises ``policies.core.errors.StateUnavailable``, within a bounded time, when the store
        cannot answer; then it is not known whether the operations took place.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of living entries that begin with ``prefix``, in no order, each once.

        For people who look: it is not atomic, and reads as much as there is. Raises
        ``StateUnavailable``.
        """
        ...


@runtime_checkable
class PromptBackend(Backend, Protocol):
    """A store that can nearly always answer without waiting for anybody: no other process that
    holds its lock, nothing at the end of a socket. So an event loop may ask it itself.
    """

    def attempt(self, batch: Sequence[Operation]) -> list[Result] | None:
        """``execute``, if nobody has to be waited for; else None, and nothing has been done.

        It puts off what takes long and can wait: that is for ``tidy``.
        """
        ...

    def tidy(self) -> None:
        """Do what ``attempt`` has put off. It may take long. Raises ``StateUnavailable``."""
        ...


def as_number(value: int | str | bytes) -> int:
    """A counter's number; what is no number counts as 0 (rule 2)."""
    try:
        return int(value)
    except ValueError:
        return 0
