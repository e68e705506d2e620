"""Tells what the gateway would do with one request: which route, each verdict, what goes upstream.

The request is parsed, checked, matched and judged by the very functions that serve traffic;
nothing is sent to an upstream. Whether anything is counted depends on the state the table was
compiled with: ``explain`` is meant to be given one that can only be looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import httptools

from apis.gateway.handle import (
    LOOP,
    Gateway,
    find_route,
    has_looped,
    standing_refusal,
    upstream_request,
)
from apis.gateway.http1_head import Heads, Peer, malformed
from apis.routing import Carrier, Route
from policies.core.chain import Chain, Verdict
from policies.core.identify import Identify
from policies.core.values import Answer, Call, Deny, Field, Pass, Request

_CLIENT = "127.0.0.1"
_HIDDEN = "[redacted]"
_CREDENTIAL = re.compile(
    r"auth|cookie|token|key|secret|passw|session|signature|credential|jwt|dpop|cert|code"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The request to explain, as a client's command line gives it."""

    method: str
    url: str  # absolute, or a path
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def secure(self) -> bool:
        return self.url.lower().startswith("https://")

    def encode(self) -> bytes:
        """The message on the wire, framed as curl would; Host is added where it is missing."""
        scheme, mark, rest = self.url.partition("#")[0].partition("://")
        authority, target = re.split(r"(?=[/?])|\Z", rest, maxsplit=1) if mark else ("", scheme)
        names = {name.lower() for name, _ in self.fields}
        lines = [f"{self.method} {'' if target.startswith('/') else '/'}{target} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {authority or 'localhost'}")
        lines += [f"{name}: {value}" for name, value in self.fields]
        content = self.body
        if content and "transfer-encoding" in names:
            content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        elif content and "content-length" not in names:
            lines.append(f"Content-Length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + content


async def explain(gateway: Gateway, asked: Asked) -> list[str]:
    """The account of one request, as lines for a terminal."""
    peer = Peer(_CLIENT, asked.secure, None)
    heads = Heads(peer, gateway.limits, gateway.trusted_proxies, gateway.request_id)
    request = _Reader().read(asked.encode(), heads)
    if isinstance(request, Deny):
        return _refused(request)
    lines = [f"request   {request.method} {request.path} on host {request.host}"]
    route = find_route(gateway, request)
    if isinstance(route, Deny):
        return [*lines, *_refused(route)]
    lines.append(f"route     {route.name}")
    refusal = standing_refusal(request, route)
    if refusal is not None or route.chain is None:
        return [*lines, *_refused(refusal or Deny("misconfigured", "The route has no chain."))]
    call = Call(request, route.name, gateway.clock())
    verdicts = await route.chain.explain(call)
    lines += [_verdict(verdict) for verdict in verdicts]
    ending = _ending(verdicts)
    if ending is not None:
        return [*lines, *_answered(ending)]
    if has_looped(gateway, request):
        return [*lines, *_refused(LOOP)]
    if request.body_length != 0:
        objection = _watched(route.chain, call, asked.body)
        if objection is not None:
            return [*lines, *_refused(objection)]
        verdicts = await route.chain.explain_body(call, asked.body)
        lines += [_verdict(verdict) for verdict in verdicts]
        ending = _ending(verdicts)
        if ending is not None:
            return [*lines, *_answered(ending)]
    return [*lines, *_sent(gateway, call, route)]


class _Reader:
    """Reads a message as the door does."""

    def __init__(self) -> None:
        self._target = b""
        self._fields: list[Field] = []

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip(b" \t")))

    def read(self, raw: bytes, heads: Heads) -> Request | Deny:
        parser = httptools.HttpRequestParser(self)
        upgrade = False
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            upgrade = True
        except httptools.HttpParserError:
            return malformed("The request is not well-formed HTTP/1.1.")
        method, version = parser.get_method(), parser.get_http_version()
        return heads.request(method, self._target, version, self._fields, len(raw), upgrade)


def _watched(chain: Chain, call: Call, body: bytes) -> Deny | None:
    """What the policies that look at the content say about it."""
    for watch in chain.watch(call):
        denied = (watch.feed(body) if body else None) or watch.end()
        if denied is not None:
            return denied
    return None


def _ending(verdicts: list[Verdict]) -> Deny | Answer | None:
    """The decision with which the last of the verdicts ends the call."""
    if not verdicts or verdicts[-1].mode != "enforce":
        return None
    decision = verdicts[-1].decision
    return None if isinstance(decision, Pass) else decision


def _verdict(verdict: Verdict) -> str:
    match verdict.decision:
        case Deny(code=code):
            outcome = f"refuses {code}"
        case Answer(status=status):
            outcome = f"answers {status}"
        case _:
            outcome = "passes"
    alias = verdict.name != verdict.kind and verdict.kind != Identify.kind
    name = f"{verdict.name} ({verdict.kind})" if alias else verdict.name
    mode = "" if verdict.mode == "enforce" else f" [{verdict.mode}]"
    return f"policy    {verdict.phase.name} {name}{mode} {outcome}: {verdict.reason}"


def _answered(decision: Deny | Answer) -> list[str]:
    if isinstance(decision, Deny):
        return _refused(decision)
    return [f"answer    {decision.status}, by the policy itself; nothing is sent upstream"]


def _refused(deny: Deny) -> list[str]:
    return [
        f"answer    {deny.refusal.status} {deny.code}: {deny.detail}",
        "upstream  nothing is sent",
    ]


def _sent(gateway: Gateway, call: Call, route: Route) -> Iterator[str]:
    """The upstream request, credentials redacted."""
    spec = cast(Carrier, route.carrier).spec
    outgoing = upstream_request(gateway, call, route)
    query = f"?{_without_credentials(outgoing.query)}" if outgoing.query is not None else ""
    for target in spec.targets:
        scheme = "https" if target.secure else "http"
        where = f"unix:{target.unix}" if target.unix else f"{scheme}://{target.host}:{target.port}"
        yield f"upstream  {outgoing.method} {where}{target.path}{outgoing.path}{query}"
    own = {name for name, _ in call.upstream_fields}
    for line in outgoing.lines.split(b"\r\n"):
        name, colon, value = line.partition(b": ")
        if colon:
            shown = name in own - {b"authorization"} or not _CREDENTIAL.search(
                name.decode("latin-1")
            )
            yield f"          {name.decode()}: {value.decode('latin-1') if shown else _HIDDEN}"


def _without_credentials(query: bytes) -> str:
    """The query with the values of credential-like parameters hidden."""
    parts = []
    for part in query.decode("latin-1").split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={_HIDDEN}" if equals and _CREDENTIAL.search(name.lower()) else part)
    return "&".join(parts)
