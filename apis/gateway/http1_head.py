"""From a parsed head to a ``Request``, or to the refusal of what llhttp lets pass.

llhttp (strict) refuses bare LF, obs-fold, CL with TE, differing or malformed lengths and
malformed chunks. This file refuses the rest: the host rules, ``_`` in names, control bytes in
values, other transfer codings, methods and versions that are not ours, and what is too large.
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
from policies.core.values import Deny, Field, Headers, Request


class Head(NamedTuple):
    """One request's head as the parser left it; names are lower case."""

    method: bytes
    target: bytes
    version: str
    fields: list[Field]
    upgrade: bool


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
# Visible characters, space, tab and obs-text (RFC 9110 5.5).
_VALUE_BYTES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])


def malformed(detail: str) -> Deny:
    return Deny("request_malformed", detail)


def too_large(detail: str) -> Deny:
    return Deny("headers_too_large", detail)


def make_request(
    head: Head, peer: Peer, limits: Limits, trusted: headers.Networks, request_id: str
) -> Request | Deny:
    """The checked request, or why there is none."""
    refusal = _check_size(head, limits) or _check_fields(head)
    if refusal is not None:
        return refusal
    received = Headers(head.fields)
    host = received.get(b"host")
    method = _METHODS.get(head.method)
    if host is None or [name for name, _ in head.fields].count(b"host") != 1:
        return malformed("Exactly one Host header is needed.")
    if method is None:
        if head.method == b"CONNECT":
            return malformed("CONNECT is not served.")
        return Deny("method_not_allowed", "This method is not served.", fields=(_ALLOW,))
    length = _body_length(head, received)
    if isinstance(length, Deny):
        return length
    try:
        path, query = split_target(origin_form(head.target, host))
        request = Request(
            method=method,
            host=host_name(host),
            path=canonical_path(path),
            query=query,
            headers=received,
            client=peer.address,
            peer=peer.address,
            secure=peer.secure,
            id=request_id,
            body_length=length,
            certificate=peer.certificate,
            upgrade=head.upgrade,
        )
    except TargetRefused as refused:
        return malformed(str(refused))
    if trusted and headers.is_trusted(peer.address, trusted):
        _believe(request, trusted)
    return request


def _check_size(head: Head, limits: Limits) -> Deny | None:
    if len(head.fields) > limits.header_count:
        return too_large("The request has too many header lines.")
    longest = max([len(value) for _, value in head.fields], default=0)
    if longest > limits.line_bytes or len(head.target) > limits.line_bytes:
        return too_large("A line of the request's head is too long.")
    return None


def _check_fields(head: Head) -> Deny | None:
    if head.version not in ("1.1", "1.0"):
        return malformed("HTTP/1.1 is spoken here.")
    if b"_" in b" ".join([name for name, _ in head.fields]):
        # Many servers fold _ and - into one, so such a name could pose as a reserved one.
        return malformed("Header names with an underscore are not accepted.")
    if b"".join([value for _, value in head.fields]).translate(None, _VALUE_BYTES):
        return malformed("A header value holds control characters.")
    return None


def _body_length(head: Head, received: Headers) -> int | None | Deny:
    coding = received.get(b"transfer-encoding")
    if coding is not None:
        if head.version != "1.1" or b"content-length" in received:
            return malformed("Transfer-Encoding cannot be used here.")
        if coding.lower() != b"chunked" or len(received.all(b"transfer-encoding")) != 1:
            return malformed("The only transfer coding accepted is chunked.")
        if head.upgrade:
            return malformed("An upgrade request cannot have a body.")
        return None
    expect = received.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        return malformed("The only expectation accepted is 100-continue.")
    text = received.get(b"content-length")
    if text is None:
        return 0
    if not text.isdigit() or len(received.all(b"content-length")) != 1:
        return malformed("Content-Length is not a number.")
    if head.upgrade and int(text):
        return malformed("An upgrade request cannot have a body.")
    return int(text)


def _believe(request: Request, trusted: headers.Networks) -> None:
    """Take over what one of the operator's own proxies says about the client."""
    chain = headers.client_chain(request.peer, request.headers, trusted)
    request.client = chain.partition(",")[0]
    proto = request.headers.get(b"x-forwarded-proto")
    if proto is not None:
        request.secure = proto.strip().lower() == b"https"
    told = request.headers.get(b"x-request-id")
    if told is not None and 0 < len(told) <= 128 and told.isascii() and b" " not in told:
        request.id = told.decode("ascii")
