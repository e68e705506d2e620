"""From a state URL to a store."""

import threading
from pathlib import Path

from policies.core.state import State
from policies.stores.batching import BatchingState
from policies.stores.database import DatabaseBackend
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.operations import Backend

_opened: dict[str, Backend] = {}
_states: dict[str, State] = {}
_lock = threading.Lock()


def open_state(url: str) -> State:
    """The state at ``url`` for coroutines.

    ``memory://`` is this process's own, ``sqlite:////absolute/path`` a file shared by the
    processes of one machine, ``redis://`` and ``rediss://`` a server shared by many. Nothing
    is connected yet. One state for each URL in a process. Raises ``ValueError`` for any other
    URL.
    """
    backend = open_backend(url)
    with _lock:
        if url not in _states:
            if isinstance(backend, MemoryBackend):
                _states[url] = MemoryState(backend)
            else:
                _states[url] = BatchingState(backend)
        return _states[url]


def open_backend(url: str) -> Backend:
    """The same for blocking callers: one backend for each URL in a process."""
    with _lock:
        if url not in _opened:
            _opened[url] = _make_backend(url)
        return _opened[url]


def _make_backend(url: str) -> Backend:
    if url == "memory://":
        return MemoryBackend()
    if url.startswith("sqlite:////"):
        return DatabaseBackend(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("redis://", "rediss://")) and not url.endswith("://"):
        from policies.stores.redis import RedisBackend  # slow to import: only for its users

        return RedisBackend(url)
    raise ValueError(
        "the state URL must be memory://, sqlite:////absolute/path, redis://host:port/number "
        "or rediss://host:port/number"
    )
