"""What a browser says in a request beyond what every client does: cookies, and where from.

A cookie is sent by the browser whoever made it call. So a call that can change something and is
proven by a cookie alone must also prove that a page of this very origin made it: by
``Sec-Fetch-Site`` (Fetch Metadata), which no script can set, or by ``Origin`` (RFC 6454) where a
browser does not send the former.
"""

from policies.core.values import Headers

SESSION_COOKIE = "__Host-gatehouse_session"
"""Set over HTTPS only, for one host and all its paths (RFC 6265bis 4.1.3.2)."""
LOOPBACK_COOKIE = "gatehouse_session"
"""Its name over plain HTTP, which is served to loopback alone."""
SIGN_IN_COOKIE = "__Host-gatehouse_sign_in"
LOOPBACK_SIGN_IN_COOKIE = "gatehouse_sign_in"
"""The cookie that ties a sign-in under way to the browser that began it."""

GATEWAY_COOKIES = frozenset(
    (SESSION_COOKIE, LOOPBACK_COOKIE, SIGN_IN_COOKIE, LOOPBACK_SIGN_IN_COOKIE)
)
"""Nobody's but the gateway's: no upstream ever gets one."""

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]", "::1"))


def is_loopback(host: str) -> bool:
    """Whether a host name, without its port, means the browser's own machine."""
    return host in _LOOPBACK or host.endswith(".localhost")


def cookie_values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a cookie (RFC 6265 4.2.1), as it stands."""
    pairs = [
        pair.strip(b" \t").partition(b"=")
        for line in headers.all(b"cookie")
        for pair in line.split(b";")
    ]
    return [value for key, equals, value in pairs if key == name and equals]


def session_cookies(headers: Headers, host: str, secure: bool) -> list[bytes]:
    """Every session cookie of a request that may be believed.

    Over HTTPS, and over plain HTTP to another host than loopback, only a ``__Host-`` cookie is:
    any neighbour could have set the other one.
    """
    if b"cookie" not in headers:
        return []
    found = cookie_values(headers, SESSION_COOKIE.encode())
    if not found and not secure and is_loopback(host):
        found = cookie_values(headers, LOOPBACK_COOKIE.encode())
    return found


def changes_nothing(method: str, upgrade: bool = False) -> bool:
    """Whether a call is safe by its method (RFC 9110 9.2.1); a tunnel never is."""
    return method in _SAFE and not upgrade


def is_same_origin(headers: Headers, secure: bool) -> bool:
    """Whether a page of the origin that is called made the call, or the person themselves.

    False where the browser says nothing about it, or says it twice.
    """
    sites, origins = headers.all(b"sec-fetch-site"), headers.all(b"origin")
    if sites:
        return sites in ([b"same-origin"], [b"none"])
    scheme = b"https://" if secure else b"http://"
    return origins == [scheme + headers.get(b"host", b"")]


def is_navigation(method: str, headers: Headers) -> bool:
    """Whether a person's browser wants to show a page, and so would follow a redirect."""
    return method in ("GET", "HEAD") and shows_page(headers)


def shows_page(headers: Headers) -> bool:
    """Whether the answer is shown to a person: the window leads to it, and no script asked."""
    mode = headers.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate" and headers.get(b"sec-fetch-dest", b"document") == b"document"
    return b"text/html" in headers.get(b"accept", b"").lower()
