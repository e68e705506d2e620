"""The vocabulary of shared state: what can be asked of a store, and the Protocol of a store.

Every store executes lists of these operations; the asynchronous face, the Django cache and
``explain`` are built on them once, for all stores. Rules:

1. A key holds one entry, with one value and one moment at which it is gone.
2. An operation is total: an entry that means nothing to it (a value where a number was
   expected) counts as absent, so that one operation never spoils the others of its batch.
3. A store reads its own clock; several machines agree because they ask the same store.

Keys are text of any length; ``ttl`` is in seconds and greater than 0.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from policies.core.services import Allowance, Rate


class Consume(NamedTuple):
    """Take ``cost`` units from a bucket, by GCRA. Result: ``Allowance``."""

    key: str
    rate: Rate
    cost: int = 1


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


Operation = Consume | Increment | RememberOnce | Lease | Release | Publish | Read | Touch | Delete
Result = Allowance | int | bool | bytes | None


class Backend(Protocol):
    """A store as a blocking caller sees it; safe to use from several threads."""

    @property
    def unbroken_since(self) -> float:
        """See ``policies.core.services.State``."""
        ...

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        """The results of all operations, in order, as one atomic step.

        Raises ``policies.core.errors.StateUnavailable``, within a bounded time, when the store
        cannot answer; then it is not known whether the operations took place.
        """
        ...


def as_number(value: int | str | bytes) -> int:
    """A counter's number; what is no number counts as 0 (rule 2)."""
    try:
        return int(value)
    except ValueError:
        return 0
