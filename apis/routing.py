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
from policies.core.path_templates import Templates
from policies.core.values import Deny

_Trees = dict[str, Templates["Route"]]  # by base path


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
_LONGEST = 1024  # characters of one that is remembered: clients choose them


class NotMatched(NamedTuple):
    """No route: unknown path, or (``allow`` not empty) a known path with another method.

    ``host_known`` is False when no API at all is served for the host.
    """

    allow: tuple[str, ...] = ()
    host_known: bool = True


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
        self._exact: dict[str, _Trees] = {}
        self._suffix: list[tuple[str, _Trees]] = []
        suffixes: dict[str, _Trees] = {}
        for hosts, route in routes:
            self.routes.append(route)
            self.preflights = self.preflights or route.preflight
            if not route.internal:
                self._served.update(hosts)
            for host in hosts:
                group = suffixes if host.startswith("*.") else self._exact
                trees = group.setdefault(host.removeprefix("*"), {})
                tree = trees.setdefault(route.base_path.rstrip("/"), Templates())
                _add(tree, route)
        self._any = self._exact.pop("", None)
        self._suffix = sorted(suffixes.items(), key=lambda item: -len(item[0]))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._match)

    def match(self, host: str, method: str, path: str) -> Route | NotMatched:
        """The route for a canonical path; remembered, since callers repeat paths."""
        if len(path) + len(host) + len(method) > _LONGEST:
            return self._match(host, method, path)
        return self._remembered(host, method, path)

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

    def _candidates(self, host: str) -> Iterable[_Trees]:
        exact = self._exact.get(host)
        if exact is not None:
            yield exact
        for suffix, trees in self._suffix:
            if host.endswith(suffix):
                yield trees
        if self._any is not None:
            yield self._any


def _add(tree: Templates[Route], route: Route) -> None:
    try:
        tree.add(route.template, route.methods, route)
    except KeyError:
        raise ValueError(f"{route.name}: another route has the same method and path") from None
