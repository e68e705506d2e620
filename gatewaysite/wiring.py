"""One worker's world: what its tables are compiled against, and how one is put in force.

The order of a change: the document is read, the whole new table is built beside the one in
force, and then, in one step of the event loop, providers and table are replaced. What cannot
be built changes nothing (F6).
"""

import hashlib
import logging
import time
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from django.conf import settings

from apis.config import Document
from apis.gateway.balance import Upstreams
from apis.gateway.limits import Limits
from apis.gateway.observe import AccessLog, Metrics, Observer
from apis.live import Live
from apis.routing import Route, RoutingTable, Target, UpstreamSpec
from apis.snapshot import Compiler, compile_table
from gatewaysite.environment import Environment
from oidc_clients.browser.grants import Grants, SignIn
from oidc_clients.browser.sessions import BrowserSessions
from oidc_clients.browser.store import SessionStore
from oidc_clients.client_book import ClientBook, LiveClients
from oidc_clients.credentials import Peppers
from oidc_clients.dpop import DpopProofs
from oidc_clients.endpoints import MetadataCache
from oidc_clients.introspection import Introspector, NextIntrospection
from oidc_clients.keystore import KeyStore
from oidc_clients.oauth import Endpoints
from oidc_clients.own_clients import OwnClients
from oidc_clients.provider import ProviderSpec
from oidc_clients.revocation import RevocationBook
from oidc_clients.specs import own_client, provider_spec
from oidc_clients.stored_keys import stored_sets
from oidc_clients.tokens import ProviderTokens
from oidc_clients.upstream_tokens import TokenStore, WantedTokens
from policies.core.chain import Attached, Reported, compile_chain
from policies.core.config import PolicyConfig, Problem, location
from policies.core.services import Services
from policies.core.state import Ledger, NoLedger, State
from policies.core.values import Call
from policies.gateway_keys import GatewaySigner
from policies.kinds.public import Public
from policies.references import SecretUnreadable
from policies.secrets import Keyring
from policies.stores.memory import MemoryState

logger = logging.getLogger(__name__)

_ANY_NETWORK = ("0.0.0.0/0", "::/0")  # for our own console, whose address the operator gave


@dataclass(frozen=True, slots=True)
class Built:
    """A complete generation, not yet in force."""

    table: RoutingTable
    providers: tuple[ProviderSpec, ...]
    problems: tuple[Problem, ...]
    wanted: frozenset[str] = frozenset()
    """Names of the tokens for upstreams that it wants."""
    asked: frozenset[str] = frozenset()
    """Names of the providers that it asks about tokens, with all that is said of them."""
    sign_ins: tuple[SignIn, ...] = ()


class NextTokens:
    """Token verification as it will be once the providers of one generation are in force."""

    def __init__(self, tokens: ProviderTokens) -> None:
        self._specs: dict[str, ProviderSpec] = {}
        self._refused: dict[str, str] = {}
        self.recall = tokens.recall
        self.verify = tokens.verify

    def add(self, spec: ProviderSpec) -> None:
        self._specs[spec.name] = spec

    def refuse(self, name: str, reason: str) -> None:
        """The provider exists but cannot be used."""
        self._refused[name] = reason

    def provider(self, name: str) -> ProviderSpec | None:
        """See ``policies.core.callers.Tokens``. Raises ``ValueError`` for a refused one."""
        if name in self._refused:
            raise ValueError(f"provider {name}: {self._refused[name]}")
        spec = self._specs[name]
        return spec if spec.enabled else None


class NextSessions:
    """Browser sessions as they will be once the providers of one generation are in force."""

    def __init__(self, sessions: BrowserSessions) -> None:
        self.sign_ins: dict[str, SignIn] = {}
        self.token = sessions.token

    def signs_in(self, provider: str) -> bool:
        """See ``policies.core.callers.Sessions``."""
        return provider in self.sign_ins


