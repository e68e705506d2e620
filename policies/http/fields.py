"""Header fields: which names have a meaning of their own, and what may stand in a value.

One rule for the whole product (RFC 9110 5, 7.6.1; RFC 9112 6): the data plane drops these names,
and no policy may be configured to write them. Names are lower case. Pure.
"""

import re

# Meant for one connection (RFC 9110 7.6.1), or made anew by whoever frames the message.
HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate",
        b"proxy-authorization", b"proxy-authentication-info", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"content-length", b"http2-settings",
    )
)  # fmt: skip

# Only the gateway may say these to an upstream: addresses, identities, rewritten targets.
RESERVED = frozenset(
    (
        b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
        b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server", b"x-forwarded-uri",
        b"x-forwarded-method", b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-forwarded-by",
        b"x-forwarded-user", b"x-forwarded-client-cert", b"x-forwarded-path",
        b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip",
        b"x-request-id", b"client-cert", b"client-cert-chain",
        b"x-original-url", b"x-original-uri", b"x-original-host", b"x-rewrite-url",
        b"x-http-method-override", b"x-http-method", b"x-method-override",
        b"x-remote-user", b"remote-user", b"proxy",
    )
)  # fmt: skip

# Said by the gateway on every request to an upstream, whatever the route.
SAID_UPSTREAM = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
     b"x-request-id", b"via", b"host", b"expect")
)  # fmt: skip

# They carry credentials: they are kept as secrets or not at all, and never copied elsewhere.
CREDENTIALS = frozenset((b"authorization", b"cookie"))

MAX_VALUE = 4096  # bytes of a value that a policy writes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")  # "_" could fold to "-" upstream
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def request_name(text: str) -> bytes:
    """The lower-case name of a line for an upstream. Raises ``ValueError`` for what is none."""
    if not _NAME.fullmatch(text):
        raise ValueError("a header name is made of letters, digits and hyphens")
    return text.lower().encode()


def response_name(text: str) -> bytes:
    """The lower-case name of a line for a client. Raises ``ValueError`` for what is none."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("a header name is made of letters, digits and hyphens")
    return text.lower().encode()


def fits(value: str) -> bool:
    """Whether a text can stand in a line as it is: printable ASCII, not empty, bounded, and
    without blanks at its ends that a recipient would strip."""
    return len(value) <= MAX_VALUE and _VALUE.fullmatch(value) is not None
