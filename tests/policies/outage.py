"""Shared state that is away, and what then becomes of what may be used once."""

import pytest

from policies.core.errors import StateUnavailable
from policies.stores.memory import MemoryState


class Down(MemoryState):
    """A store that does not answer."""

    async def remember_once(self, key: str, ttl: float) -> bool:
        raise StateUnavailable


# By ``on_failure``: what the first and the second use of the same thing come to.
used_twice = pytest.mark.parametrize(
    ("on_failure", "codes"),
    [
        ("deny", ["state_unavailable", "state_unavailable"]),
        ("local", ["", "nonce_replayed"]),
        ("allow", ["", ""]),
    ],
)
