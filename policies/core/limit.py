"""What all limits have in common: whom they count, what answers carry, and what happens when
shared state does not answer.

A kind of limit says how much it allows and how it is counted; everything a caller or an
administrator meets is the same for all of them:

1. One key for each policy, place and counted thing (``policies.core.counting``).
2. ``RateLimit`` and ``RateLimit-Policy`` on every answer of a limited call, ``Retry-After`` on
   refusals (draft-ietf-httpapi-ratelimit-headers; RFC 9110, 10.2.3).
3. ``on_failure`` when shared state is down: each such call is counted, and it is logged when it
   begins and when it ends.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from math import ceil
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from policies.core.config import OnFailure
from policies.core.counting import counted_by
from policies.core.errors import StateUnavailable
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.state import Allowance
from policies.core.values import PASS, Call, Decision, Deny

logger = logging.getLogger(__name__)

_UNAVAILABLE = Deny(
    "state_unavailable",
    "The limit cannot be checked at the moment.",
    fields=((b"retry-after", b"1"),),
)


def _countable(by: str) -> str:
    counted_by(by)
    return by


By = Annotated[
    str,
    AfterValidator(_countable),
    Field(
        title="Count by",
        description=(
            "identity (the verified subject; the address where callers are anonymous), ip "
            "(IPv6 by /64; checked before credentials), client, route, claim:NAME, or "
            "header:NAME. A header is whatever the caller writes into it."
        ),
    ),
]
WhenStateFails = Annotated[
    OnFailure,
    Field(
        title="When shared state fails",
        description=(
            "deny: refuse with 503. local: let each worker process count for itself, so that "
            "up to the limit passes through each. allow: let every call pass."
        ),
    ),
]


class Limit(Policy, ABC):
    """A limit of calls. Runs in LIMIT, or by address in ADMIT: there it limits the guessing of
    credentials too.

    ``code`` is what it refuses with. A kind sets ``most`` (how much can be there at once),
    ``detail`` and ``terms`` (the parameters of its ``RateLimit-Policy``) in its constructor.
    """

    phase = Phase.LIMIT
    code: ClassVar[str]
    unnamed: ClassVar[str]  # what a policy without a name is called in the RateLimit fields

    def __init__(
        self, by: str, on_failure: OnFailure, services: Services, variant: str = ""
    ) -> None:
        """``variant`` sets apart what is counted in another way."""
        if by == "ip":
            self.phase = Phase.ADMIT
        self.failures = 0  # calls for which shared state did not answer
        self._failing = False
        self.on_failure = on_failure
        self._on_outage = services.on_outage
        self._title = services.name or self.kind
        place = f"{len(services.scope)}:{services.scope} {services.name}"
        self._by = by
        self._count_under(f"{self.kind}{variant} {place} ")
        self._member = _structured_string(services.name or self.unnamed)
        self._line = self._member.replace(b"%", b"%%") + b";r=%d;t=%d"

    def _count_under(self, prefix: str) -> None:
        """State what the keys of this limit begin with."""
        self.prefix = prefix
        self._key_of = counted_by(self._by, prefix)

    def _allows(self, most: int, terms: bytes, detail: str) -> None:
        """State how much is allowed: at once, on the wire, and in words."""
        self.most = most
        self._terms = (b"ratelimit-policy", self._member + terms)
        self._detail = detail

    @abstractmethod
    def _take(self, key: str, call: Call) -> Awaitable[Allowance]:
        """Count the call in shared state. Raises ``StateUnavailable``, at once or awaited."""

    @abstractmethod
    def _take_here(self, key: str, call: Call) -> Awaitable[Allowance]:
        """Count the call in this process alone."""

    @abstractmethod
    def look(self, key: str) -> Awaitable[Allowance]:
        """What ``key``, which begins with ``prefix``, has left. Raises ``StateUnavailable``."""

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        key = self._key_of(call)
        try:
            taking = self._take(key, call)
        except StateUnavailable:
            return self._without_state(key, call)
        if not isinstance(taking, Allowance):
            return self._when_taken(taking, key, call)
        if self._failing:
            self._back()
        return self._judge(taking, call)

    async def _when_taken(self, taking: Awaitable[Allowance], key: str, call: Call) -> Decision:
        try:
            allowance = await taking
        except StateUnavailable:
            return await self._without_state(key, call)
        if self._failing:
            self._back()
        return self._judge(allowance, call)

    async def _without_state(self, key: str, call: Call) -> Decision:
        self._failed()
        if self.on_failure == "deny":
            return _UNAVAILABLE
        if self.on_failure == "allow":
            return PASS
        return self._judge(await self._take_here(key, call), call)

    def _judge(self, allowance: Allowance, call: Call) -> Decision:
        """What the answer of a limit means for the call; the answer to it says how much is left."""
        allowed, remaining, retry_after, reset_after = allowance
        line = self._line % (remaining, ceil(reset_after))
        call.response_fields += ((b"ratelimit", line), self._terms)
        if allowed:
            return PASS
        wait = b"%d" % max(1, ceil(retry_after))
        return Deny(self.code, self._detail, fields=((b"retry-after", wait),))

    def describe(self, call: Call) -> str:
        told = [v for n, v in call.response_fields if n == b"ratelimit" and self._told(v)]
        if self._failing:
            how = f"{self.failures} calls so far went by on_failure: {self.on_failure}"
            return f"shared state cannot be reached; {how}"
        if not told:
            return self.summary
        remaining, _, reset = told[-1][len(self._member) + len(b";r=") :].partition(b";t=")
        return f"{self.most - int(remaining)} of {self.most} used, resets in {int(reset)} s"

    def _told(self, line: bytes) -> bool:
        return line.startswith(self._member + b";r=")

    def _failed(self) -> None:
        self.failures += 1
        self._on_outage(self._title, self.on_failure)
        if not self._failing:
            self._failing = True
            logger.warning(
                "%s: shared state cannot be reached, on_failure: %s", self.prefix, self.on_failure
            )

    def _back(self) -> None:
        self._failing = False
        logger.warning("%s: shared state is back", self.prefix)


def _structured_string(name: str) -> bytes:
    """A name as an sf-string (RFC 9651, 3.3.3)."""
    if not (name.isascii() and name.isprintable()):
        raise ValueError("the name of a limit must be printable ASCII")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode()
