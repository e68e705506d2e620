"""THE PAGE: what happens to one request, from its head to the last byte of its answer.

match -> chain -> upstream -> chain edits -> answer. It knows an ``Exchange``, no server, and
reaches no database. Whatever goes wrong here ends in a refusal or an aborted answer, never in
a call that was carried without having passed its chain.
"""

import logging
import os
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from time import monotonic
from typing import cast

from apis.gateway import headers
from apis.gateway.balance import Upstream
from apis.gateway.exchange import Body, BodyRefused, ClientGone, Exchange
from apis.gateway.held import HeldBody, ResumedBody, WatchedBody, hold_answer, hold_body
from apis.gateway.limits import DEFAULT_LIMITS, Limits
from apis.gateway.observe import Observer
from apis.gateway.render import render
from apis.gateway.tunnel import carry_tunnel
from apis.gateway.upstream import UpstreamError, UpstreamRequest, UpstreamResponse
from apis.live import Live
from apis.routing import NotMatched, Route, RoutingTable
from policies.core.chain import Chain
from policies.core.values import PASS, Answer, Call, Decision, Deny, Field, Pass, Request
from policies.gateway_keys import MAX_AGE

logger = logging.getLogger(__name__)

JWKS_PATH = "/.well-known/jwks.json"
CLIENT_GONE = 499  # for log and counters only: nobody was left to receive a status
_NOT_FOUND = Deny("route_not_found", "No API is registered for this path.")
_HOST_REFUSED = Deny("host_refused", "No API is served under this host name.")
_NOT_READY = Deny("misconfigured", "No configuration has been loaded yet.")
_FAILED = Deny("misconfigured", "The gateway failed; the operator finds the reason by request_id.")
LOOP = Deny("misconfigured", "The upstream of this route leads back to this gateway.")
_UPGRADE = Deny("upgrade_refused", "This route does not accept an upgrade.")
_UPSTREAM_DETAIL = {
    "upstream_unreachable": "The API server behind this route cannot be reached.",
    "upstream_invalid": "The API server behind this route gave an invalid answer.",
    "upstream_unavailable": "No API server behind this route is available.",
    "upstream_timeout": "The API server behind this route did not answer in time.",
}


class Gateway:
    """What all connections of one worker share."""

    def __init__(
        self,
        live: Live,
        observer: Observer,
        clock: Callable[[], float],
        limits: Limits = DEFAULT_LIMITS,
        trusted_proxies: headers.Networks = (),
        name: str = "gatehouse",
        jwks: Callable[[], bytes] = lambda: b'{"keys":[]}',
    ) -> None:
        """``name`` is this installation's pseudonym in ``Via``, the same in all its workers;
        ``jwks`` gives the public halves of its own signing keys (RFC 7517 5)."""
        self.live = live
        self.observer = observer
        self.clock = clock
        self.limits = limits
        self.trusted_proxies = trusted_proxies
        self.jwks = jwks
        self.draining = False
        self.via = f"1.1 {name}".encode()
        self.via_line = b"via: " + self.via + b"\r\n"
        self._id_prefix = os.urandom(8).hex()
        self._ids = 0

    def request_id(self) -> str:
        """Unique among all workers; not a secret."""
        self._ids += 1
        return f"{self._id_prefix}{self._ids:010x}"


Outcome = tuple[int, str]
"""How a call ended, for log and counters: status, and the code of a refusal or a fault."""


async def handle(gateway: Gateway, exchange: Exchange) -> None:
    """Serve one request and record how it ended. Raises nothing but cancellation."""
    began = monotonic()
    call = Call(exchange.request, "", gateway.clock())
    status, code = CLIENT_GONE, "client_gone"
    try:
        status, code = await _serve(gateway, exchange, call)
    except ClientGone:
        exchange.abort()
    except Exception:
        # Fail closed: the chain or the carrying broke. Nothing reaches an upstream from here.
        logger.exception("request %s on %r failed", call.request.id, call.route)
        status, code = _refuse(exchange, call, _FAILED)
    finally:
        gateway.observer.record(call, status, code, monotonic() - began)
        if call.ending:
            _end(call)


def _end(call: Call) -> None:
    for end in call.ending:
        try:
            end()
        except Exception:  # the answer has left; the others that wait for the end still learn of it
            logger.exception("request %s on %r: ending it failed", call.request.id, call.route)


