"""``clients``: which of the proven clients may use the route.

A client is called as its credential names it: an API key, signature or certificate by the name
it is registered under, a token by the ``client_id`` (or ``azp``) that its provider wrote.
"""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.services import Services
from policies.core.values import PASS, Call, Decision, Deny

ClientName = Annotated[str, StringConstraints(min_length=1, max_length=255)]

_REFUSED = Deny("client_refused", "This client may not use this route.")


class ClientsConfig(PolicyConfig):
    """Options of ``clients``."""

    allow: tuple[ClientName, ...] = Field(
        default=(),
        max_length=10000,
        title="Allowed clients",
        description="Names of registered clients, or client ids as providers write them into "
        "tokens. Empty: none.",
    )


class Clients(Policy):
    """Runs in AUTHORIZE: it needs the identity, and comes before anything is counted."""

    kind = "clients"
    phase = Phase.AUTHORIZE
    Config: ClassVar[type[PolicyConfig]] = ClientsConfig
    summary = "Lets only the named clients use the route."

    def __init__(self, config: ClientsConfig, services: Services) -> None:
        self._allowed = frozenset(config.allow)

    def check(self, call: Call) -> Decision:
        identity = call.identity
        allowed = identity is not None and identity.client in self._allowed
        return PASS if allowed else _REFUSED

    def describe(self, call: Call) -> str:
        return f"client {call.identity.client!r} is allowed" if call.identity else self.summary
