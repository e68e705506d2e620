"""Compiles the configuration without serving it: what would break, and what would run in order.

The console has no shared state, no connections and no verified tokens of its own, so policies
are made with stand-ins for them: only their constructors run, and those prepare without
asking. The providers they may ask for are those of the document.
"""

from dataclasses import dataclass
from typing import NamedTuple, cast

from apis.config import ApiConfig, Document, RouteConfig
from apis.precedence import Effective, effective_policies
from apis.routing import UpstreamSpec
from apis.snapshot import Compiler, compile_table
from oidc_clients.own_clients import NO_CLIENT
from policies.core.callers import NoSessions, OpaqueTokens, TokenProvider
from policies.core.config import Problem
from policies.core.gateway_identity import UpstreamToken, Wanted
from policies.core.phase import Phase
from policies.core.services import Services
from policies.core.values import Deny, Identity
from policies.registry import KINDS
from policies.secrets import Keyring
from policies.stores.memory import MemoryState


class InForce(NamedTuple):
    """A policy that runs on a route, where it comes from, and when it runs."""

    effective: Effective
    phase: Phase


@dataclass(slots=True)
class _Idle:
    """An upstream that nothing is carried to."""

    spec: UpstreamSpec


@dataclass(frozen=True, slots=True)
class _Named:
    """A provider as the document describes it."""

    name: str
    issuer: str
    audiences: frozenset[str]


class _DocumentTokens:
    """The providers of a document; no token is ever verified here."""

    def __init__(self, document: Document) -> None:
        self._providers = {provider.name: provider for provider in document.providers}

    def provider(self, name: str) -> TokenProvider | None:
        """See ``policies.core.callers.Tokens``."""
        found = self._providers[name]
        if not found.enabled:
            return None
        return _Named(found.name, found.issuer, frozenset(found.audiences))

    def recall(
        self, providers: tuple[str, ...], token: bytes, now: float
    ) -> Identity | Deny | None:
        """See ``policies.core.callers.Tokens``."""
        raise AssertionError("no token is verified in a rehearsal")

    async def verify(self, providers: tuple[str, ...], token: bytes, now: float) -> Identity | Deny:
        """See ``policies.core.callers.Tokens``."""
        raise AssertionError("no token is verified in a rehearsal")


class _DocumentSessions(NoSessions):
    """Where browsers could sign in, by a document."""

    def __init__(self, document: Document) -> None:
        self._able = {item.name for item in document.providers if item.client is not None}

    def signs_in(self, provider: str) -> bool:
        """See ``policies.core.callers.Sessions``."""
        return provider in self._able


class _DocumentClients:
    """The providers of a document that the gateway could ask, for tokens and about tokens; none
    is ever asked here."""

    def __init__(self, document: Document) -> None:
        self._providers = {provider.name: provider for provider in document.providers}

    def token(self, wanted: Wanted) -> UpstreamToken:
        """See ``policies.core.gateway_identity.UpstreamTokens``."""
        self._require_client(wanted.provider)
        return cast(UpstreamToken, None)

    def provider(self, name: str) -> OpaqueTokens:
        """See ``policies.core.callers.Introspection``."""
        self._require_client(name)
        return cast(OpaqueTokens, None)

    def _require_client(self, name: str) -> None:
        """One that can prove who it is; see ``oidc_clients.own_clients``."""
        client = self._providers[name].client
        if client is None or (client.secret is None and client.key is None):
            raise ValueError(NO_CLIENT.format(name))


def broken_routes(document: Document) -> list[Problem]:
    """What the compiler would say of each route that it cannot put in service.

    Raises ``ValueError`` when two routes have the same host, path and method.
    """
    compiler = Compiler(
        services=_services(document),
        carrier=_Idle,
        opener=Keyring.from_settings(),
        on_report=lambda name, call, deny: None,
    )
    return compile_table(document, compiler, generation=0)[1]


def in_force(document: Document, api: ApiConfig, route: RouteConfig) -> list[InForce]:
    """The policies of a route in the order in which they run; those switched off are left out."""
    services = _services(document)
    found = [
        InForce(item, _phase(item, services))
        for item in effective_policies(document.policies, api, route)
        if item.entry.mode != "off"
    ]
    return sorted(found, key=lambda item: item.phase)


def _phase(item: Effective, services: Services) -> Phase:
    """A kind may choose its phase in its constructor; one that objects keeps the kind's."""
    kind = KINDS[item.entry.kind]
    try:
        return kind(item.entry.config, services).phase
    except (ValueError, KeyError):
        return kind.phase


def _services(document: Document) -> Services:
    nothing = MemoryState()
    clients = _DocumentClients(document)
    return Services(
        state=nothing,
        tokens=_DocumentTokens(document),
        clock=_no_clock,
        local=nothing,
        sessions=_DocumentSessions(document),
        upstream_tokens=clients,
        introspection=clients,
    )


def _no_clock() -> float:
    raise AssertionError("a constructor asked what time it is")
