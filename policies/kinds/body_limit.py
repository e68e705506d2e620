"""``body_limit``: how large a request's body may be.

A declared length is judged from the head, before ``100 Continue`` is sent and before a byte
reaches the upstream. A body of unknown length (chunked) is counted while it streams, and the
upstream request is aborted before the limit is passed.
"""

from typing import ClassVar

from pydantic import Field

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import BodyWatch, Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny


class BodyLimitConfig(PolicyConfig):
    """Options of ``body_limit``."""

    max_bytes: int = Field(
        default=1048576,
        ge=0,
        le=2**40,
        title="Largest body",
        description="Bytes of a request's body that are accepted; 0 accepts none.",
    )


class BodyLimit(Policy):
    """Runs in ADMIT: it asks nothing about the caller and costs nothing to refuse."""

    kind = "body_limit"
    phase = Phase.ADMIT
    Config: ClassVar[type[PolicyConfig]] = BodyLimitConfig
    summary = "Refuses requests whose body is larger than allowed."

    def __init__(self, config: BodyLimitConfig, services: Services) -> None:
        self._max_bytes = self.body_bound = config.max_bytes
        self._refusal = Deny(
            "body_too_large", f"The body may hold at most {config.max_bytes} bytes."
        )

    def check(self, call: Call) -> Decision:
        length = call.request.body_length
        return PASS if length is None or length <= self._max_bytes else self._refusal

    def watch(self, call: Call) -> BodyWatch | None:
        if call.request.body_length is not None:
            return None  # judged by check, and the door lets no body exceed its declared length
        return _Count(self._max_bytes, self._refusal)

    def describe(self, call: Call) -> str:
        length = call.request.body_length
        if length is None:
            return f"a body of unknown length is counted, up to {self._max_bytes} bytes"
        return f"{length} of at most {self._max_bytes} bytes"


class _Count:
    """Counts one body while it streams."""

    def __init__(self, left: int, refusal: Deny) -> None:
        self._left = left
        self._refusal = refusal

    def feed(self, chunk: bytes) -> Deny | None:
        self._left -= len(chunk)
        return self._refusal if self._left < 0 else None

    def end(self) -> Deny | None:
        return None