class World:
    """Everything that outlives a generation: state, tokens, upstreams, log, the live table."""

    def __init__(
        self,
        environment: Environment,
        state: State,
        log: str = "",
        ledger: Ledger = NoLedger(),  # noqa: B008 (it has no state)
    ) -> None:
        """``log`` overrides where the access log is written; ``ledger`` is what quotas use."""
        self.environment = environment
        self.live = Live()
        self.observer = Observer(
            AccessLog(log or environment.access_log_target), Metrics(), time.time
        )
        self.upstreams = Upstreams()
        self.keystore = KeyStore(state, time.time)
        self.tokens = ProviderTokens(self.keystore)
        self.clients = LiveClients()
        metadata, keyring = MetadataCache(), Keyring.from_settings()
        endpoints = Endpoints(metadata)
        self.token_store = TokenStore(state, time.time, endpoints, keyring)
        store = SessionStore(state, keyring, time.time)
        self.sessions = BrowserSessions(store, Grants(metadata), time.time)
        self.introspector = Introspector(endpoints, time.time)
        proofs = DpopProofs(derived_key("dpop nonces"))
        self.signer = GatewaySigner(environment.public_url or pseudonym(environment))
        self._services = Services(
            state,
            self.tokens,
            time.time,
            MemoryState(),
            clients=self.clients,
            signer=self.signer,
            proofs=proofs,
            ledger=ledger,
            on_outage=self.observer.metrics.count_outage,
        )

    def build(self, document: Document, generation: int) -> Built:
        """A generation, beside the one in force. Raises ``ValueError`` if there can be none."""
        opener = Keyring.from_settings()
        tokens, problems = NextTokens(self.tokens), []
        own = OwnClients()
        wanted = WantedTokens(self.token_store, own)
        introspection = NextIntrospection(self.introspector, own)
        sessions = NextSessions(self.sessions)
        specs = []
        for number, config in enumerate(document.providers):
            try:
                spec = provider_spec(config, opener, self.environment.allow_private_upstreams)
            except (ValueError, SecretUnreadable) as error:
                tokens.refuse(config.name, str(error))
                problems.append(Problem(path=location(("providers", number)), message=str(error)))
                continue
            tokens.add(spec)
            specs.append(spec)
            try:
                client = own_client(config, opener)
                own.add(spec, client)
                if client is not None:
                    sessions.sign_ins[spec.name] = SignIn.of(config, client, spec.reach)
            except (ValueError, SecretUnreadable) as error:
                own.refuse(spec.name, str(error))
                path = location(("providers", number, "client"))
                problems.append(Problem(path=path, message=str(error)))
        services = replace(
            self._services,
            tokens=tokens,
            upstream_tokens=wanted,
            introspection=introspection,
            sessions=sessions,
        )
        compiler = Compiler(
            services=services,
            carrier=self.upstreams.carrier,
            opener=opener,
            on_report=self._on_report,
            private_networks=self.environment.allow_private_upstreams,
            builtin=(self._auth_route(services),),
        )
        table, found = compile_table(document, compiler, generation)
        return Built(
            table,
            tuple(specs),
            (*problems, *found),
            frozenset(wanted.names),
            frozenset(introspection.names),
            tuple(sessions.sign_ins.values()),
        )

    def install(self, built: Built) -> None:
        """Put a generation in force: one step of the event loop, between two requests."""
        self.tokens.replace(built.providers)
        self.sessions.replace(built.sign_ins)
        self.live.swap(built.table)
        self.token_store.retain(built.wanted)
        self.introspector.retain(built.asked)
        carriers = (route.carrier for route in built.table.routes)
        self.upstreams.retain({carrier.spec for carrier in carriers if carrier is not None})

    def revoke(self, book: RevocationBook) -> None:
        """Put what was taken back in force; to be done in the event loop."""
        self.tokens.revoke(book)
        self.introspector.revoke(book)

    def build_clients(self, document: Document) -> ClientBook:
        """The document's clients with their credentials, beside those in force."""
        return ClientBook(document.clients, Peppers(settings.SECRET_KEYS), Keyring.from_settings())

    def install_keys(self) -> None:
        """Take up the key sets that the rotation stored. Asks the database."""
        for name, source, keys, fetched_at in stored_sets():
            try:
                self.keystore.install(name, source, keys, fetched_at)
            except ValueError as error:
                logger.warning("provider %s: its stored keys are not used: %s", name, error)

    def gateway_arguments(self) -> dict[str, Any]:
        """What the door's ``Gateway`` is made with."""
        environment = self.environment
        return {
            "live": self.live,
            "observer": self.observer,
            "clock": time.time,
            "limits": Limits(
                header_bytes=environment.max_header_bytes,
                header_count=environment.max_headers,
                # a head that is no longer than a line may be is not looked at line by line
                line_bytes=min(environment.max_line_bytes, environment.max_header_bytes),
                header_timeout=environment.header_timeout,
                idle_timeout=environment.idle_timeout,
                body_timeout=environment.body_timeout,
                body_rate=environment.body_rate,
                send_timeout=environment.send_timeout,
                pipelined=environment.max_pipelined,
                connections=environment.max_connections,
            ),
            "trusted_proxies": [ip_network(text) for text in environment.trusted_proxies],
            "name": pseudonym(environment),
            "jwks": lambda: self.signer.jwks,
        }

    def _on_report(self, name: str, call: Call, would: Reported) -> None:
        self.observer.reported(name, call, would.code)

    def _auth_route(self, services: Services) -> Route:
        """The built-in way to the console process's private listener."""
        public = Attached(Public(PolicyConfig(), services), "public")
        return Route(
            name="gatehouse /auth",
            api="gatehouse",
            base_path="/auth",
            template="/{rest*}",
            methods=frozenset(),
            chain=compile_chain([public], self._on_report),
            carrier=self.upstreams.carrier(auth_spec(self.environment.auth_socket)),
            strip_base_path=False,
            internal=True,
        )


def derived_key(purpose: str) -> bytes:
    """A key for one purpose, the same in every process of this installation."""
    text = f"gatehouse {purpose}\0{settings.SECRET_KEYS[0]}"
    return hashlib.sha256(text.encode()).digest()


def pseudonym(environment: Environment) -> str:
    """What this installation calls itself in ``Via``: no other one's name, so that gateways
    can stand behind each other and a loop is still seen (RFC 9110 7.6.3)."""
    return f"gatehouse-{hashlib.sha256(environment.session_key.encode()).hexdigest()[:8]}"


def auth_spec(address: str) -> UpstreamSpec:
    """The private listener as an upstream: ``unix:/path`` or ``host:port``."""
    if address.startswith("unix:"):
        target = Target("localhost", 80, unix=address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        target = Target(host.strip("[]"), int(port))
    return UpstreamSpec(targets=(target,), retries=0, private_networks=_ANY_NETWORK)
