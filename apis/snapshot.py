"""Compiles a configuration document into a routing table. Models describe; this builds.

Pure apart from opening sealed secrets: the same document and the same carriers give the same
table. What is broken refuses and does not vanish: a route that cannot be compiled stays in the
table with ``misconfigured`` for the caller and the exact reason in a ``Problem`` for the
administrator, and every other route is served.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from apis import routing
from apis.config import ApiConfig, Document, RouteConfig, TlsConfig, UpstreamConfig
from apis.precedence import effective_policies, route_name, whole_api
from policies.core.browser import GATEWAY_COOKIES
from policies.core.chain import Attached, OnReport, compile_chain
from policies.core.config import Problem
from policies.core.policy import IdentityPolicy, Policy
from policies.core.services import ServedApi, Services
from policies.core.upstream_token import AUTHORIZATION
from policies.core.values import Deny
from policies.entries import PolicyEntry
from policies.references import Opener, SecretUnreadable
from policies.registry import KINDS
from policies.urls import web_address

_REFUSAL = Deny("misconfigured", "This route is misconfigured; its operator has been told why.")
# A policy's or an upstream's constructor says with these that it cannot be built.
_BROKEN = (ValueError, KeyError, OSError, SecretUnreadable)


@dataclass(frozen=True, slots=True)
class Compiler:
    """What a compilation needs beside the document.

    ``carrier`` gives the live upstream of a spec, the same one for an equal spec;
    ``private_networks`` are the CIDRs an upstream may stand in beside public addresses;
    ``builtin`` are Gatehouse's own routes, served under every host.
    """

    services: Services
    carrier: Callable[[routing.UpstreamSpec], routing.Carrier]
    opener: Opener
    on_report: OnReport
    private_networks: tuple[str, ...] = ()
    builtin: tuple[routing.Route, ...] = ()


def compile_table(
    document: Document, compiler: Compiler, generation: int
) -> tuple[routing.RoutingTable, list[Problem]]:
    """The table of a document, and what is wrong with single routes.

    Raises ``ValueError`` when two routes have the same host, path and method.
    """
    build = _Build(document, compiler)
    apis = [_CompiledApi(build, number, api) for number, api in enumerate(document.apis)]
    identity_names = frozenset(name for api in apis for name in api.identity_names)
    pairs = [pair for api in apis for pair in api.routes(identity_names)]
    hosts = tuple(sorted({"*", *(host for api in document.apis for host in api.hosts)}))
    pairs += [(hosts, route) for route in compiler.builtin]
    return routing.RoutingTable(pairs, generation), build.problems


@dataclass(slots=True)
class _Build:
    """One compilation: its input, the policies made so far, and the problems found."""

    document: Document
    compiler: Compiler
    problems: list[Problem] = field(default_factory=list)
    _made: dict[tuple[str, str, int], Policy | Exception] = field(default_factory=dict)

    def policy(self, entry: PolicyEntry, scope: str, api: ApiConfig) -> Policy:
        """The one instance of a policy attached at ``scope``, shared by the routes below it, or
        by those of ``api`` if its kind is made for each API.

        Raises what its constructor raises, which is not tried again for the next route.
        """
        key = (scope, api.name if KINDS[entry.kind].of_api else "", id(entry))
        if key not in self._made:
            try:
                self._made[key] = self._make(entry, scope, api)
            except _BROKEN as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, Exception):
            raise made
        return made

    def _make(self, entry: PolicyEntry, scope: str, api: ApiConfig) -> Policy:
        kind = KINDS[entry.kind]
        services = replace(self.compiler.services, scope=scope, name=entry.name)
        if kind.of_api:
            services = replace(services, api=_served(api))
        return kind(entry.config, services)


def _served(config: ApiConfig) -> ServedApi:
    """What a policy may know of the API that it is made for."""
    document = config.openapi.text if config.openapi is not None else None
    return ServedApi(config.name, config.base_path, document)


@dataclass(slots=True)
class _Draft:
    """One route before header names of the whole table are known."""

    config: RouteConfig
    name: str
    attached: tuple[Attached, ...]
    problem: str


class _CompiledApi:
    """One API: its upstream, and the policies of each of its routes."""

    def __init__(self, build: _Build, number: int, config: ApiConfig) -> None:
        self._build = build
        self._config = config
        self._place = f"apis[{number}]"
        self._carrier: routing.Carrier | None = None
        self._problem = ""
        try:
            self._carrier = build.compiler.carrier(upstream_spec(config.upstream, build.compiler))
        except _BROKEN as error:
            self._problem = f"upstream: {_reason(error)}"
        self._drafts = [self._draft(route) for route in config.routes or (whole_api(),)]

    def _draft(self, route: RouteConfig) -> _Draft:
        """Every policy that can be built, also when another one cannot: the header names that
        they reserve stay reserved on all routes while this one refuses."""
        attached: list[Attached] = []
        problems: list[str] = []
        everywhere = self._build.document.policies
        for entry, scope in effective_policies(everywhere, self._config, route):
            if entry.mode == "off":
                continue
            try:
                policy = self._build.policy(entry, scope, self._config)
            except _BROKEN as error:
                problems.append(f"{entry.title}: {_reason(error)}")
            else:
                attached.append(Attached(policy, entry.title, entry.mode))
        name = route_name(self._config.name, route)
        return _Draft(route, name, tuple(attached), "; ".join(problems))

    @property
    def _policies(self) -> list[Policy]:
        return [item.policy for draft in self._drafts for item in draft.attached]

    @property
    def identity_names(self) -> frozenset[bytes]:
        """The header names in which this API's upstream is told who calls."""
        return frozenset(name for policy in self._policies for name in policy.sets)

    def routes(
        self, identity_names: frozenset[bytes]
    ) -> Iterator[tuple[tuple[str, ...], routing.Route]]:
        """Every route with its hosts. ``identity_names`` are those of the whole table."""
        identities = [p for p in self._policies if isinstance(p, IdentityPolicy)]
        # What proves the caller on one route of an API must not reach its upstream on another.
        consumed = frozenset(name for policy in identities for name in policy.consumes)
        named = frozenset(name for policy in identities for name in policy.cookies)
        cookies = named | GATEWAY_COOKIES
        stripped = identity_names | consumed | {b"authorization"}
        for number, draft in enumerate(self._drafts):
            draft.problem = draft.problem or _two_voices(draft.attached, identity_names)
            yield self._config.hosts, self._route(draft, number, stripped, cookies)

    def _route(
        self, draft: _Draft, number: int, stripped: frozenset[bytes], cookies: frozenset[str]
    ) -> routing.Route:
        config = self._config
        enforced = [item.policy for item in draft.attached if item.mode == "enforce"]
        passed = frozenset(name for policy in enforced for name in policy.passes)
        dropped = frozenset(name for policy in enforced for name in policy.drops)
        route = routing.Route(
            name=draft.name,
            api=config.name,
            base_path=config.base_path,
            template=draft.config.path,
            methods=frozenset(draft.config.methods),
            strip_base_path=config.strip_base_path,
            websocket=draft.config.websocket,
            strip_fields=(stripped - passed) | dropped,
            strip_cookies=cookies,
        )
        problem = draft.problem or self._problem or _two_credentials(draft.attached)
        if not problem:
            try:
                chain = compile_chain(draft.attached, self._build.compiler.on_report)
                if chain.seals and draft.config.websocket:
                    raise ValueError("what flows through a WebSocket cannot be signed")
                return replace(
                    route,
                    chain=chain,
                    carrier=self._carrier,
                    preflight=chain.answers_preflight,
                )
            except ValueError as error:
                problem = _reason(error)
        path = f"{self._place}.routes[{number}]" if config.routes else self._place
        self._build.problems.append(Problem(path=path, message=f"{route.name}: {problem}"))
        return replace(route, refusal=_REFUSAL)


