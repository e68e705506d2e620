"""From a parsed head to a ``Request``, or to the refusal of what llhttp lets pass.

llhttp (strict) refuses bare LF, obs-fold, control bytes in values, CL with TE, differing or
malformed lengths and malformed chunks. This file refuses the rest: the host rules, ``_`` in
names, other transfer codings, methods and versions that are not ours, and what is too large.
"""

from collections.abc import Callable
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


class Heads:
    """Makes requests of the heads that come over one connection."""

    __slots__ = ("_limits", "_new_id", "_peer", "_trusted")

    def __init__(
        self, peer: Peer, limits: Limits, trusted: headers.Networks, new_id: Callable[[], str]
    ) -> None:
        """``trusted`` are the operator's own proxies; ``new_id`` gives each request its id."""
        self._peer = peer
        self._limits = limits
        self._trusted = trusted if trusted and headers.is_trusted(peer.address, trusted) else ()
        self._new_id = new_id

    def request(
        self,
        method: bytes,
        target: bytes,
        version: str,
        fields: list[Field],
        size: int,
        upgrade: bool = False,
    ) -> Request | Deny:
        """The checked request, or why there is none.

        ``fields`` have names in lower case; ``size`` is at least what the head took on the wire.
        """
        received = Headers(fields)
        get = received.get
        refusal = self._refusal(target, version, received, size)
        if refusal is not None:
            return refusal
        host = get(b"host")
        if host is None or (received.repeats and len(received.all(b"host")) != 1):
            return malformed("Exactly one Host header is needed.")
        name = _METHODS.get(method)
        if name is None:
            if method == b"CONNECT":
                return malformed("CONNECT is not served.")
            return Deny("method_not_allowed", "This method is not served.", fields=(_ALLOW,))
        length: int | None = 0
        if get(b"content-length") is not None or get(b"transfer-encoding") is not None:
            declared = _body_length(received, version, upgrade)
            if isinstance(declared, Deny):
                return declared
            length = declared
        try:
            if not target.startswith(b"/"):
                target = origin_form(target, host)
            path, query = split_target(target) if 0x3F in target else (target, None)
            peer = self._peer
            request = Request(
                name,
                host_name(host),
                canonical_path(path),
                query,
                received,
                peer.address,
                peer.address,
                peer.secure,
                self._new_id(),
                length,
                peer.certificate,
                upgrade,
            )
        except TargetRefused as refused:
            return malformed(str(refused))
        if self._trusted:
            _believe(request, self._trusted)
        return request

    def _refusal(self, target: bytes, version: str, received: Headers, size: int) -> Deny | None:
        """What is wrong with a head, before anybody asks what it wants."""
        if version != "1.1" and version != "1.0":
            return malformed("HTTP/1.1 is spoken here.")
        limits = self._limits
        if len(received.fields) > limits.header_count:
            return too_large("The request has too many header lines.")
        if size > limits.line_bytes:  # else neither a line nor the head is too long
            lines = [len(target), *(len(n) + len(v) + 4 for n, v in received.fields)]
            if max(lines) > limits.line_bytes:
                return too_large("A line of the request's head is too long.")
            if sum(lines) > limits.header_bytes:
                return too_large("The request's header section is too large.")
        if 0x5F in received.names:
            # Many servers fold _ and - into one, so such a name could pose as a reserved one.
            return malformed("Header names with an underscore are not accepted.")
        expectation = received.get(b"expect")
        if expectation is not None and expectation.lower() != b"100-continue":
            return malformed("The only expectation accepted is 100-continue.")
        return None


def _body_length(received: Headers, version: str, upgrade: bool) -> int | None | Deny:
    """The declared length of a message that declares a body; None for chunked."""
    coding = received.all(b"transfer-encoding")
    declared = received.all(b"content-length")
    if upgrade:
        return malformed("An upgrade request cannot have a body.")
    if coding:
        if version != "1.1" or declared:
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
