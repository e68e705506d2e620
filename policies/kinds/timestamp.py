"""``timestamp``: a request says when it was made, and is accepted only around that moment.

The moment is seconds since the epoch or RFC 3339 with an offset, in the one spelling that every
reader takes for the same moment. With ``nonce_header`` each request also carries a value that
is accepted once, so that it cannot be sent again within the window either.

Neither proves who made the request: anyone in between could write another moment. Use it beside
a credential over TLS; ``signature`` covers both with the rest of the request.
"""

import re
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from policies.core.config import OnFailure, PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.replay import MAX_NONCE, Nonces
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny

# Neither sign, blank, exponent nor leading zero; eleven digits last until the year 5138.
_SECONDS = re.compile(rb"[1-9][0-9]{0,10}\Z")
_HOUR = rb"(?:[01][0-9]|2[0-3])"
_RFC_3339 = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](%b:[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,9})?"
    rb"(?:[Zz]|([+-])(%b):([0-5][0-9]))\Z" % (_HOUR, _HOUR)
)
_NONCE = re.compile(rb"[\x21-\x7e]{1,%d}\Z" % MAX_NONCE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("a header name is made of letters, digits and hyphens")
    return text


HeaderName = Annotated[str, AfterValidator(_name)]


class TimestampConfig(PolicyConfig):
    """Options of ``timestamp``."""

    header: HeaderName = Field(
        default="X-Timestamp",
        title="Header",
        description="The request header that says when the request was made: seconds since the "
        "epoch, or RFC 3339 with an offset.",
    )
    window: int = Field(
        default=300,
        ge=60,
        le=300,
        title="Window",
        description="Seconds by which that moment may lie in the past or in the future.",
    )
    nonce_header: HeaderName | None = Field(
        default=None,
        title="Nonce header",
        description="A request header whose value is accepted once. Empty: none is asked for.",
    )
    on_failure: OnFailure = Field(
        default="deny",
        title="When shared state fails",
        description="For the nonce. deny: refuse with 503. local: let each worker process "
        "remember for itself. allow: let every call pass.",
    )


class Timestamp(Policy):
    """Runs in AUTHORIZE: a nonce is used up only by the caller it belongs to."""

    kind = "timestamp"
    phase = Phase.AUTHORIZE
    Config: ClassVar[type[PolicyConfig]] = TimestampConfig
    summary = "Refuses requests that were made long ago, or were seen before."

    def __init__(self, config: TimestampConfig, services: Services) -> None:
        self._header = config.header.lower().encode()
        self._window = config.window
        self._nonce_header = config.nonce_header.lower().encode() if config.nonce_header else None
        if self._nonce_header == self._header:
            raise ValueError("nonce_header: it is the header of the timestamp")
        space = f"{self.kind} {len(services.scope)}:{services.scope} {services.name}"
        self._nonces = Nonces(services, space, config.on_failure)
        self._missing = Deny(
            "timestamp_missing", f"Say in {config.header} when the request was made."
        )
        self._outside = Deny(
            "timestamp_outside_window",
            f"{config.header} must hold one moment, as seconds since the epoch or in RFC 3339, "
            f"at most {config.window} seconds away.",
        )
        self._nonce_missing = Deny(
            "nonce_missing",
            f"Put a new value into {config.nonce_header} for each request: 1 to {MAX_NONCE} "
            "printable characters without blanks.",
        )

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        values = call.request.headers.all(self._header)
        if not values:
            return self._missing
        moment = epoch_seconds(values[0]) if len(values) == 1 else None
        if moment is None or abs(call.now - moment) > self._window:
            return self._outside
        if self._nonce_header is None:
            return PASS
        nonces = call.request.headers.all(self._nonce_header)
        if len(nonces) != 1 or not _NONCE.match(nonces[0]):
            return self._nonce_missing
        return self._once(call, nonces[0].decode(), moment)

    async def _once(self, call: Call, nonce: str, moment: float) -> Decision:
        owner = call.identity.key if call.identity is not None else ""
        remaining = moment + self._window - call.now
        return await self._nonces.accept(owner, nonce, moment, remaining) or PASS

    def describe(self, call: Call) -> str:
        moment = epoch_seconds(call.request.headers.get(self._header) or b"")
        age = call.now - moment if moment is not None else 0
        return f"made {age:.1f} s ago, of at most {self._window} s"


def epoch_seconds(value: bytes) -> float | None:
    """The moment that a header value names, or None if it names none."""
    if _SECONDS.match(value):
        return int(value)
    parts = _RFC_3339.match(value)
    if parts is None:
        return None
    date, time, fraction, sign, hours, minutes = parts.groups()
    try:
        moment = datetime.fromisoformat(f"{date.decode()}T{time.decode()}").replace(tzinfo=UTC)
    except ValueError:
        return None
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    return moment.timestamp() - (-offset if sign == b"-" else offset) + float(fraction or 0)