def _two_credentials(attached: Iterable[Attached]) -> str:
    """Why the upstream would get two ``Authorization`` lines; empty: it gets one at most."""
    names = [
        item.name
        for item in attached
        if item.mode == "enforce" and AUTHORIZATION in item.policy.writes | item.policy.passes
    ]
    if len(names) < 2:
        return ""
    return f"{' and '.join(names)} would both send Authorization upstream: keep one of them"


def _two_voices(attached: tuple[Attached, ...], identity_names: frozenset[bytes]) -> str:
    """Why the upstream could not rely on a header that tells who calls (P2): two policies write
    it, or one writes something else into it. Empty when it can."""
    told: set[bytes] = set()
    for item in attached:
        policy = item.policy
        for name in sorted((policy.writes | policy.sets) & identity_names):
            if name in told or name not in policy.sets:
                return (
                    f"{item.name}: {name.decode()} tells upstreams who calls, so one policy "
                    "writes it, and from the identity alone"
                )
        told |= policy.sets
    return ""


def _reason(error: Exception) -> str:
    """What to tell the administrator; a ``KeyError`` shows its key without quotes."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def upstream_spec(config: UpstreamConfig, compiler: Compiler) -> routing.UpstreamSpec:
    """The upstream as the data plane takes it. Raises ``ValueError``, ``SecretUnreadable``."""
    return routing.UpstreamSpec(
        targets=tuple(_target(target.url, target.weight) for target in config.targets),
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        write_timeout=config.write_timeout,
        total_timeout=config.total_timeout,
        idle_timeout=config.idle_timeout,
        host=config.host,
        tls=_tls(config.tls, compiler.opener),
        retries=config.retries,
        health=routing.Health(**config.health.model_dump()) if config.health else None,
        breaker=routing.Breaker(**config.breaker.model_dump()) if config.breaker else None,
        private_networks=compiler.private_networks,
    )


def _target(url: str, weight: int) -> routing.Target:
    address = web_address(url)
    return routing.Target(
        host=address.host,
        port=address.port,
        secure=address.scheme == "https",
        path=address.path.rstrip("/"),
        weight=weight,
    )


def _tls(config: TlsConfig | None, opener: Opener) -> routing.Tls:
    if config is None:
        return routing.Tls()
    return routing.Tls(
        ca=config.ca.text if config.ca else None,
        cert=config.cert.text if config.cert else None,
        key=config.key.reveal(opener) if config.key else None,
        server_name=config.server_name,
    )
