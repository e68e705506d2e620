"""Live upstreams: which target gets a call, what is tried again, and the pools behind it.

Rules of this file.
1. Targets take turns by smooth weighted round robin among those that are usable.
2. A call that could not be connected has left no trace: it goes to another target, whatever its
   method, at most ``retries`` times.
3. A request that was sent is sent again only if its method is idempotent, it had no body, and
   its connection was a kept one that turned out closed before any byte of an answer (P11,
   RFC 9112 9.3.1); then on a new connection, and never twice.
"""

import asyncio
import logging
import threading
from collections.abc import Collection

from apis.gateway.exchange import Body, ClientGone
from apis.gateway.health import Condition
from apis.gateway.pool import Pool
from apis.gateway.upstream import (
    ConnectionStale,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUnavailable,
)
from apis.gateway.upstream_answer import Interim
from apis.gateway.upstream_request import framing_lines, request_head
from apis.gateway.upstream_tls import client_context
from apis.routing import Health, Target, UpstreamSpec
from policies.core.values import Field

logger = logging.getLogger(__name__)

_IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS"))


class Member:
    """One target with its pool, its condition and its turn."""

    __slots__ = ("condition", "host_lines", "name", "pool", "prefix", "turn", "weight")

    def __init__(self, target: Target, spec: UpstreamSpec, pool: Pool) -> None:
        self.pool = pool
        self.condition = Condition(spec.breaker)
        self.name = target.unix or authority(target)
        self.prefix = target.path
        self.weight = target.weight
        self.turn = 0
        host = spec.host or authority(target)
        self.host_lines = f" HTTP/1.1\r\nhost: {host}\r\n".encode("ascii")


