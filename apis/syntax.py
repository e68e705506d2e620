"""How hosts, paths and methods are written in a configuration. Pure; each raises ``ValueError``.

A template stands for canonical paths only: what the door would rewrite or refuse can never
match, so it is refused here, where somebody reads the message.
"""

import re

from apis.gateway.canonical import TargetRefused, canonical_path
from policies.urls import is_name_or_ipv4, web_address

_IPV6 = re.compile(r"\[[0-9a-f:.]{2,45}\]\Z")
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}\Z")
_PARAMETER = re.compile(r"\{;?[A-Za-z_][A-Za-z0-9_.-]{0,62}\}\Z")
_REST = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.-]{0,62}\*\}\Z")
_PARAMETER_NAME = re.compile(r"[^{;*}]")
_NEVER_ROUTED = frozenset({"CONNECT", "TRACE"})

MAX_PATH = 500
MAX_SEGMENTS = 64


def host_pattern(text: str) -> str:
    """``*``, ``*.example.org``, or one name or address as it stands in a Host field."""
    name = text.removeprefix("*.")
    if text == "*" or _IPV6.match(text) or ("_" not in name and is_name_or_ipv4(name)):
        return text
    raise ValueError(
        "write a host in lower case and without port: api.example.org, *.example.org, or * for all"
    )


def authority(text: str) -> str:
    """A Host as it is sent: a name or address, perhaps with a port."""
    try:
        plain = not web_address(f"http://{text}").path
    except ValueError:
        plain = False
    if not plain:
        raise ValueError("write a host as it is sent: orders.internal, or orders.internal:8080")
    return text


def server_name(text: str) -> str:
    """A name that certificates are made out to, or an address."""
    if not is_name_or_ipv4(text.lower()):
        raise ValueError("write a host name without port")
    return text


def method(text: str) -> str:
    """A method token, in capital letters."""
    if not _METHOD.match(text):
        raise ValueError("write a method in capital letters: GET, POST")
    if text in _NEVER_ROUTED:
        raise ValueError("this method is never served by the gateway")
    return text


def base_path(text: str) -> str:
    """Whole literal segments, without a slash at the end; ``/`` for none."""
    if "{" in text or "}" in text:
        raise ValueError("a base path has no parameters: put them into the routes' paths")
    if text != "/" and text.endswith("/"):
        raise ValueError("leave out the slash at the end of the base path")
    return _canonical(text)


def path_template(text: str) -> str:
    """A path whose segments are literal, ``{name}``, ``{;name}``, or at the end ``{rest*}``."""
    segments = text.split("/")[1:]
    if len(text) > MAX_PATH:
        raise ValueError(f"a path has at most {MAX_PATH} characters")
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"a path has at most {MAX_SEGMENTS} segments")
    names = [segment for segment in segments if "{" in segment or "}" in segment]
    for at, segment in enumerate(segments):
        if segment in names and not _PARAMETER.match(segment):
            if not _REST.match(segment):
                raise ValueError("a parameter is a whole segment: /items/{id}, /files/{path*}")
            if at != len(segments) - 1:
                raise ValueError("a parameter for all following segments stands at the end")
    plain = [name.strip("{;*}") for name in names]
    if len(set(plain)) != len(plain):
        raise ValueError("a parameter name stands twice in the path")
    _canonical("/".join("x" if segment in names else segment for segment in text.split("/")))
    return text


def template_shape(text: str) -> str:
    """The template without its names: two templates of one shape match the same paths."""
    segments = (
        _PARAMETER_NAME.sub("", segment) if segment.startswith("{") else segment
        for segment in text.split("/")
    )
    return "/".join(segments)


def target_url(text: str) -> str:
    """An upstream's address: http(s), host, port, and a canonical path to put in front."""
    path = web_address(text).path
    if path.rstrip("/"):
        _canonical(path.rstrip("/"))
    return text


def request_path(text: str) -> str:
    """A literal path that the gateway itself asks for."""
    return _canonical(text)


def _canonical(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("a path begins with a slash")
    try:
        canonical = canonical_path(text.encode())
    except TargetRefused as error:
        raise ValueError(f"the path is never matched. {error}") from error
    if canonical != text:
        raise ValueError(f"write the path in its canonical form: {canonical}")
    return text
