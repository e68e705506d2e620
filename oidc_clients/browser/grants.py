"""What a sign-in asks of a provider: tokens for a code, and for a refresh token.

The gateway's own client asks (``oidc_clients.oauth``); what comes back is bounded and read
strictly. Every function blocks.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from oidc_clients.client_auth import ClientCredentials, ClientUnusable
from oidc_clients.compact import MAX_TOKEN_BYTES, parse
from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import FetchError, Reach
from oidc_clients.metadata import Metadata
from oidc_clients.oauth import Endpoints, Issuer, NotOffered, ProviderUnavailable, token_answer
from oidc_clients.strict import NotStrict, json_object

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_MARGIN = 60.0  # seconds before its expiry at which a token is renewed, at most
_MARGIN_PART = 0.25  # of its life


class GrantRefused(Exception):
    """The provider will not give tokens for this code or refresh token (RFC 6749 5.2).

    The message holds the error's name, and is safe to log.
    """


class GrantUnavailable(Exception):
    """The provider gave no usable answer, or does not accept the gateway's client; safe to log."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in at one provider: the gateway's client there, and how long it holds.

    ``idle`` and ``lifetime`` are in seconds.
    """

    provider: str
    issuer: str
    client: ClientCredentials
    reach: Reach
    enabled: bool = True
    scopes: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    idle: int = 1800
    lifetime: int = 28800

    @classmethod
    def of(cls, declared: Any, client: ClientCredentials, reach: Reach) -> Self:
        """From a declaration (``provider_config.ProviderConfig``) or a row, which name their
        members alike."""
        return cls(
            provider=declared.name,
            issuer=declared.issuer,
            client=client,
            reach=reach,
            enabled=declared.enabled,
            scopes=tuple(declared.scopes),
            parameters=dict(declared.sign_in_parameters),
            idle=declared.session_idle,
            lifetime=declared.session_lifetime,
        )


class Tokens(NamedTuple):
    """What a provider gave. ``renew_at`` and ``expires`` are of the access token."""

    access_token: str
    refresh_token: str
    id_token: str
    renew_at: float
    expires: float


class Grants:
    """Asks token endpoints, whose addresses are remembered for a while."""

    def __init__(self, metadata: MetadataCache) -> None:
        self._metadata = metadata
        self._endpoints = Endpoints(metadata)

    def metadata(self, sign_in: SignIn) -> Metadata:
        """The provider's metadata. Raises ``GrantUnavailable``."""
        try:
            return self._metadata.get(sign_in.issuer, sign_in.reach)
        except FetchError as error:
            raise GrantUnavailable(str(error)) from error

    def exchange(
        self, sign_in: SignIn, code: str, redirect_uri: str, verifier: str, now: float
    ) -> Tokens:
        """Tokens for a code (RFC 6749 4.1.3, RFC 7636 4.5).

        Raises ``GrantRefused`` and ``GrantUnavailable``.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return self._ask(sign_in, form, now)

    def refresh(self, sign_in: SignIn, refresh_token: str, now: float) -> Tokens:
        """Tokens for a refresh token (RFC 6749 6). Raises as ``exchange`` does."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._ask(sign_in, form, now)

    def _ask(self, sign_in: SignIn, form: dict[str, str], now: float) -> Tokens:
        issuer = Issuer(sign_in.issuer, sign_in.reach)
        try:
            response = self._endpoints.ask(issuer, "token_endpoint", sign_in.client, form)
            answer = token_answer(response)
        except (ClientUnusable, NotOffered, ProviderUnavailable) as error:
            raise GrantUnavailable(str(error)) from error
        if answer.error == "invalid_grant":
            raise GrantRefused(answer.error)
        if answer.error:
            raise GrantUnavailable(f"it refuses the gateway: {answer.error}")
        return _tokens(answer.content, now)


def _tokens(content: Mapping[str, Any], now: float) -> Tokens:
    """The tokens of an answer. Raises ``GrantUnavailable``."""
    access = _token(content, "access_token")
    if str(content.get("token_type", "")).lower() != "bearer":
        raise GrantUnavailable("its token is no bearer token")
    expires = _expiry(access, content.get("expires_in"), now)
    renew_at = expires - min(_MARGIN, max(0.0, expires - now) * _MARGIN_PART)
    refresh, id_token = _token(content, "refresh_token"), _token(content, "id_token")
    return Tokens(access, refresh, id_token, renew_at, expires)


def _token(content: Mapping[str, Any], name: str) -> str:
    """A token of the answer, empty when there is none. Raises ``GrantUnavailable``."""
    value = content.get(name)
    if value is None:
        return ""
    if (
        not isinstance(value, str)
        or len(value) > MAX_TOKEN_BYTES
        or not _PRINTABLE.fullmatch(value)
    ):
        raise GrantUnavailable(f"the {name} of its answer is none")
    return value


def _expiry(token: str, expires_in: Any, now: float) -> float:
    """When a token ends: by its own word, by the answer's, the earlier one; now if neither says.

    Only how long it is kept in use follows from it: whether it holds is verified on each call.
    """
    moments: list[Any] = [now + expires_in] if type(expires_in) in (int, float) else []
    with contextlib.suppress(NotStrict):  # an opaque token says nothing
        moments.append(json_object(parse(token.encode()).payload).get("exp"))
    return min((float(item) for item in moments if type(item) in (int, float)), default=now)
