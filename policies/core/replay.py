"""Nonces: values that are accepted once, for all workers and machines together.

A nonce is remembered until nothing that carries it could be accepted any more, and a little
longer, because the clocks of several machines and of the store differ. Whoever asks has proven
everything else first: nobody can use up another's nonces.

A store that was restarted without its memory would accept each of them a second time. So what
was made before a process found another store is treated as if the store did not answer.
"""

import hashlib
import logging

from policies.core.config import OnFailure
from policies.core.errors import StateUnavailable
from policies.core.services import Services
from policies.core.values import Deny

logger = logging.getLogger(__name__)

CLOCKS_DIFFER = 60.0  # seconds that a nonce is remembered beyond its moment
MAX_NONCE = 256  # characters

_REPLAYED = Deny("nonce_replayed", "This nonce was used before: make a new one for each request.")
_UNAVAILABLE = Deny(
    "state_unavailable",
    "Whether this request is new cannot be checked at the moment.",
    fields=((b"retry-after", b"1"),),
)


class Nonces:
    """The nonces that one policy has accepted."""

    def __init__(self, services: Services, space: str, on_failure: OnFailure) -> None:
        """``space`` keeps the nonces of different uses apart."""
        self.failures = 0  # calls for which shared state did not answer
        self._failing = False
        self._state, self._local = services.state, services.local
        self._space = space
        self._on_failure = on_failure

    async def accept(self, owner: str, nonce: str, made: float, ttl: float) -> Deny | None:
        """Why the nonce is not accepted.

        ``owner`` is whose it is; ``made`` the moment at which the message that carries it says
        it was made, in seconds since the epoch; for ``ttl`` seconds it would be accepted.
        """
        text = f"{len(owner)}:{owner}{nonce}".encode("utf-8", "surrogatepass")
        key = f"nonce {self._space} {hashlib.sha256(text).hexdigest()}"
        ttl += CLOCKS_DIFFER
        try:
            first = await self._state.remember_once(key, ttl)
        except StateUnavailable:
            return await self._without_state(key, ttl)
        if first and made < self._state.unbroken_since:
            return await self._without_state(key, ttl)
        if self._failing:
            self._failing = False
            logger.warning("%s: shared state is back", self._space)
        return None if first else _REPLAYED

    async def _without_state(self, key: str, ttl: float) -> Deny | None:
        self.failures += 1
        if not self._failing:
            self._failing = True
            logger.warning(
                "%s: shared state cannot be reached, on_failure: %s", self._space, self._on_failure
            )
        if self._on_failure == "deny":
            return _UNAVAILABLE
        if self._on_failure == "allow":
            return None
        return None if await self._local.remember_once(key, ttl) else _REPLAYED