async def _serve(gateway: Gateway, exchange: Exchange, call: Call) -> Outcome:
    request = call.request
    path = request.path
    if path.startswith("/-/") or path == JWKS_PATH:
        return _own_endpoint(gateway, exchange, call)
    route = find_route(gateway, request)
    if not isinstance(route, Route):
        return _refuse(exchange, call, route)
    call.route = route.name
    chain = route.chain
    refusal = standing_refusal(request, route)
    if refusal is not None or chain is None:
        return _refuse(exchange, call, refusal or _NOT_READY)
    decision = chain.begin(call)
    if not isinstance(decision, Pass):
        decided = await decision
        if decided is not PASS:
            return _settle(exchange, call, decided, chain)
    if has_looped(gateway, request):
        return _refuse(exchange, call, LOOP, chain)
    body: Body | None = None
    try:
        if request.body_length != 0:
            body = exchange.body
            if chain.reads_body:
                examined = await _examined(chain, call, body)
                if isinstance(examined, Deny | Answer):
                    return _settle(exchange, call, examined, chain)
                body = examined
        outgoing = upstream_request(gateway, call, route)
        response = await cast(Upstream, route.carrier).send(outgoing, body, exchange.inform)
    except BodyRefused as refused:
        return _refuse(exchange, call, refused.deny, chain)
    except UpstreamError as error:
        return _broken(exchange, call, error, chain)
    status = response.status
    try:
        fields = chain.edit(call, status, headers.answer_fields(response.fields))
        fields += call.response_fields
        fields.append((b"x-request-id", request.id.encode()))
        if chain.reads_answer and status != 101:
            return await _hold(exchange, call, response, fields, chain)
        if response.content is None:
            return await _stream(exchange, call, response, fields)
        exchange.respond(status, fields, response.content, response.length)
    except BaseException:
        response.abort()
        raise
    return status, ""


def find_route(gateway: Gateway, request: Request) -> Route | Deny:
    """The route that takes the request, or why none does."""
    table = gateway.live.table
    if table is None:
        return _NOT_READY
    if table.preflights and request.method == "OPTIONS":
        asked_about = _preflighted(table, request)
        if asked_about is not None:
            return asked_about
    route = table.match(request.host, request.method, request.path)
    return _unmatched(route) if isinstance(route, NotMatched) else route


def _preflighted(table: RoutingTable, request: Request) -> Route | None:
    """The route that a CORS preflight asks about (Fetch, CORS-preflight request), if it is one
    and the route answers it."""
    wanted = request.headers.get(b"access-control-request-method")
    if wanted is None or b"origin" not in request.headers:
        return None
    route = table.match(request.host, wanted.decode("latin-1"), request.path)
    return route if isinstance(route, Route) and route.preflight else None


def standing_refusal(request: Request, route: Route) -> Deny | None:
    """Why the route takes no request like this one, whoever sends it."""
    if route.chain is None or route.refusal is not None:
        return route.refusal or _NOT_READY
    return _UPGRADE if request.upgrade and not route.websocket else None


def has_looped(gateway: Gateway, request: Request) -> bool:
    """Whether the request came through this installation before (RFC 9110 7.6.3)."""
    via = request.headers.get(b"via")
    return via is not None and gateway.via in via


async def _examined(chain: Chain, call: Call, body: Body) -> Body | Deny | Answer:
    """The body as the upstream gets it, once the policies that must see all of it passed."""
    watches = chain.watch(call)
    if watches:
        body = WatchedBody(body, watches)
    holders = chain.body_holders(call)
    if not holders:
        return body
    content, whole = await hold_body(body, chain.body_bound)
    if not whole:
        return chain.unseen_body(call, holders) or ResumedBody(content, body)
    decision = await chain.check_body(call, holders, content)
    return HeldBody(content) if decision is PASS else cast(Deny | Answer, decision)


async def _hold(
    exchange: Exchange,
    call: Call,
    response: UpstreamResponse,
    fields: list[Field],
    chain: Chain,
) -> Outcome:
    """Send an answer once the policies that must see all of its content passed."""
    holders = chain.answer_holders(call, response.status, fields)
    try:
        bound = max((bound for _, bound in holders), default=0)
        content, whole = await hold_answer(response, bound)
    except UpstreamError as error:
        return _broken(exchange, call, error, chain)
    deny = chain.check_answer(call, holders, response.status, fields, content if whole else None)
    if deny is not None:
        response.abort()
        return _refuse(exchange, call, deny, chain)
    if not whole:  # whoever would have refused that is not in force
        return await _stream(exchange, call, response, fields, content)
    if holders:
        fields = chain.seal(call, response.status, fields, content)
    exchange.respond(response.status, fields, content, response.length)
    return response.status, ""


async def _stream(
    exchange: Exchange,
    call: Call,
    response: UpstreamResponse,
    fields: list[Field],
    held: bytes = b"",
) -> Outcome:
    """Hand on an answer whose content is still on its way, or a tunnel."""
    status = response.status
    try:
        if status == 101:
            await carry_tunnel(exchange, response, fields)
            return status, ""
        exchange.start(status, fields, response.length)
        if held:
            await exchange.write(held)
        while chunk := await response.read():
            await exchange.write(chunk)
    except UpstreamError as error:
        logger.info("request %s on %r: answer broke: %s", call.request.id, call.route, error)
        exchange.abort()
        return status, error.code
    exchange.finish()
    return status, ""


