"""The head of a request as an upstream gets it: first line, Host, forwarded lines, framing."""

from apis.gateway.upstream import UpstreamRequest

_CHUNKED = b"transfer-encoding: chunked\r\n"
_EMPTY = b"content-length: 0\r\n"
_EXPECT_CONTENT = frozenset(("POST", "PUT", "PATCH"))  # RFC 9110 8.6: their length is always said


def framing_lines(method: str, content: bytes | None, length: int | None) -> bytes:
    """How the body is framed (RFC 9112 6.2): ``content`` is all of it, None when it is streamed;
    then ``length`` is what was declared, None when nothing was."""
    if content == b"":
        return _EMPTY if method in _EXPECT_CONTENT else b""
    if content is not None:
        length = len(content)
    return _CHUNKED if length is None else b"content-length: %d\r\n" % length


def request_head(request: UpstreamRequest, prefix: str, host_lines: bytes, framing: bytes) -> bytes:
    """The whole head. ``prefix`` is the target's path; ``host_lines`` is the end of the first line
    with Host. Raises ``UnicodeEncodeError`` for a path that is not ASCII."""
    target = f"{request.method} {prefix}{request.path}".encode("ascii")
    if request.query is not None:
        target += b"?" + request.query
    if request.upgrade is not None:
        framing += b"connection: upgrade\r\nupgrade: " + request.upgrade + b"\r\n"
    return b"".join((target, host_lines, request.lines, framing, b"\r\n"))
