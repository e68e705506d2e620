"""The counters of limits, for people: which there are, what is used, and resetting them.

Policies are made from the stored configuration as a worker makes them, over the same shared
state, so that what is shown is what they would answer. Nothing here counts anything.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil
from typing import Any, NamedTuple, cast

from apis.config import Document
from apis.precedence import route_name
from policies.core.callers import Tokens
from policies.core.counting import readable
from policies.core.limit import Limit
from policies.core.services import Services
from policies.core.state import Allowance, State
from policies.entries import PolicyEntry
from policies.kinds.quota import Quota
from policies.registry import KINDS
from policies.stores.memory import MemoryState
from policies.stores.operations import Backend


class Limiting(NamedTuple):
    """A limit in the configuration, and where it is attached."""

    entry: PolicyEntry
    scope: str  # as in ``apis.precedence``
    policy: Limit

    def __str__(self) -> str:
        kind = "" if self.entry.title == self.entry.kind else f" ({self.entry.kind})"
        return f"{self.entry.title}{kind} · {self.scope}"


class Counter(NamedTuple):
    """What one caller has used of a limit."""

    limiting: Limiting
    key: str
    used: int
    resets_in: float  # seconds until all of it is there again

    @property
    def who(self) -> str:
        """Whom it counts, a quota's period before it."""
        text = self.key.removeprefix(self.limiting.policy.prefix)
        if self.limiting.entry.kind != Quota.kind:
            return readable(text)
        period, _, counted = text.partition(" ")
        return f"{period} {readable(counted)}"

    @property
    def wait(self) -> str:
        """The time until all of it is there again, in its two largest units."""
        left, parts = ceil(self.resets_in), []
        for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
            count, left = divmod(left, length)
            parts.append(f"{count} {unit}" if count else "")
        first = next((at for at, part in enumerate(parts) if part), len(parts) - 1)
        return " ".join(part for part in parts[first : first + 2] if part) or "0 s"


def limits(document: Document, state: State) -> list[Limiting]:
    """The limits that a configuration has, but for those that are off or cannot be built."""
    found = []
    for entry, scope in _attached(document):
        kind = KINDS[entry.kind]
        if not issubclass(kind, Limit) or entry.mode == "off":
            continue
        services = Services(
            state=state,
            tokens=cast(Tokens, None),  # a limit verifies none
            clock=time.time,
            local=MemoryState(),
            scope=scope,
            name=entry.name,
        )
        try:
            found.append(Limiting(entry, scope, cast(Any, kind)(entry.config, services)))
        except ValueError:
            continue
    return found


def _attached(document: Document) -> Iterator[tuple[PolicyEntry, str]]:
    for entry in document.policies:
        yield entry, "global"
    for api in document.apis:
        for entry in api.policies:
            yield entry, f"api:{api.name}"
        for route in api.routes:
            for entry in route.policies:
                yield entry, f"route:{route_name(api.name, route)}"


def keys(backend: Backend, limiting: Limiting, text: str = "") -> Iterator[str]:
    """The keys that a limit counts under and that contain ``text``.

    Raises ``StateUnavailable``.
    """
    prefix = limiting.policy.prefix
    return (key for key in backend.keys(prefix) if text in key.removeprefix(prefix))


def counters(
    backend: Backend, limiting: Limiting, text: str = "", most: int | None = None
) -> list[Counter]:
    """Those counters, the most used first; of more than ``most``, any. Raises
    ``StateUnavailable``. Not to be called where an event loop runs."""
    found = list(islice(keys(backend, limiting, text), most))
    seen = asyncio.run(_look(limiting.policy, found))
    return sorted(
        (
            Counter(
                limiting, key, limiting.policy.most - allowance.remaining, allowance.reset_after
            )
            for key, allowance in zip(found, seen, strict=True)
        ),
        key=lambda counter: (-counter.used, counter.key),
    )


async def _look(policy: Limit, found: Sequence[str]) -> list[Allowance]:
    """Page by page, so that shared state is not asked for more than may wait there."""
    seen: list[Allowance] = []
    for first in range(0, len(found), 500):
        seen += await asyncio.gather(*[policy.look(key) for key in found[first : first + 500]])
    return seen
