"""State in this process: a dict, bounded, for one worker and for what counts locally.

Theory of operation. Entries lie in one dict: a bucket is its TAT (``policies.stores.gcra``), all
else a value and when it ends. A key of the dict is filed exactly once, under the second in which
its entry ends; a heap holds those seconds. Writing to a key that is there does not file it again,
so it costs nothing beyond the dict, and deleting only marks its entry as ended. When a key is
added, at most ``_SWEEP`` filed keys whose second has passed are looked at: an entry that has ended
is removed, one that lives longer by now is filed anew. More is looked at than is added, so ended
entries do not pile up, and the work per call is bounded.

At the cap, the entry that ends first makes room, though its time has not come: nearly drained
buckets go before nonces and leases that still have theirs to run.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush

from policies.core.state import Allowance, Rate, Window
from policies.stores import gcra, slots, windows
from policies.stores.face import OperationState
from policies.stores.operations import (
    Consume,
    Count,
    Delete,
    Hold,
    Increment,
    Lease,
    Occupy,
    Operation,
    Publish,
    Raise,
    Read,
    Release,
    RememberOnce,
    Replace,
    Result,
    Slide,
    Touch,
    Vacate,
    as_number,
)
from policies.stores.windows import SECOND

_SWEEP = 16
_Value = int | str | bytes
_Entry = int | tuple[int, _Value]  # a TAT in ticks, or the end in microseconds and the value


class MemoryBackend:
    """All entries of one process."""

    unbroken_since = float("-inf")

    def __init__(self, clock: Callable[[], float] = time.time, max_entries: int = 200_000) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._entries: dict[str, _Entry] = {}
        self._filed: dict[int, list[str]] = {}  # second -> keys filed under it
        self._seconds: list[int] = []  # heap of the seconds in _filed
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        """See ``policies.stores.operations.Backend``; never unavailable."""
        with self._lock:
            now = int(self._clock() * SECOND)
            return [self._apply(operation, now) for operation in batch]

    def consume(self, key: str, rate: Rate, cost: int = 1) -> Allowance:
        """``execute([Consume(...)])`` without the list: this one is paid on every request."""
        with self._lock:
            return self._consume(key, rate, cost, int(self._clock() * SECOND))

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``policies.stores.operations.Backend``; never unavailable."""
        with self._lock:
            now = int(self._clock() * SECOND)
            living = [key for key, entry in self._entries.items() if _end_of(entry) > now]
        return (key for key in living if key.startswith(prefix))

    def _apply(self, operation: Operation, now: int) -> Result:
        match operation:
            case Consume(key, rate, cost):
                return self._consume(key, rate, cost, now)
            case Count(key, window, cost, needs):
                if needs is not None and self._get(needs, now) is None:
                    return None
                return self._count(key, window, cost, now)
            case Slide(key, window, cost):
                allowance, entry = windows.slide(window, self._get(key, now), now, cost)
                if entry is not None:
                    self._put(key, entry, window.per, now)
                return allowance
            case Occupy() | Hold() | Vacate():
                return self._share(operation, now)
            case Raise(key, amount, ttl):
                held = self._get(key, now)
                wanted = amount - (as_number(held) if held is not None else 0)
                return self._increment(key, max(0, wanted), ttl, now)
            case Increment(key, amount, ttl):
                return self._increment(key, amount, ttl, now)
            case RememberOnce(key, ttl):
                return self._get(key, now) is None and self._put(key, 1, ttl, now)
            case Lease(key, holder, ttl):
                return self._get(key, now) in (None, holder) and self._put(key, holder, ttl, now)
            case Release(key, holder):
                return self._get(key, now) == holder and self._end(key, now)
            case Publish(key, value, ttl, absent_only):
                taken = absent_only and self._get(key, now) is not None
                return not taken and self._put(key, value, ttl, now)
            case Replace(key, before, value, ttl):
                return self._get(key, now) == before and self._put(key, value, ttl, now)
            case Read(key):
                return _as_bytes(self._get(key, now))
            case Touch(key, ttl):
                held = self._get(key, now)
                return held is not None and self._put(key, held, ttl, now)
            case Delete(key):
                return self._end(key, now)

    def _consume(self, key: str, rate: Rate, cost: int, now: int) -> Allowance:
        entry = self._entries.get(key)
        held = entry[1] if isinstance(entry, tuple) else entry  # one that was touched, say
        tat = held if isinstance(held, int) else 0
        allowance, tat_after = gcra.take(rate, tat, gcra.ticks(now), cost)
        if tat_after is not None:
            if entry is None:
                self._set(key, tat_after, now)
            else:  # as on nearly every call
                self._entries[key] = tat_after
        return allowance

    def _count(self, key: str, window: Window, cost: int, now: int) -> Allowance:
        held, per = self._get(key, now), int(window.per * SECOND)
        used = held if isinstance(held, int) else 0
        end = _end_of(self._entries[key]) if isinstance(held, int) else now + per
        allowance = windows.assess_count(window, used, end - now, cost)
        if allowance.allowed and cost:
            self._set(key, (end, used + cost), now)
        return allowance

    def _share(self, operation: Occupy | Hold | Vacate, now: int) -> Result:
        key, holder = operation.key, operation.holder
        shares = slots.shares_of(self._get(key, now), now)
        result: Result = True
        match operation:
            case Occupy(limit=limit, ttl=ttl, cost=cost):
                end = now + int(ttl * SECOND)
                result = slots.occupy(shares, holder, limit, cost, end)
            case Hold(least=least, most=most, ttl=ttl):
                slots.hold(shares, holder, least, most, now + int(ttl * SECOND))
            case Vacate():
                result = slots.vacate(shares, holder)
        text, end = slots.entry_of(shares)
        if shares or key in self._entries:
            self._set(key, (end, text), now)
        return result

    def _increment(self, key: str, amount: int, ttl: float | None, now: int) -> int | None:
        held = self._get(key, now)
        if held is not None:
            total = as_number(held) + amount
            self._entries[key] = (_end_of(self._entries[key]), total)
            return total
        if ttl is not None:
            self._put(key, amount, ttl, now)
            return amount
        return None

    def _get(self, key: str, now: int) -> _Value | None:
        entry = self._entries.get(key)
        if entry is None or _end_of(entry) <= now:
            return None
        return entry if isinstance(entry, int) else entry[1]

    def _put(self, key: str, value: _Value, ttl: float, now: int) -> bool:
        self._set(key, (now + int(ttl * SECOND), value), now)
        return True

    def _end(self, key: str, now: int) -> bool:
        """Mark the entry as ended. Whether there was one."""
        if self._get(key, now) is None:
            return False
        self._entries[key] = (0, 0)
        return True

    def _set(self, key: str, entry: _Entry, now: int) -> None:
        if key not in self._entries:
            self._make_room(now)
            self._file(key, _end_of(entry))
        self._entries[key] = entry

    def _make_room(self, now: int) -> None:
        for _ in range(_SWEEP):
            full = len(self._entries) >= self._max_entries
            if not self._seconds or (self._seconds[0] * SECOND > now and not full):
                return
            second, key = self._next_filed()
            end = _end_of(self._entries[key])
            if end >= second * SECOND:
                self._file(key, end)
            else:
                del self._entries[key]
        if len(self._entries) >= self._max_entries:
            del self._entries[self._next_filed()[1]]

    def _file(self, key: str, end: int) -> None:
        second = end // SECOND + 1
        keys = self._filed.get(second)
        if keys is None:
            keys = self._filed[second] = []
            heappush(self._seconds, second)
        keys.append(key)

    def _next_filed(self) -> tuple[int, str]:
        """Take the key filed to end first, with its second."""
        second = self._seconds[0]
        keys = self._filed[second]
        key = keys.pop()
        if not keys:
            del self._filed[heappop(self._seconds)]
        return second, key


class MemoryState(OperationState):
    """``State`` of this process: answers at once and never gives up the loop."""

    def __init__(self, backend: MemoryBackend | None = None) -> None:
        self._backend = MemoryBackend() if backend is None else backend

    async def perform(self, operation: Operation) -> Result:
        return self._backend.execute((operation,))[0]

    def tell(self, operation: Operation) -> None:
        self._backend.execute((operation,))

    @property
    def consume(self) -> Callable[..., Allowance]:
        return self._backend.consume


def _end_of(entry: _Entry) -> int:
    """When an entry ends, in microseconds since 1970: a bucket when it has drained."""
    return gcra.microseconds(entry) if isinstance(entry, int) else entry[0]


def _as_bytes(value: _Value | None) -> bytes | None:
    return str(value).encode() if isinstance(value, (int, str)) else value
