"""Whether a target is to be used: what its calls and its health checks say of it."""

from collections import deque

from apis.routing import Breaker


class Condition:
    """One target's condition, as one worker knows it.

    Passive: ``failures`` within ``window`` seconds open the breaker for ``open_for`` seconds;
    after that one more failure opens it again, one success closes it. Active: ``healthy`` is the
    result of the last health check; a target begins healthy.
    """

    __slots__ = ("_breaker", "_failures", "_rests_until", "_suspect", "healthy")

    def __init__(self, breaker: Breaker | None) -> None:
        self._breaker = breaker
        self._failures: deque[float] = deque(maxlen=breaker.failures if breaker else 0)
        self._rests_until = 0.0
        self._suspect = False  # it has rested and not succeeded since
        self.healthy = True

    def usable(self, now: float) -> bool:
        return self.healthy and now >= self._rests_until

    def failed(self, now: float) -> None:
        """A call ended without a valid head of an answer."""
        breaker = self._breaker
        if breaker is None:
            return
        self._failures.append(now)
        full = len(self._failures) == breaker.failures
        if self._suspect or (full and now - self._failures[0] <= breaker.window):
            self._rests_until = now + breaker.open_for
            self._suspect = True

    def succeeded(self) -> None:
        if self._suspect:
            self._suspect = False
            self._failures.clear()
