"""From a parsed head to a ``Request``, or to the refusal of what llhttp lets pass.

llhttp (strict) refuses bare LF, obs-fold, control bytes in values, CL with TE, differing or
malformed lengths and malformed chunks. This file refuses the rest: the host rules, ``_`` in
names, other transfer codings, methods and versions that are not ours, and what is too large.
"""

from typing import NamedTuple

from apis.gateway import headers
from apis.gateway.canonical import (
    TargetRefused,
    canonical_path,
    host_name,
    origin_form,
    split_target,
)
from apis.gateway.limits import Limits
from apis.gateway.request_body import NO_BODY, RequestBody
from policies.core.values import NO_HEADERS, Deny, Field, Request


class Message:
    """One request as the parser fills it: a head, then a body. Header names are lower case."""

    __slots__ = (
        "body",
        "head_bytes",
        "headers",
        "keep_alive",
        "method",
        "target",
        "upgrade",
        "version",
    )

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.version = ""
        self.headers = NO_HEADERS
        self.head_bytes = 0  # at least the bytes that the head took on the wire
        self.upgrade = False
        self.keep_alive = True
        self.body: RequestBody = NO_BODY

    @property
    def has_head(self) -> bool:
        return self.version != ""


class Peer(NamedTuple):
    """Who is at the other end of a connection."""

    address: str
    secure: bool
    certificate: bytes | None


_METHODS = {
    name.encode(): name
    for name in (
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "SEARCH", "PURGE",
        "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "LINK",
        "UNLINK",
    )
}  # fmt: skip
_ALLOW: Field = (b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
_LENGTH_DIGITS = 18  # of Content-Length: an exabyte


def malformed(detail: str) -> Deny:
    return Deny("request_malformed", detail)


def too_large(detail: str) -> Deny:
    return Deny("headers_too_large", detail)


def make_request(
    message: Message, peer: Peer, limits: Limits, trusted: headers.Networks, request_id: str
) -> Request | Deny:
    """The checked request, or why there is none."""
    received = message.headers
    refusal = _check_head(message, limits)
    if refusal is not None:
        return refusal
    host = received.get(b"host")
    if host is None or (received.repeats and len(received.all(b"host")) != 1):
        return malformed("Exactly one Host header is needed.")
    method = _METHODS.get(message.method)
    if method is None:
        if message.method == b"CONNECT":
            return malformed("CONNECT is not served.")
        return Deny("method_not_allowed", "This method is not served.", fields=(_ALLOW,))
    length = 0 if message.body is NO_BODY else _body_length(message)
    if isinstance(length, Deny):
        return length
    target = message.target
    try:
        if not target.startswith(b"/"):
            target = origin_form(target, host)
        path, query = split_target(target) if b"?" in target else (target, None)
        request = Request(
            method,
            host_name(host),
            canonical_path(path),
            query,
            received,
            peer.address,
            peer.address,
            peer.secure,
            request_id,
            length,
            peer.certificate,
            message.upgrade,
        )
    except TargetRefused as refused:
        return malformed(str(refused))
    if trusted and headers.is_trusted(peer.address, trusted):
        _believe(request, trusted)
    return request


def _check_head(message: Message, limits: Limits) -> Deny | None:
    if message.version not in ("1.1", "1.0"):
        return malformed("HTTP/1.1 is spoken here.")
    fields = message.headers.fields
    if len(fields) > limits.header_count:
        return too_large("The request has too many header lines.")
    if message.head_bytes > limits.line_bytes:  # else neither a line nor the head is too long
        lines = [len(message.target), *(len(name) + len(value) + 4 for name, value in fields)]
        if max(lines) > limits.line_bytes:
            return too_large("A line of the request's head is too long.")
        if sum(lines) > limits.header_bytes:
            return too_large("The request's header section is too large.")
    if 0x5F in message.headers.names:
        # Many servers fold _ and - into one, so such a name could pose as a reserved one.
        return malformed("Header names with an underscore are not accepted.")
    expectation = message.headers.get(b"expect")
    if expectation is not None and expectation.lower() != b"100-continue":
        return malformed("The only expectation accepted is 100-continue.")
    return None


def _body_length(message: Message) -> int | None | Deny:
    """The declared length of a message that declares a body; None for chunked."""
    received = message.headers
    coding = received.all(b"transfer-encoding")
    declared = received.all(b"content-length")
    if message.upgrade:
        return malformed("An upgrade request cannot have a body.")
    if coding:
        if message.version != "1.1" or declared:
            return malformed("Transfer-Encoding cannot be used here.")
        if [value.lower() for value in coding] != [b"chunked"]:
            return malformed("The only transfer coding accepted is chunked.")
        return None
    if len(declared) != 1 or not declared[0].isdigit() or len(declared[0]) > _LENGTH_DIGITS:
        return malformed("Content-Length is not a number.")
    return int(declared[0])


def _believe(request: Request, trusted: headers.Networks) -> None:
    """Take over what one of the operator's own proxies says about the client."""
    chain = headers.client_chain(request.peer, request.headers, trusted)
    request.client = chain.partition(",")[0]
    told_of = headers.told_certificate(request.headers)
    if told_of is not None or request.client != request.peer:
        # The proxy's own certificate on its connection to us is not that of its clients.
        request.certificate = told_of
    proto = request.headers.get(b"x-forwarded-proto")
    if proto is not None:
        request.secure = proto.strip().lower() == b"https"
    told = request.headers.get(b"x-request-id")
    if told is not None and 0 < len(told) <= 128 and told.isascii() and b" " not in told:
        request.id = told.decode("ascii")
