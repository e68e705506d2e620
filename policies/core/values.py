"""The values a policy sees and returns: Request, Identity, Call, and the Decision family.

Rules of this file:
1. Nothing here does I/O or reads a clock; time arrives in ``Call.now``.
2. What came from the client is bytes as it was received, except what was checked and made
   canonical (``path``, ``host``, ``method``), which is text.
3. A decision is ``PASS``, a ``Deny`` or an ``Answer``. There is no fourth outcome: the chain
   treats anything else as a defect and fails closed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from policies.core.errors import REFUSALS, Refusal

Field = tuple[bytes, bytes]


class Headers:
    """A header section in the order it was received: ``(lower-case name, value)`` lines.

    ``get`` gives the first value; whoever must not overlook a repetition uses ``all``.
    ``repeats`` is True when some name stands more than once; ``names`` is all names in one
    text, for questions about their characters.
    """

    __slots__ = ("_index", "fields", "get", "names", "repeats")

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        self._index = dict(fields)
        self.repeats = len(self._index) != len(fields)
        if self.repeats:
            self._index = dict(reversed(fields))
        self.names = b" ".join(self._index)
        self.get = self._index.get

    def all(self, name: bytes) -> list[bytes]:
        """Every value of ``name`` (lower case), in order."""
        if name not in self._index:
            return []
        return [value for key, value in self.fields if key == name]

    def __contains__(self, name: bytes) -> bool:
        return name in self._index


NO_HEADERS = Headers([])


@dataclass(slots=True)
class Request:
    """The head of one request, after the door checked it and made its path canonical.

    ``path`` is the one canonical path (RFC 3986 6.2.2): matching, policies, signatures and
    the upstream URL all use it. ``query`` is the raw query without ``?``, None when there was
    no ``?``. ``peer`` is the address at the other end of the connection, ``client`` that of
    the client after trusted proxies were taken off. ``body_length`` is the declared length,
    0 when there is no body, None when it is unknown until the body has arrived (chunked).
    """

    method: str
    host: str
    path: str
    query: bytes | None
    headers: Headers
    client: str
    peer: str = ""
    secure: bool = False
    id: str = ""
    body_length: int | None = 0
    certificate: bytes | None = None
    upgrade: bool = False


_MAX_NOTES = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling, as proven by one credential.

    ``key`` is what limits count by: stable for one subject of one issuer, and unable to
    collide with another's because its parts are length-prefixed. One object serves every call
    with the same credential, so what a policy makes of it alone is made once (``prepared``).
    """

    kind: str
    subject: str
    issuer: str = ""
    provider: str = ""
    client: str = ""
    scopes: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    key: str = field(init=False, default="", repr=False)
    _notes: dict[str, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = (self.kind, self.issuer, self.subject)
        object.__setattr__(self, "key", "".join(f"{len(part)}:{part}" for part in parts))

    def prepared(self, name: str, make: Callable[["Identity"], Any]) -> Any:
        """``make(self)``, remembered under ``name``, which must say all that ``make`` depends on.

        Names outlive a change of the configuration, so their number is bounded.
        """
        value = self._notes.get(name)
        if value is None:
            if len(self._notes) >= _MAX_NOTES:
                self._notes.clear()
            value = self._notes[name] = make(self)
        return value


ANONYMOUS = Identity(kind="public", subject="")


class Call:
    """One request on its way through one route's chain.

    A policy reads it, may set ``identity`` (IDENTIFY) and ``token``, the access token that proved
    it, where there was one, and may add lines for the upstream
    (``upstream_fields``) or for the answer (``response_fields``, also sent on a refusal by a
    later policy). ``now`` is seconds since the epoch. ``reported`` lists what policies in report
    mode would have refused. ``ending`` is called when the call has ended, however it did.
    """

    __slots__ = (
        "ending",
        "identity",
        "now",
        "reported",
        "request",
        "response_fields",
        "route",
        "token",
        "upstream_fields",
    )

    def __init__(
        self, request: Request, route: str, now: float, identity: Identity | None = None
    ) -> None:
        self.request = request
        self.route = route
        self.now = now
        self.identity = identity
        self.token = b""
        self.upstream_fields: list[Field] = []
        self.response_fields: list[Field] = []
        self.reported: list[str] = []
        self.ending: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Pass:
    """The policy has no objection."""


PASS = Pass()


@dataclass(frozen=True, slots=True)
class Deny:
    """A refusal. ``detail`` is written by us and never repeats what the client sent.

    ``fields`` are further response lines (``WWW-Authenticate``, ``Retry-After``, ``Allow``);
    ``errors`` lists what was wrong and where: ``{"in", "name", "message"}``.
    """

    code: str
    detail: str
    fields: tuple[Field, ...] = ()
    errors: tuple[Mapping[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.code not in REFUSALS:
            raise ValueError(f"unknown refusal code {self.code!r}")

    @property
    def refusal(self) -> Refusal:
        return REFUSALS[self.code]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer given by a policy itself, e.g. a CORS preflight or a redirect.

    ``code`` is what the report calls it where the policy is in report mode.
    """

    status: int
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    code: str = "answered"


Decision = Pass | Deny | Answer
