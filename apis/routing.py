"""The routing table: what every data plane reads. Pure and immutable.

A table is built whole by ``apis.snapshot`` and swapped in by one assignment. Matching is
deterministic (the order is part of the public contract): host, exact then ``*.suffix`` then
``*``; the longest base path by whole segments; the most specific template, segment by
segment (literal before ``{name}`` before ``{rest*}``); then the method. HEAD is served by a
GET route. A trailing slash counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from policies.core.chain import Chain
from policies.core.values import Deny


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS to https targets. PEM texts; verification cannot be switched off."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One address of an upstream. ``unix`` is a socket path and replaces host and port."""

    host: str
    port: int
    secure: bool = False
    path: str = ""  # prefix joined before the request's path, without trailing slash
    weight: int = 1
    unix: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Active health check: GET ``path`` every ``interval`` seconds; 2xx and 3xx are healthy."""

    path: str
    interval: float


@dataclass(frozen=True, slots=True)
class Breaker:
    """After ``failures`` within ``window`` seconds a target rests for ``open_for`` seconds."""

    failures: int
    window: float
    open_for: float


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """Where calls are carried and how long each step may take (seconds, all finite).

    ``connect_timeout`` bounds one connection attempt with TLS; ``write_timeout`` each wait
    for the upstream to take bytes; ``read_timeout`` each wait for bytes of the answer;
    ``total_timeout`` the time until the response head; ``idle_timeout`` the silence of a
    stream or tunnel. Two equal specs share one connection pool across generations.
    """

    targets: tuple[Target, ...]
    connect_timeout: float = 2.0
    read_timeout: float = 15.0
    write_timeout: float = 15.0
    total_timeout: float = 60.0
    idle_timeout: float = 300.0
    host: str | None = None
    tls: Tls = Tls()
    retries: int = 1
    health: Health | None = None
    breaker: Breaker | None = None
    private_networks: tuple[str, ...] = ()  # CIDRs allowed beside public addresses (S1)


class Carrier(Protocol):
    """A live upstream: ``apis.gateway.balance`` makes them, one for each equal spec."""

    spec: UpstreamSpec


@dataclass(frozen=True, slots=True)
class Route:
    """One compiled route. ``refusal`` is set when it is broken: it refuses, never vanishes."""

    name: str  # "orders GET /items/{id}": for logs, metrics and explain
    api: str
    base_path: str
    template: str
    methods: frozenset[str]  # empty: every method
    chain: Chain | None = None
    carrier: Carrier | None = None
    strip_base_path: bool = True
    websocket: bool = False
    strip_fields: frozenset[bytes] = frozenset()  # configured names of request lines not forwarded
    strip_cookies: frozenset[str] = frozenset()
    refusal: Deny | None = None
    preflight: bool = False  # a CORS preflight for it is its own to answer
    internal: bool = False  # one of Gatehouse's own endpoints, reached through a private listener

    def upstream_path(self, path: str) -> str:
        """The canonical client path as the upstream gets it (before the target's prefix)."""
        if self.strip_base_path and self.base_path != "/":
            return path[len(self.base_path) :] or "/"
        return path


_REMEMBERED = 4096  # matches


class NotMatched(NamedTuple):
    """No route: unknown path, or (``allow`` not empty) a known path with another method.

    ``host_known`` is False when no API at all is served for the host.
    """

    allow: tuple[str, ...] = ()
    host_known: bool = True


class _Node:
    """One path segment in the tree of one API's templates."""

    __slots__ = ("ends", "literals", "parameter", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: _Leaf | None = None
        self.ends: _Leaf | None = None


_Leaf = dict[str, Route]  # method -> route; "" is every method


class _Tree:
    """All templates below one (host, base path)."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, route: Route) -> None:
        node = self._root
        for segment in route.template.split("/")[1:]:
            if segment.startswith("{") and segment.endswith("*}"):
                node.rest = _fill(node.rest, route)
                return
            if segment.startswith("{") and segment.endswith("}"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.ends = _fill(node.ends, route)

    def find(self, segments: list[str], method: str, allow: set[str]) -> Route | None:
        return _walk(self._root, segments, 0, method, allow)


def _fill(leaf: _Leaf | None, route: Route) -> _Leaf:
    leaf = {} if leaf is None else leaf
    for method in route.methods or ("",):
        if method in leaf:
            raise ValueError(f"{route.name}: another route has the same method and path")
        leaf[method] = route
    return leaf


def _walk(node: _Node, segments: list[str], at: int, method: str, allow: set[str]) -> Route | None:
    """Depth-first in order of specificity. Its work is bounded by the templates' depth."""
    if at == len(segments):
        return _pick(node.ends, method, allow) if node.ends is not None else None
    segment = segments[at]
    child = node.literals.get(segment)
    if child is not None:
        found = _walk(child, segments, at + 1, method, allow)
        if found is not None:
            return found
    if node.parameter is not None and segment:
        found = _walk(node.parameter, segments, at + 1, method, allow)
        if found is not None:
            return found
    return _pick(node.rest, method, allow) if node.rest is not None else None


def _pick(leaf: _Leaf, method: str, allow: set[str]) -> Route | None:
    route = leaf.get(method)
    if route is None and method == "HEAD":
        route = leaf.get("GET")
    if route is None:
        route = leaf.get("")
    if route is None:
        allow.update(leaf)
        if "GET" in leaf:
            allow.add("HEAD")
    return route


class RoutingTable:
    """Every route of one generation."""

    def __init__(self, routes: Iterable[tuple[tuple[str, ...], Route]], generation: int) -> None:
        """``routes`` pairs each route with the hosts it is served for (``*`` is any).

        Raises ``ValueError`` when two routes have the same host, method and path.
        """
        self.generation = generation
        self.routes: list[Route] = []
        self.preflights = False  # some route answers CORS preflights
        self._served: set[str] = set()
        self._exact: dict[str, dict[str, _Tree]] = {}
        self._suffix: list[tuple[str, dict[str, _Tree]]] = []
        suffixes: dict[str, dict[str, _Tree]] = {}
        for hosts, route in routes:
            self.routes.append(route)
            self.preflights = self.preflights or route.preflight
            if not route.internal:
                self._served.update(hosts)
            for host in hosts:
                group = suffixes if host.startswith("*.") else self._exact
                trees = group.setdefault(host.removeprefix("*"), {})
                trees.setdefault(route.base_path.rstrip("/"), _Tree()).add(route)
        self._any = self._exact.pop("", None)
        self._suffix = sorted(suffixes.items(), key=lambda item: -len(item[0]))
        # The route for (host, method, canonical path); remembered, since callers repeat paths.
        self.match = lru_cache(maxsize=_REMEMBERED)(self._match)

    def _match(self, host: str, method: str, path: str) -> Route | NotMatched:
        segments = path.split("/")[1:]
        for trees in self._candidates(host):
            for depth in range(len(segments), -1, -1):
                base = "/" + "/".join(segments[:depth]) if depth else ""
                tree = trees.get(base)
                if tree is None:
                    continue
                allow: set[str] = set()
                rest = segments[depth:] or [""]
                found = tree.find(rest, method, allow)
                return found or NotMatched(tuple(sorted(allow)))
        return NotMatched(host_known=self._serves(host))

    def _serves(self, host: str) -> bool:
        """Whether any registered API is served under this host."""
        served = self._served
        return (
            not served
            or "*" in served
            or host in served
            or any(name.startswith("*.") and host.endswith(name[1:]) for name in served)
        )

    def _candidates(self, host: str) -> Iterable[dict[str, _Tree]]:
        exact = self._exact.get(host)
        if exact is not None:
            yield exact
        for suffix, trees in self._suffix:
            if host.endswith(suffix):
                yield trees
        if self._any is not None:
            yield self._any
