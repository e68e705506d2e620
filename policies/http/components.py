"""What a message signature covers: components of a message, by name (RFC 9421 2).

Rules of this file:
1. A component has exactly one value, or the signature that names it is refused: what is absent,
   stands twice where it may not, or is asked for with an unknown or contradicting parameter.
2. ``@path`` is the canonical path, the one by which the request is routed, before anything of it
   is stripped; ``@query`` is the query byte for byte.
3. A value that could end a line of the signature base, or is not ASCII, is refused: in the base
   it could be taken for another component.
"""

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from policies.core.values import NO_HEADERS, Headers, Request
from policies.http import structured

# Fields that ``sf`` may be asked of (RFC 9421 2.1.1: only a field whose type is known can be
# serialised strictly).
_STRUCTURED: dict[str, structured.Kind] = {
    "accept-signature": "dictionary",
    "cache-status": "list",
    "client-cert": "item",
    "client-cert-chain": "list",
    "content-digest": "dictionary",
    "priority": "dictionary",
    "proxy-status": "list",
    "repr-digest": "dictionary",
    "signature": "dictionary",
    "signature-input": "dictionary",
    "want-content-digest": "dictionary",
    "want-repr-digest": "dictionary",
}
_FLAGS = frozenset({"sf", "bs", "req", "tr"})
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e]*\Z")
_DERIVED_VALUE = re.compile(rb"[\x20-\x7e]*\Z")
_MAX_PARAMETERS = 1000
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class SignatureRefused(ValueError):
    """A signature cannot be valid; the message says why and repeats nothing of the request."""


ComponentIdentity = tuple[str, frozenset[tuple[str, Any]]]


class Component(NamedTuple):
    """A component identifier: a name and its parameters, in their order."""

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Component":
        """From a configuration: ``@method``, ``content-digest``, ``@query-param;name="id"``; the
        name may stand in quotes. Raises ``ValueError``."""
        if not text.startswith('"'):
            name, semicolon, rest = text.partition(";")
            text = f'"{name}"{semicolon}{rest}'
        value, parameters = structured.parse([text.encode()], "item")
        if not isinstance(value, str):
            raise SignatureRefused("a component has a name")
        return cls(value, tuple(parameters.items())).checked()

    def checked(self) -> "Component":
        """Itself. Raises ``SignatureRefused`` if no message can have such a component."""
        parameters = dict(self.parameters)
        for name in _FLAGS & parameters.keys():
            if parameters[name] is not True:
                raise SignatureRefused("a flag of a component has no value")
        if self.name.startswith("@"):
            allowed = {"req", "name"} if self.name == "@query-param" else {"req"}
            if self.name not in _DERIVED:
                raise SignatureRefused("a derived component is unknown")
            if (self.name == "@query-param") != isinstance(parameters.get("name"), str):
                raise SignatureRefused("@query-param, and it alone, takes a name")
        else:
            allowed = {"sf", "key", "bs", "req", "tr"}
            if not _FIELD_NAME.match(self.name):
                raise SignatureRefused("a covered field has no name in lower case")
            if "key" in parameters and not isinstance(parameters["key"], str):
                raise SignatureRefused("the key of a component is a text")
            if "bs" in parameters and not parameters.keys().isdisjoint({"sf", "key"}):
                raise SignatureRefused("a component cannot be bytes and structured at once")
        if not parameters.keys() <= allowed:
            raise SignatureRefused("a component has a parameter that it does not take")
        return self

    @property
    def identity(self) -> ComponentIdentity:
        """What makes it this component: the order of parameters does not (RFC 9421 2)."""
        return self.name, frozenset(self.parameters)

    @property
    def text(self) -> str:
        """As it stands in a signature base."""
        return _text(self)


