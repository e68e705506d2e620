"""Configured addresses: an http(s) URL taken apart and checked, before anybody connects to it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_CHARACTERS = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The parts of a URL that has nothing but scheme, host, port and path."""

    scheme: str
    host: str  # lower case; an IPv6 address without brackets
    port: int
    path: str  # as written, "" or beginning with a slash

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host as an IP address; None for a name, which is resolved when it is used."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine by its very name."""
        literal = self.literal
        return self.host == "localhost" if literal is None else literal.is_loopback


def web_address(url: str) -> WebAddress:
    """Take a configured URL apart.

    Raises ``ValueError``, with a message for the administrator, for anything but http(s), for
    userinfo, query or fragment, for characters outside RFC 3986, and for a host that is
    neither a name nor an address.
    """
    if not _CHARACTERS.match(url) or any(mark in url for mark in '\\"<>^`{|}'):
        raise ValueError("the URL holds characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("the URL is malformed: check the host and the port") from error
    if parts.scheme not in PORTS:
        raise ValueError("the URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("the URL must not hold a user name or password")
    if "?" in url or "#" in url:
        raise ValueError("the URL must not have a query or fragment")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the URL has an empty or impossible port")
    host = (parts.hostname or "").lower()
    if not _is_host(host, bracketed="[" in parts.netloc):
        raise ValueError("the URL has no valid host")
    return WebAddress(parts.scheme, host, port or PORTS[parts.scheme], parts.path)


def _is_host(host: str, bracketed: bool) -> bool:
    if bracketed:
        try:
            return ip_address(host).version == 6 and "%" not in host
        except ValueError:
            return False
    return is_name_or_ipv4(host)


def is_name_or_ipv4(host: str) -> bool:
    """Whether a lower-case host is a name, or an IPv4 address in its one plain form."""
    if not _NAME.match(host):
        return False
    # A last label of digits makes it an address to resolvers (WHATWG URL 3.5): 0x7f.1, 127.1.
    last = host.rpartition(".")[2]
    if last.isdigit() or re.match(r"0x[0-9a-f]*\Z", last):
        try:
            return ip_address(host).version == 4
        except ValueError:
            return False
    return True