def upstream_request(gateway: Gateway, call: Call, route: Route) -> UpstreamRequest:
    """What the upstream gets: the client's lines less the reserved ones, then the gateway's."""
    request = call.request
    received = request.headers
    get = received.get
    host = get(b"host") or b""
    if route.strip_cookies and get(b"cookie") is not None:
        received = headers.without_cookies(received, route.strip_cookies)
    lines = headers.forward_lines(received, headers.dropped_names(route.strip_fields))
    lines += map(b": ".join, call.upstream_fields)
    client = request.client
    if gateway.trusted_proxies:
        client = headers.client_chain(request.peer, request.headers, gateway.trusted_proxies)
    lines += (
        b"x-request-id: " + request.id.encode(),
        headers.forwarding_lines(client, request.secure, host) + gateway.via_line,
    )
    return UpstreamRequest(
        request.method,
        route.upstream_path(request.path),
        request.query,
        b"\r\n".join(lines),
        get(b"upgrade") if request.upgrade else None,
    )


def _unmatched(result: NotMatched) -> Deny:
    if result.allow:
        allow = ", ".join(result.allow).encode()
        return Deny(
            "method_not_allowed", "This path takes other methods.", fields=((b"allow", allow),)
        )
    return _NOT_FOUND if result.host_known else _HOST_REFUSED


def _settle(exchange: Exchange, call: Call, decision: Decision, chain: Chain) -> Outcome:
    """What a decision other than PASS means for the client."""
    match decision:
        case Deny():
            return _refuse(exchange, call, decision, chain)
        case Answer(status, answer, content):
            fields = chain.edit(call, status, list(answer))
            return _say(exchange, call, (status, ""), fields, content, chain)
    raise TypeError("a chain that passed has nothing to settle")


def _refuse(exchange: Exchange, call: Call, deny: Deny, chain: Chain | None = None) -> Outcome:
    """A refusal; the policies of the route's ``chain``, where it got that far, edit it too."""
    status, fields, content = render(deny, call.request.id)
    if chain is not None:
        fields = chain.edit(call, status, fields)
    return _say(exchange, call, (status, deny.code), fields, content, chain)


def _broken(exchange: Exchange, call: Call, error: UpstreamError, chain: Chain) -> Outcome:
    """The refusal for what the upstream did; the log alone says what it was."""
    logger.info("request %s on %r: %s: %s", call.request.id, call.route, error.code, error)
    return _refuse(exchange, call, Deny(error.code, _UPSTREAM_DETAIL[error.code]), chain)


def _say(
    exchange: Exchange,
    call: Call,
    outcome: Outcome,
    fields: list[Field],
    content: bytes,
    chain: Chain | None = None,
) -> Outcome:
    """An answer of the gateway's own."""
    fields += call.response_fields
    fields += (date_field(int(call.now)), (b"x-request-id", call.request.id.encode()))
    status = outcome[0]
    if chain is not None and chain.seals:
        fields = chain.seal(call, status, fields, content)
    exchange.respond(status, fields, content, len(content))
    return outcome


@lru_cache(maxsize=4)
def date_field(second: int) -> Field:
    """``Date`` for an answer that no upstream dated (RFC 9110 6.6.1)."""
    return (b"date", formatdate(second, usegmt=True).encode())


def _own_endpoint(gateway: Gateway, exchange: Exchange, call: Call) -> Outcome:
    """``/-/live``: the process runs. ``/-/ready``: it has a table and is not shutting down.
    ``/.well-known/jwks.json``: the gateway's own public keys."""
    path = call.request.path
    if path not in ("/-/live", "/-/ready", JWKS_PATH):
        return _refuse(exchange, call, _NOT_FOUND)
    call.route = path
    if call.request.method not in ("GET", "HEAD"):
        return _refuse(exchange, call, _unmatched(NotMatched(("GET", "HEAD"))))
    if path == "/-/ready" and gateway.draining:
        return _refuse(exchange, call, Deny("draining", "The gateway is shutting down."))
    if path == "/-/ready" and gateway.live.table is None:
        return _refuse(exchange, call, _NOT_READY)
    if path == JWKS_PATH:
        cached = b"max-age=%d" % MAX_AGE
        fields = [(b"content-type", b"application/json"), (b"cache-control", cached)]
        return _say(exchange, call, (200, ""), fields, gateway.jwks())
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    return _say(exchange, call, (200, ""), fields, b"ok\n")
