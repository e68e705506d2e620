"""State shared by many machines: Redis or Valkey, one script call a batch.

The script (``lua/batch.lua``) does the whole batch atomically by the server's clock. Redis is
asked once and quickly: no retries, 0.1 s to connect and to answer. After a failure a breaker
refuses at once for 0.5 s, then lets one batch through to see whether the server is back, so
that a stalled server costs one caller 0.1 s and not every caller.

Each new connection asks which run of a server it leads to. Another one than before may have
forgotten what it was told (a restart, a replica that took over): ``unbroken_since`` says so.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from policies.core.errors import StateUnavailable
from policies.stores import gcra, slots, windows
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
)

_PREFIX = "gatehouse:"
_SCRIPT = (Path(__file__).parent / "lua" / "batch.lua").read_text()
_RUN_ID = re.compile(rb"run_id:([0-9a-f]+)")
_REST = 0.5  # seconds without asking after a failure

_Argument = str | bytes | int
_Reply = int | bytes | list[int | bytes] | None


class _Breaker:
    """Whether to ask: always, until a failure; then one caller in ``_REST`` seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests_until: float | None = None

    def admit(self) -> None:
        """Raises ``StateUnavailable`` while the server is not to be asked."""
        if self._rests_until is None:
            return
        with self._lock:
            now = time.monotonic()
            if self._rests_until is None:
                return
            if now < self._rests_until:
                raise StateUnavailable("Redis failed a moment ago and is not asked yet")
            self._rests_until = now + _REST

    def failed(self) -> None:
        with self._lock:
            self._rests_until = time.monotonic() + _REST

    def succeeded(self) -> None:
        if self._rests_until is not None:
            with self._lock:
                self._rests_until = None


class RedisBackend:
    """State in the server at ``url`` (``redis://`` or ``rediss://``, as redis-py reads it).

    ``timeout`` bounds connecting and each answer, in seconds.
    """

    def __init__(self, url: str, timeout: float = 0.1) -> None:
        self.unbroken_since = float("-inf")
        self._run_id: bytes | None = None
        self._client = redis.Redis.from_url(
            url,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._connected,
        )
        self._script = self._client.register_script(_SCRIPT)
        self._breaker = _Breaker()

    def execute(self, batch: Sequence[Operation]) -> list[Result]:
        """See ``policies.stores.operations.Backend``."""
        self._breaker.admit()
        keys = [_PREFIX + operation.key for operation in batch]
        arguments: list[_Argument] = []
        for operation in batch:
            arguments += _arguments(operation)
        try:
            replies = cast(list[_Reply], self._script(keys=keys, args=arguments))
        except redis.RedisError as error:
            self._breaker.failed()
            raise StateUnavailable(f"Redis: {error}") from error
        self._breaker.succeeded()
        return [_result(*pair) for pair in zip(batch, replies, strict=True)]

    def _connected(self, connection: Any) -> None:
        """Make a connection ready, and see whether it leads to the server that was known."""
        connection.on_connect()
        connection.send_command("INFO", "server")
        try:
            found = _RUN_ID.search(connection.read_response())
        except redis.ResponseError:  # it may not be asked: then nobody can say that it is the same
            found = None
        run_id = found[1] if found is not None else b"unknown"
        if self._run_id is not None and (found is None or run_id != self._run_id):
            self.unbroken_since = time.time()
        self._run_id = run_id

    def keys(self, prefix: str) -> Iterator[str]:
        """See ``policies.stores.operations.Backend``: SCAN, a thousand keys of all at a time."""
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", _PREFIX + prefix) + "*"
        seen = set()
        try:
            for key in self._client.scan_iter(match=pattern, count=1000):
                if key not in seen:
                    seen.add(key)
                    yield key.decode(errors="replace").removeprefix(_PREFIX)
        except redis.RedisError as error:
            raise StateUnavailable(f"Redis: {error}") from error


def _arguments(operation: Operation) -> tuple[_Argument, ...]:
    """The operation's values of ARGV: its letter and its parameters."""
    match operation:
        case Consume(_, rate, cost):
            interval, full = gcra.measures(rate)
            return "c", full, cost * interval
        case Count(_, window, cost, needs):
            needed = "" if needs is None else _PREFIX + needs
            return "w", window.limit, cost, _milliseconds(window.per), needed
        case Slide(_, window, cost):
            return "s", window.limit, cost, *windows.measures(window)
        case Occupy(_, holder, limit, ttl, cost):
            return "o", holder, limit, cost, _milliseconds(ttl)
        case Hold(_, holder, least, most, ttl):
            return "h", holder, least, most, _milliseconds(ttl)
        case Vacate(_, holder):
            return "v", holder
        case Raise(_, amount, ttl):
            return "m", amount, _milliseconds(ttl)
        case Increment(_, amount, ttl):
            return "n", amount, "" if ttl is None else _milliseconds(ttl)
        case RememberOnce(_, ttl):
            return "a", 1, _milliseconds(ttl)
        case Lease(_, holder, ttl):
            return "l", holder, _milliseconds(ttl)
        case Release(_, holder):
            return "r", holder
        case Publish(_, value, ttl, absent_only):
            return "a" if absent_only else "p", value, _milliseconds(ttl)
        case Replace(_, held, value, ttl):
            return "x", held, value, _milliseconds(ttl)
        case Read():
            return ("g",)
        case Touch(_, ttl):
            return "t", _milliseconds(ttl)
        case Delete():
            return ("d",)


def _result(operation: Operation, reply: _Reply) -> Result:
    match operation:
        case Consume(_, rate, cost):
            return gcra.assess(rate, cast(int, reply), cost)
        case Count() if reply is None:
            return None
        case Count(_, window, cost):
            used, left = cast(list[int], reply)
            return windows.assess_count(window, used, left * 1000, cost)
        case Slide(_, window, cost):
            now, held = cast(list[Any], reply)
            return windows.slide(window, held.decode(errors="replace"), now, cost)[0]
        case Occupy(_, _, limit, _, cost):
            return slots.assess(cast(int, reply), limit, cost)
        case Increment() | Raise() | Read():
            return cast("int | bytes | None", reply)
        case _:
            return bool(reply)


def _milliseconds(ttl: float) -> int:
    return max(1, ceil(ttl * 1000))
