"""What a policy may ask of the world: state, tokens, clients, keys and clocks.

A policy receives a ``Services`` in its constructor and keeps what it needs. The core knows
only the shapes of it: ``policies.core.state``, ``callers`` and ``gateway_identity``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from policies.core.callers import (
    NO_CLIENTS,
    NO_INTROSPECTION,
    NO_PROOFS,
    NO_SESSIONS,
    Clients,
    Introspection,
    Proofs,
    Sessions,
    Tokens,
)
from policies.core.gateway_identity import NO_SIGNER, NoUpstreamTokens, Signer, UpstreamTokens
from policies.core.state import Ledger, NoLedger, State


def _unseen(policy: str, on_failure: str) -> None:
    """Where nobody counts outages."""


@dataclass(frozen=True, slots=True)
class ServedApi:
    """What a policy made for one API may know of it (see ``Policy.of_api``).

    ``openapi`` is the text of its OpenAPI document, None where it has none. The paths of the
    document stand below ``base_path``.
    """

    name: str
    base_path: str
    openapi: str | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What is handed to every policy when a chain is compiled.

    ``local`` is state of this process alone, for what goes on counting when ``state`` cannot
    answer; ``on_outage`` is told of each call that was decided without it, with the policy's
    name and its ``on_failure``. ``ledger`` is where what must outlive shared state is written.
    ``scope`` and ``name`` say which policy is asking, so that two policies never share an entry
    by accident: the compiler replaces them for each attached policy (``dataclasses.replace``).
    ``scope`` is the place it is attached to: ``global``, ``api:orders`` or
    ``route:orders GET /items/{id}``; ``name`` is its ``name:`` in the configuration, empty when
    it has none. ``api`` is set for a policy that is made for each API.
    """

    state: State
    tokens: Tokens
    clock: Callable[[], float]
    local: State
    clients: Clients = NO_CLIENTS
    signer: Signer = NO_SIGNER
    proofs: Proofs = NO_PROOFS
    introspection: Introspection = NO_INTROSPECTION
    sessions: Sessions = NO_SESSIONS
    upstream_tokens: UpstreamTokens = field(default_factory=NoUpstreamTokens)
    scope: str = ""
    name: str = ""
    api: ServedApi | None = None
    ledger: Ledger = NoLedger()  # noqa: RUF009 (it has no state)
    on_outage: Callable[[str, str], None] = _unseen