def authority(target: Target) -> str:
    """A target's own Host (RFC 9110 7.2): the port only where it is not the scheme's."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    default = 443 if target.secure else 80
    return host if target.port == default else f"{host}:{target.port}"


class Upstream:
    """A carrier: carries calls to the targets of one spec. Used on one event loop only."""

    def __init__(self, spec: UpstreamSpec) -> None:
        """Raises ``ValueError`` when certificates, networks or host names cannot be used."""
        self.spec = spec
        self._retries, self._total_timeout = spec.retries, spec.total_timeout
        secure = any(target.secure for target in spec.targets)
        tls = client_context(spec.tls) if secure else None
        self._members = [
            Member(target, spec, Pool(target, spec, tls if target.secure else None))
            for target in spec.targets
        ]
        self._single = self._members[0] if len(self._members) == 1 else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checks: asyncio.Task[None] | None = None

    async def send(
        self, request: UpstreamRequest, body: Body | None, on_interim: Interim
    ) -> UpstreamResponse:
        """Carry one call; returns when the final head of the answer, or a 101, is there.

        ``on_interim`` is told 1xx answers other than 100 and 101. Raises an ``UpstreamError``, or
        what ``body.read`` raises: the upstream has then seen no complete request.
        """
        loop = self._loop or self._start()
        now = loop.time()
        until = now + self._total_timeout
        content = b"" if body is None or body.length == 0 else _whole(body)
        framing = framing_lines(request.method, content, body.length if body else 0)
        fresh = False
        tried: list[Member] = []
        error: UpstreamError | None = None
        while len(tried) <= self._retries:
            member = self._choose(now, tried)
            if member is None:
                break
            data = request_head(request, member.prefix, member.host_lines, framing)
            try:
                connection = None if fresh else member.pool.take()
                if connection is None:
                    connection = await member.pool.connect(until)
                    now = loop.time()
            except UpstreamUnavailable:
                raise
            except UpstreamError as refused:
                member.condition.failed(loop.time())
                tried.append(member)
                error = refused
                now = loop.time()
                continue
            if content is None:
                answer = connection.send(request, data, body, now, until, on_interim)
            else:
                answer = connection.send(request, data + content, None, now, until, on_interim)
            try:
                response = await answer
            except ConnectionStale:
                if content != b"" or request.method not in _IDEMPOTENT or not self._retries:
                    raise
                fresh = True  # so it cannot be stale again
                now = loop.time()
            except UpstreamError:
                member.condition.failed(loop.time())
                raise
            except BaseException:
                connection.given_up(answer)
                raise
            else:
                member.condition.succeeded()
                return response
        raise error or UpstreamUnavailable("every target rests or is unhealthy")

    def retire(self) -> None:
        """The spec is gone: calls under way finish, idle connections end."""
        if self._checks is not None:
            self._checks.cancel()
        for member in self._members:
            member.pool.retire()

    def abort(self) -> None:
        """End everything now."""
        self.retire()
        for member in self._members:
            member.pool.abort()

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        if self.spec.health is not None:
            self._checks = self._loop.create_task(self._check(self.spec.health))
        return self._loop

    def _choose(self, now: float, tried: list[Member]) -> Member | None:
        """The usable target whose turn it is, or None."""
        if self._single is not None and not tried:
            return self._single if self._single.condition.usable(now) else None
        best: Member | None = None
        total = 0
        for member in self._members:
            if member in tried or not member.condition.usable(now):
                continue
            member.turn += member.weight
            total += member.weight
            if best is None or member.turn > best.turn:
                best = member
        if best is not None:
            best.turn -= total
        return best

    async def _check(self, health: Health) -> None:
        """Ask every target for its health, again and again."""
        while True:
            await asyncio.gather(*(self._probe(member, health) for member in self._members))
            await asyncio.sleep(health.interval)

    async def _probe(self, member: Member, health: Health) -> None:
        request = UpstreamRequest("GET", health.path, None, b"accept: */*\r\n")
        data = request_head(request, "", member.host_lines, b"")
        until = asyncio.get_running_loop().time() + health.interval
        try:
            connection = member.pool.take() or await member.pool.connect(until)
            now = asyncio.get_running_loop().time()
            answer = connection.send(request, data, None, now, now + health.interval, _ignore)
            try:
                response = await answer
            except asyncio.CancelledError:
                connection.given_up(answer)
                raise
        except (ConnectionStale, UpstreamUnavailable):
            return  # says nothing about the target
        except UpstreamError as error:
            healthy, reason = False, str(error)
        else:
            response.abort()
            healthy, reason = response.status < 400, f"status {response.status}"
        if healthy != member.condition.healthy:
            member.condition.healthy = healthy
            state = "healthy" if healthy else "unhealthy"
            logger.warning("target %s is %s: %s", member.name, state, reason)


def _whole(body: Body) -> bytes | None:
    """The whole body if it is there. Raises ``ClientGone`` for another length than declared."""
    content = body.complete()
    if content is not None and body.length not in (None, len(content)):
        raise ClientGone
    return content


def _ignore(status: int, fields: list[Field]) -> None:
    """Interim answers to a health check mean nothing."""


class Upstreams:
    """The upstreams of one process by their specs: equal specs share one, across generations."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._upstreams: dict[UpstreamSpec, Upstream] = {}

    def carrier(self, spec: UpstreamSpec) -> Upstream:
        """The upstream of a spec; may be called from any thread.

        Raises ``ValueError`` with a message for the administrator when the spec's certificates,
        networks or names cannot be used.
        """
        with self._lock:
            upstream = self._upstreams.get(spec)
            if upstream is None:
                upstream = self._upstreams[spec] = Upstream(spec)
            return upstream

    def retain(self, specs: Collection[UpstreamSpec]) -> None:
        """Retire every upstream whose spec is not among these. Called on the event loop."""
        kept = set(specs)
        with self._lock:
            gone = [spec for spec in self._upstreams if spec not in kept]
            retired = [self._upstreams.pop(spec) for spec in gone]
        for upstream in retired:
            upstream.retire()

    async def close(self) -> None:
        """End all connections, also those that carry a call."""
        with self._lock:
            upstreams = list(self._upstreams.values())
            self._upstreams.clear()
        for upstream in upstreams:
            upstream.abort()
