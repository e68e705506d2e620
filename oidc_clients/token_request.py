"""A token request (RFC 6749 3.2) read strictly from what a client sent. Pure.

At most 32 parameters are read. A parameter given twice, a query, two client
authentications or a body that is no flat list of texts is refused: the provider and the
gateway must not be able to read one request in two ways.

What the client may say is a closed list (``_PASSED_ON`` and the credentials of the grant);
everything else is dropped here and never reaches the provider.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote_plus, unquote_plus

from oidc_clients.strict import json_object

MAX_BODY = 16384
"""Bytes of a body; held by the listener, before it reads more."""
MAX_PARAMETERS = 32

PASSWORD = "password"
REFRESH_TOKEN = "refresh_token"
CLIENT_CREDENTIALS = "client_credentials"
GRANTS = (CLIENT_CREDENTIALS, PASSWORD, REFRESH_TOKEN)

_REQUIRED = {
    CLIENT_CREDENTIALS: (),
    PASSWORD: ("username", "password"),
    REFRESH_TOKEN: ("refresh_token",),
}
_PASSED_ON = ("scope", "audience", "resource")  # resource: RFC 8707


class OAuthError(Exception):
    """An error answer of the token endpoint (RFC 6749 5.2): 400, or 401 for the client."""

    def __init__(self, error: str, description: str) -> None:
        """``description`` is written by us, in the characters that section 5.2 allows."""
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = 401 if error == "invalid_client" else 400


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who the client says it is. Without a secret it is a public client (RFC 6749 2.1)."""

    client_id: str
    secret: str | None = field(default=None, repr=False)

    def basic(self) -> str:
        """The value of ``Authorization`` (RFC 6749 2.3.1: each half form-urlencoded first)."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret or '')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is asked for: the grant, its credentials and the parameters that are passed on."""

    grant_type: str
    parameters: Mapping[str, str] = field(repr=False)
    client: ClientCredentials | None = None
    username: str | None = field(default=None, repr=False)


def read_token_request(
    content_type: str, body: bytes, query: str, authorization: str | None
) -> TokenRequest:
    """The request. Raises ``OAuthError``."""
    if query:
        raise OAuthError("invalid_request", "Send the parameters in the body, not in the URL.")
    pairs = _pairs(content_type, body)
    values = {name: value for name, value in pairs if value}  # empty is absent (3.2)
    grant_type = values.get("grant_type", "")
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type not in GRANTS:
        raise OAuthError("unsupported_grant_type", "This grant type is not relayed.")
    client = _client(values, authorization)
    required = _REQUIRED[grant_type]
    for name in required:
        if name not in values:
            raise OAuthError("invalid_request", f"{name} is missing.")
    kept = ("grant_type", *required, *_PASSED_ON)
    return TokenRequest(
        grant_type,
        {name: values[name] for name in kept if name in values},
        client,
        values.get("username") if grant_type == PASSWORD else None,
    )


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
