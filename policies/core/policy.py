"""What a policy is: one class that prepares in its constructor and decides in the call.

A kind knows its config and the call, nothing else. It sets ``kind``, ``phase`` and ``Config``
and overrides what it needs:

- of the request: ``check`` decides from the head, ``watch`` looks on while the body streams, and
  ``check_body`` decides from a whole body that ``holds_body`` asked to be held back;
- of the answer: ``edit`` changes the head, ``check_answer`` judges and ``seal`` signs an answer
  whose content ``holds_answer`` asked to be held back.

What is held is bounded, and held only for policies that ask; everything else streams.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import ClassVar, Protocol

from policies.core.config import Mode, PolicyConfig
from policies.core.phase import Phase
from policies.core.services import Services
from policies.core.values import PASS, Answer, Call, Decision, Deny, Field, Identity

Proven = Identity | Deny


class BodyWatch(Protocol):
    """An observer of one request body while it streams to the upstream.

    A ``Deny`` aborts the upstream request before it is complete. ``end`` is asked once, after
    the last chunk and before the upstream request is completed.
    """

    def feed(self, chunk: bytes) -> Deny | None: ...

    def end(self) -> Deny | None: ...


class Policy:
    """Base of all kinds. ``phase`` may depend on the config: then the constructor sets it.

    ``sets`` are the header names in which it tells the upstream who calls: no client's copy of
    them is forwarded on any route. ``writes`` are all names of lines that it adds for the
    upstream, ``drops`` those of the client's lines that its routes do not forward. ``passes`` are
    the credential-carrying names that it lets through to the upstream. All in lower case.
    ``body_bound`` is the most bytes of a body that
    it lets pass, None where it does not limit them: no body beyond it is held for anybody.
    ``of_api`` says that it is made anew for each API that it serves, also where it is attached
    to all of them, and told which one it is. ``answer_mode`` says how its word about answers is
    taken, where the policy itself is enforced.
    ``answers_preflight`` says that a CORS preflight belongs to the route of the method it asks
    for, and that ``check`` answers it, in ADMIT.
    """

    kind: ClassVar[str]
    phase: Phase
    sets: frozenset[bytes] = frozenset()
    writes: frozenset[bytes] = frozenset()
    drops: frozenset[bytes] = frozenset()
    passes: frozenset[bytes] = frozenset()
    body_bound: int | None = None
    answers_preflight: bool = False
    of_api: ClassVar[bool] = False
    answer_mode: Mode = "enforce"
    Config: ClassVar[type[PolicyConfig]] = PolicyConfig
    summary: ClassVar[str] = ""  # one sentence for forms and documentation

    def __init__(self, config: PolicyConfig, services: Services) -> None:
        """Prepare. Raises ``ValueError`` with a message for the administrator."""

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        """Decide from the head. Awaitable only where it must wait: most calls should not."""
        return PASS

    def edit(self, call: Call, status: int, fields: list[Field]) -> list[Field]:
        """The answer's header lines as the client shall see them."""
        return fields

    def watch(self, call: Call) -> BodyWatch | None:
        """An observer of the request's body, or None when this call needs none."""
        return None

    def holds_body(self, call: Call) -> bool:
        """Whether this call's whole body must be here before any of it is forwarded."""
        return False

    def check_body(self, call: Call, content: bytes) -> Decision | Awaitable[Decision]:
        """Decide from the whole body of a call that ``holds_body`` asked for.

        Not asked for a request that declares no body. ``async def`` only where it must await.
        """
        return PASS

    def holds_answer(self, call: Call, status: int, fields: list[Field]) -> int:
        """How many bytes of an upstream's answer must be here, at most, before any is sent.

        0 when the content need not be seen. A larger content is refused (``upstream_invalid``).
        """
        return 0

    def check_answer(
        self, call: Call, status: int, fields: list[Field], content: bytes
    ) -> Deny | None:
        """Why an upstream's answer must not be sent. Asked only where ``holds_answer`` said so."""
        return None

    def seal(self, call: Call, status: int, fields: list[Field], content: bytes) -> list[Field]:
        """The answer's header lines, now that all others and the content are fixed.

        Asked of every answer of the gateway itself, and of an upstream's where ``holds_answer``
        said so.
        """
        return fields

    def describe(self, call: Call) -> str:
        """Why this call passed, in a sentence; asked only by ``explain``."""
        return self.summary


class IdentityPolicy(Policy, ABC):
    """A way to prove who is calling. Those of one route are alternatives.

    ``credential`` finds this kind's credential in the call; the chain picks the one
    alternative that is presented and refuses two. What carries the credential
    (``consumes``: lower-case header names, ``cookies``: cookie names) is not forwarded
    upstream unless the route says so. An ``additional`` one is no alternative: beside another
    identity kind, both are required.
    """

    phase = Phase.IDENTIFY
    additional: ClassVar[bool] = False
    consumes: frozenset[bytes] = frozenset()
    cookies: frozenset[str] = frozenset()

    @abstractmethod
    def credential(self, call: Call) -> bytes | Deny | None:
        """The credential of this kind that the call carries, as it stands.

        None when it carries none, a Deny when it carries several.
        """

    @abstractmethod
    def identify(self, call: Call, credential: bytes) -> Proven | Awaitable[Proven]:
        """The identity that the credential proves, or the refusal.

        Awaitable only where it must wait: what is known already is said at once.
        """

    @abstractmethod
    def missing(self) -> Deny | Identity:
        """What holds when no alternative's credential is presented."""

    def invite(self, call: Call, deny: Deny) -> Answer | None:
        """An answer in the place of a refusal, which shows the caller the way to a credential.

        Asked of the alternative whose credential was refused, or of all when there was none.
        """
        return None
