"""A Django cache on the state store, whose counters are exact: for django-ratelimit.

Django's own shared backends read and then write a counter, so parallel requests pass a limit
(or, as the database cache, lose its time-out); here ``add`` and ``incr`` are one atomic
operation each, and ``incr`` keeps the time to live.

``LOCATION`` is the state URL. Values are kept as JSON: what JSON cannot carry is a
``TypeError``, and nothing read from the store is ever executed (as a pickle would be).
A time-out of None means a year. There is no ``clear``: the store is shared with others.
Raises ``policies.core.errors.StateUnavailable`` when the store cannot answer.
"""

import json
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from policies.stores.open import open_backend
from policies.stores.operations import (
    Delete,
    Increment,
    Operation,
    Publish,
    Read,
    Result,
    Touch,
)

_PREFIX = "cache:"
_FOREVER = 365 * 24 * 3600.0


class StateCache(BaseCache):
    """See the module."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._backend = open_backend(location)

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        name, ttl = self._name(key, version), self._ttl(timeout)
        if ttl <= 0:
            return not self.has_key(key, version)
        return bool(self._do(Publish(name, _encode(value), ttl, absent_only=True)))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        found = self._do(Read(self._name(key, version)))
        return json.loads(found) if isinstance(found, bytes) else default

    def set(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        name, ttl = self._name(key, version), self._ttl(timeout)
        self._do(Publish(name, _encode(value), ttl) if ttl > 0 else Delete(name))

    def touch(
        self, key: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        name, ttl = self._name(key, version), self._ttl(timeout)
        return bool(self._do(Touch(name, ttl) if ttl > 0 else Delete(name)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._do(Delete(self._name(key, version))))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add atomically; the time to live stays. Raises ``ValueError`` for an absent key."""
        total = self._do(Increment(self._name(key, version), delta, ttl=None))
        if total is None:
            raise ValueError("the key is not in the cache")
        return int(total)  # type: ignore[arg-type]

    def _do(self, operation: Operation) -> Result:
        return self._backend.execute([operation])[0]

    def _name(self, key: Any, version: int | None) -> str:
        return _PREFIX + self.make_and_validate_key(key, version)

    def _ttl(self, timeout: float | None) -> float:
        """Seconds to live; 0 or less: not to be kept at all."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return _FOREVER if timeout is None else timeout


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()
