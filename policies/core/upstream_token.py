"""What the kinds share that call the upstream with a token of its own in ``Authorization``.

The client's ``Authorization`` never stands beside it (``drops``). A token that is in memory costs
the call no waiting. Without a token nothing is forwarded.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Annotated

from pydantic import Field, StringConstraints

from policies.core.config import Name, PolicyConfig
from policies.core.credentials import Scope
from policies.core.gateway_identity import Wanted
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny
from policies.core.values import Field as HeaderField

AUTHORIZATION = b"authorization"

# RFC 6749 3.3: a scope is NQCHAR. RFC 8693 2.1: an audience is any text, a resource a URI.
Target = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,500}$")]


class UpstreamTokenConfig(PolicyConfig):
    """Options of every kind that gets a token for the upstream."""

    provider: Name = Field(
        title="Provider",
        description="The provider that issues the token; the gateway's own client is registered "
        "there (its client, with a secret or a key).",
    )
    scopes: tuple[Scope, ...] = Field(
        default=(),
        max_length=100,
        title="Scopes",
        description="The scopes asked for; the provider's default when left out.",
    )
    audiences: tuple[Target, ...] = Field(
        default=(),
        max_length=10,
        title="Audiences",
        description="Whom the token is meant for (parameter audience), where the provider asks.",
    )
    resources: tuple[Target, ...] = Field(
        default=(),
        max_length=10,
        title="Resources",
        description="The address of the API server (parameter resource, RFC 8707), where the "
        "provider asks.",
    )


class UpstreamTokenPolicy(Policy, ABC):
    """Runs in SHAPE: a token is got only for calls that every check has passed."""

    phase = Phase.SHAPE
    writes = drops = frozenset({AUTHORIZATION})
    exchange: bool

    def __init__(self, config: UpstreamTokenConfig, services: Services) -> None:
        """Raises ``ValueError`` for a provider at which the gateway has no client."""
        try:
            self._token = services.upstream_tokens.token(
                Wanted(
                    config.provider,
                    self.exchange,
                    config.scopes,
                    config.audiences,
                    config.resources,
                )
            )
        except KeyError:
            raise ValueError(f"provider {config.provider!r} is not registered") from None
        self._provider = config.provider

    @abstractmethod
    def subject(self, call: Call) -> bytes | Deny:
        """In whose name the token is wanted, or why there can be none for this call."""

    def check(self, call: Call) -> Decision | Awaitable[Decision]:
        subject = self.subject(call)
        if isinstance(subject, Deny):
            return subject
        value = self._token.held(subject, call.now)
        if value is None:
            return self._wait(call, subject)
        call.upstream_fields.append((AUTHORIZATION, value))
        return PASS

    async def _wait(self, call: Call, subject: bytes) -> Decision:
        value = await self._token.get(subject, call.now)
        if isinstance(value, Deny):
            return value
        call.upstream_fields.append((AUTHORIZATION, value))
        return PASS

    def edit(self, call: Call, status: int, fields: list[HeaderField]) -> list[HeaderField]:
        """A 401 for our own token says that it holds no longer; the answer goes on as it is."""
        if status == 401:
            subject = self.subject(call)
            for name, value in call.upstream_fields:
                if name == AUTHORIZATION and isinstance(subject, bytes):
                    self._token.refused(subject, value, call.now)
        return fields

    def describe(self, call: Call) -> str:
        return f"the upstream is called with a token of {self._provider}"
