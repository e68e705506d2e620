"""Requests to the relay's endpoints (RFC 6749 3.2, RFC 7009 2.1, RFC 7662 2.1), read strictly
from what a client sent. Pure.

At most 32 parameters are read. A parameter given twice, a query, two client
authentications or a body that is no flat list of texts is refused: the provider and the
gateway must not be able to read one request in two ways.

What the client may say is a closed list (``_PASSED_ON`` and the credentials of the grant);
everything else is dropped here and never reaches the provider.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from oidc_clients.client_auth import ClientCredentials
from oidc_clients.strict import json_object

MAX_BODY = 16384
"""Bytes of a body; held by the listener, before it reads more."""
MAX_PARAMETERS = 32

PASSWORD = "password"
REFRESH_TOKEN = "refresh_token"
CLIENT_CREDENTIALS = "client_credentials"
AUTHORIZATION_CODE = "authorization_code"

_REQUIRED = {
    CLIENT_CREDENTIALS: (),
    PASSWORD: ("username", "password"),
    REFRESH_TOKEN: ("refresh_token",),
    AUTHORIZATION_CODE: ("code",),
}
GRANTS = tuple(_REQUIRED)
_OPTIONAL = {AUTHORIZATION_CODE: ("redirect_uri", "code_verifier")}
_PASSED_ON = ("scope", "audience", "resource")  # resource: RFC 8707
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 4.1


class OAuthError(Exception):
    """An error answer of the token endpoint (RFC 6749 5.2): 400, or 401 for the client."""

    def __init__(self, error: str, description: str) -> None:
        """``description`` is written by us, in the characters that section 5.2 allows."""
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = 401 if error == "invalid_client" else 400


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """What is asked for: the parameters that are passed on, and who asks.

    ``username`` is the person's name in a password grant.
    """

    parameters: Mapping[str, str] = field(repr=False)
    client: ClientCredentials | None = None
    username: str | None = field(default=None, repr=False)

    @property
    def grant_type(self) -> str:
        """The grant of a token request; empty for others."""
        return self.parameters.get("grant_type", "")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived: its media type, body, query and ``Authorization``."""

    content_type: str
    body: bytes = field(repr=False)
    query: str = field(default="", repr=False)
    authorization: str | None = field(default=None, repr=False)


def read_token_request(received: Received) -> EndpointRequest:
    """A request for a token. Raises ``OAuthError``."""
    values = _values(received)
    grant_type = values.get("grant_type", "")
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type not in GRANTS:
        raise OAuthError("unsupported_grant_type", "This grant type is not relayed.")
    client = _client(values, received.authorization)
    required = ("grant_type", *_REQUIRED[grant_type])
    request = _request(values, client, required, (*_OPTIONAL.get(grant_type, ()), *_PASSED_ON))
    verifier = request.parameters.get("code_verifier")
    if verifier is not None and not _VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_request", "code_verifier is not one of RFC 7636.")
    return request


def read_token_question(received: Received) -> EndpointRequest:
    """A request about a token that the client holds: to revoke or to introspect it.

    Raises ``OAuthError``.
    """
    values = _values(received)
    client = _client(values, received.authorization)
    return _request(values, client, ("token",), ("token_type_hint",))


def _values(received: Received) -> dict[str, str]:
    if received.query:
        raise OAuthError("invalid_request", "Send the parameters in the body, not in the URL.")
    pairs = _pairs(received.content_type, received.body)
    return {name: value for name, value in pairs if value}  # empty is absent (RFC 6749 3.2)


def _request(
    values: Mapping[str, str],
    client: ClientCredentials | None,
    required: tuple[str, ...],
    optional: tuple[str, ...],
) -> EndpointRequest:
    for name in required:
        if name not in values:
            raise OAuthError("invalid_request", f"{name} is missing.")
    kept = {name: values[name] for name in (*required, *optional) if name in values}
    return EndpointRequest(kept, client, kept.get("username"))


def _pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == "application/x-www-form-urlencoded":
            pairs = parse_qsl(
                body.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        elif media_type == "application/json":
            pairs = _json_pairs(body)
        else:
            raise OAuthError(
                "invalid_request", "Send application/x-www-form-urlencoded or application/json."
            )
    except ValueError as error:
        raise OAuthError("invalid_request", "The body cannot be read.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return pairs


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    """The members of one flat object of texts."""
    content = json_object(body)
    if len(content) > MAX_PARAMETERS:
        raise ValueError("too many parameters")
    if not all(isinstance(value, str) for value in content.values()):
        raise ValueError("a member is not a text")
    return list(content.items())


def _client(values: Mapping[str, str], authorization: str | None) -> ClientCredentials | None:
    """The client's credentials, by exactly one way of giving them (RFC 6749 2.3)."""
    if "client_assertion" in values or "client_assertion_type" in values:
        # Dropping it would let the gateway's own client answer in the sender's place.
        raise OAuthError("invalid_request", "Client assertions are not relayed.")
    client_id, secret = values.get("client_id"), values.get("client_secret")
    if authorization is None:
        if secret is not None and client_id is None:
            raise OAuthError("invalid_request", "client_id is missing.")
        return ClientCredentials(client_id, secret) if client_id is not None else None
    client = _from_basic(authorization)
    if secret is not None or client_id not in (None, client.client_id):
        raise OAuthError("invalid_request", "Give the client's credentials once.")
    return client


def _from_basic(authorization: str) -> ClientCredentials:
    """RFC 6749 2.3.1. Raises ``OAuthError`` for any other scheme or form."""
    scheme, _, value = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError("another scheme")
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).partition(b":")
        client = ClientCredentials(_form_decoded(client_id), _form_decoded(secret))
        if not colon or not client.client_id:
            raise ValueError("no client id")
    except (binascii.Error, ValueError) as error:
        raise OAuthError("invalid_client", "Authorization is not HTTP Basic.") from error
    return client


def _form_decoded(value: bytes) -> str:
    return unquote_plus(value.decode("ascii"), errors="strict")