@lru_cache(maxsize=512)
def _text(component: Component) -> str:
    return structured.serialised((component.name, dict(component.parameters)))


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request as its signature sees it.

    ``authority`` is ``Host`` as it was sent, ``path`` is canonical, ``query`` raw without ``?``.
    """

    method: str
    scheme: str
    authority: str
    path: str
    query: bytes | None
    headers: Headers
    trailers: Headers = NO_HEADERS

    @classmethod
    def of(cls, request: Request) -> "RequestMessage":
        scheme = "https" if request.secure else "http"
        authority = (request.headers.get(b"host") or b"").decode("latin-1")
        return cls(
            request.method,
            scheme,
            authority,
            request.path,
            request.query,
            request.headers,
        )


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """A response, and the request that it answers."""

    status: int
    headers: Headers
    request: RequestMessage | None = None
    trailers: Headers = NO_HEADERS


Message = RequestMessage | ResponseMessage


def signature_base(
    components: Iterable[Component], parameters_text: str, message: Message
) -> bytes:
    """What is signed (RFC 9421 2.5). Raises ``SignatureRefused``."""
    lines = [
        component.text.encode() + b": " + component_value(component, message)
        for component in components
    ]
    lines.append(b'"@signature-params": ' + parameters_text.encode())
    return b"\n".join(lines)


def component_value(component: Component, message: Message) -> bytes:
    """The value of a checked component. Raises ``SignatureRefused``."""
    parameters = dict(component.parameters)
    if "req" in parameters:
        if not isinstance(message, ResponseMessage) or message.request is None:
            raise SignatureRefused("a component of the request is covered where there is none")
        message = message.request
    if component.name.startswith("@"):
        value = _DERIVED[component.name](message, parameters)
        allowed = _DERIVED_VALUE
    else:
        value = _field_value(component.name, parameters, message)
        allowed = _FIELD_VALUE
    if not allowed.match(value):
        raise SignatureRefused("a covered component holds characters that cannot be signed")
    return value


def _field_value(name: str, parameters: dict[str, Any], message: Message) -> bytes:
    section = message.trailers if "tr" in parameters else message.headers
    lines = [line.strip(b" \t") for line in section.all(name.encode())]
    if not lines:
        raise SignatureRefused("a covered field is absent")
    if name == "set-cookie" and len(lines) > 1 and "bs" not in parameters:
        raise SignatureRefused("Set-Cookie lines cannot be joined: cover them with bs")
    if "bs" in parameters:
        return b", ".join(b":" + base64.b64encode(line) + b":" for line in lines)
    try:
        if "key" in parameters:
            member = structured.dictionary(lines).get(parameters["key"])
            if member is None:
                raise SignatureRefused("a covered member of a field is absent")
            # A list of one member is written as the member is: also an inner list, also true.
            return structured.serialised([member]).encode()
        if "sf" in parameters:
            return _strictly(name, lines)
    except structured.FieldRefused as error:
        raise SignatureRefused("a covered structured field is not well-formed") from error
    return b", ".join(lines)


def _strictly(name: str, lines: list[bytes]) -> bytes:
    kind = _STRUCTURED.get(name)
    if kind is None:
        raise SignatureRefused("a field covered with sf is not known to be structured")
    return structured.serialised(structured.parse(lines, kind)).encode()


def _of_request(
    value: Callable[[RequestMessage], str],
) -> Callable[[Message, dict[str, Any]], bytes]:
    def derive(message: Message, parameters: dict[str, Any]) -> bytes:
        return value(_request(message)).encode("latin-1")

    return derive


def _request(message: Message) -> RequestMessage:
    if not isinstance(message, RequestMessage):
        raise SignatureRefused("a component of requests is covered in a response")
    return message


def _target(message: RequestMessage) -> str:
    query = "" if message.query is None else f"?{message.query.decode('latin-1')}"
    return message.path + query


def _authority(message: RequestMessage) -> str:
    """In lower case and without the scheme's default port (RFC 9421 2.2.3)."""
    default = _DEFAULT_PORTS.get(message.scheme, "")
    return message.authority.lower().removesuffix(default)


def _query(message: RequestMessage) -> str:
    return f"?{(message.query or b'').decode('latin-1')}"


def _query_param(message: Message, parameters: dict[str, Any]) -> bytes:
    """One parameter of the query, decoded and encoded again (RFC 9421 2.2.8)."""
    query = (_request(message).query or b"").decode("latin-1")
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:
        raise SignatureRefused("the query of a covered parameter cannot be read") from error
    values = [value for name, value in pairs if _form_encoded(name) == parameters["name"]]
    if len(values) != 1:
        raise SignatureRefused("a covered query parameter does not stand exactly once in the query")
    return _form_encoded(values[0]).encode()


def _form_encoded(text: str) -> str:
    """Percent-encoded but for the characters that WHATWG URL leaves in forms (1.3)."""
    return quote(text, safe="*").replace("~", "%7E")


def _status(message: Message, parameters: dict[str, Any]) -> bytes:
    if not isinstance(message, ResponseMessage):
        raise SignatureRefused("a component of responses is covered in a request")
    return b"%d" % message.status


_DERIVED: dict[str, Callable[[Message, dict[str, Any]], bytes]] = {
    "@method": _of_request(lambda message: message.method),
    "@target-uri": _of_request(lambda m: f"{m.scheme}://{m.authority}{_target(m)}"),
    "@authority": _of_request(_authority),
    "@scheme": _of_request(lambda message: message.scheme),
    "@request-target": _of_request(_target),
    "@path": _of_request(lambda message: message.path),
    "@query": _of_request(_query),
    "@query-param": _query_param,
    "@status": _status,
}
