"""``jwt``: who calls is proven by a token of an OpenID provider (RFC 6750, RFC 7519).

The token stands in one header, or in one cookie where the route names one; never in the query
(RFC 9700 4.3.2). Whether it is genuine is for ``Services.tokens`` to say; this policy asks
further what only the route can know: scopes, narrower audiences, claims, a longest lifetime.
Texts are compared as they are: "admin" is not "administrator", and case is never folded.
"""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote_to_bytes

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

from policies.core.config import PolicyConfig
from policies.core.policy import IdentityPolicy, Proven
from policies.core.services import Services
from policies.core.values import Call, Deny, Headers, Identity
from policies.core.values import Field as HeaderField

_REALM = 'Bearer realm="gatehouse"'
_PARAMETERS = re.compile(rb"[&;]")

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")  # RFC 6749 3.3
_WORD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token of RFC 9110 5.6.2


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError("a scope is one word of printable ASCII without quotes and backslashes")
    return text


def _header(text: str) -> str:
    if not _WORD.fullmatch(text) or "_" in text:
        raise ValueError("a header name is made of letters, digits and hyphens")
    return text


def _word(text: str) -> str:
    if text and not _WORD.fullmatch(text):
        raise ValueError("use letters, digits and hyphens")
    return text


def _claim_values(value: Any) -> Any:
    values = value if isinstance(value, (list, tuple)) else [value]
    if not all(type(item) in (bool, int, str) for item in values):
        raise ValueError("give a text, a whole number, true or false, or a list of these")
    return value


Scope = Annotated[str, AfterValidator(_scope)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Scalar = StrictBool | StrictInt | StrictStr
ClaimValues = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(_claim_values)]


class JwtConfig(PolicyConfig):
    """Options of ``jwt``."""

    providers: tuple[Text, ...] = Field(
        min_length=1,
        max_length=100,
        title="Providers",
        description="Names of the providers whose tokens are accepted.",
    )
    audiences: tuple[Text, ...] = Field(
        default=(),
        max_length=100,
        title="Audiences",
        description="The token must be meant for one of these as well as for one of its "
        "provider's own audiences. Empty: the provider's own suffice.",
    )
    scopes: tuple[Scope, ...] = Field(
        default=(), max_length=100, title="Scopes", description="The token must hold all of these."
    )
    any_scope: tuple[Scope, ...] = Field(
        default=(),
        max_length=100,
        title="Any scope",
        description="The token must hold at least one of these.",
    )
    claims: dict[Text, ClaimValues] = Field(
        default={},
        max_length=100,
        title="Claims",
        description="Claims and the value, or the values, of which each must have one. A claim "
        "that is a list must contain one of them.",
    )
    header: Annotated[str, AfterValidator(_header)] = Field(
        default="Authorization",
        title="Header",
        description="The request header that carries the token.",
    )
    scheme: Annotated[str, AfterValidator(_word)] = Field(
        default="Bearer",
        title="Scheme",
        description="The word before the token. Empty: the header holds the token alone.",
    )
    cookie: Annotated[str, Field(min_length=1), AfterValidator(_word)] | None = Field(
        default=None,
        title="Cookie",
        description="A cookie that may carry the token instead of the header.",
    )
    max_lifetime: int | None = Field(
        default=None,
        ge=1,
        le=366 * 24 * 3600,
        title="Longest lifetime",
        description="Seconds that may lie between a token's iat and exp; it must then have both.",
    )


def _challenge(error: str = "", description: str = "", scope: str = "") -> tuple[HeaderField, ...]:
    """``WWW-Authenticate`` (RFC 6750 3), of texts that are ours or checked by the config."""
    parts = {"error": error, "error_description": description, "scope": scope}
    given = "".join(f', {name}="{value}"' for name, value in parts.items() if value)
    return ((b"www-authenticate", (_REALM + given).encode()),)


_MISSING = Deny("credentials_missing", "Present an access token.", fields=_challenge())
_AMBIGUOUS = Deny(
    "credentials_ambiguous",
    "Present the access token once, in one place.",
    fields=_challenge("invalid_request"),
)
_AUDIENCE = Deny("token_audience", "The token is not meant for this route.")
_CLAIM = Deny("claim_refused", "A claim of the token is not one that this route accepts.")
_LIFETIME = Deny("claim_refused", "The token lives longer than this route accepts.")


class Jwt(IdentityPolicy):
    """Proves the caller by a provider's token."""

    kind = "jwt"
    Config: ClassVar[type[PolicyConfig]] = JwtConfig
    summary = "Requires a token of an OpenID provider."

    def __init__(self, config: JwtConfig, services: Services) -> None:
        """Raises ``ValueError`` for a provider that is not registered."""
        for name in config.providers:
            try:
                services.tokens.provider(name)
            except KeyError:
                raise ValueError(f"provider {name!r} is not registered") from None
        self._recall = services.tokens.recall
        self._verify = services.tokens.verify
        self._providers = config.providers
        self._header = config.header.lower().encode()
        self._scheme = config.scheme.lower().encode()
        self._start = f"{config.scheme} ".encode() if config.scheme else b""
        self._cookie = config.cookie.encode() if config.cookie is not None else None
        self.consumes = frozenset((self._header,))
        self.cookies = frozenset((config.cookie,)) if config.cookie is not None else frozenset()
        self._audiences = frozenset(config.audiences)
        self._scopes = frozenset(config.scopes)
        self._any_scope = frozenset(config.any_scope)
        self._claims = tuple((name, _typed(value)) for name, value in config.claims.items())
        self._max_lifetime = config.max_lifetime
        needed = " ".join((*config.scopes, *config.any_scope))
        self._insufficient = Deny(
            "insufficient_scope",
            "The token lacks a scope that this route requires.",
            fields=_challenge("insufficient_scope", scope=needed),
        )

    def credential(self, call: Call) -> bytes | Deny | None:
        headers = call.request.headers
        value = headers.get(self._header)
        token = None
        if value is not None:
            if headers.repeats and len(headers.all(self._header)) > 1:
                return _AMBIGUOUS
            if self._start and value.startswith(self._start):  # as nearly everybody writes it
                token = value[len(self._start) :]
            else:
                token = self._after_scheme(value)
        if self._cookie is not None:
            found = _cookie_values(headers, self._cookie)
            if len(found) + (token is not None) > 1:
                return _AMBIGUOUS
            token = found[0] if found else token
        query = call.request.query
        if token is not None and query is not None and _holds_access_token(query):
            return _AMBIGUOUS
        return token

    def identify(self, call: Call, credential: bytes) -> Proven | Awaitable[Proven]:
        call.token = credential
        verdict = self._recall(self._providers, credential, call.now)
        return self._verified(call, credential) if verdict is None else self._judge(verdict)

    async def _verified(self, call: Call, credential: bytes) -> Proven:
        return self._judge(await self._verify(self._providers, credential, call.now))

    def _judge(self, verdict: Proven) -> Proven:
        """What this route says of what the token proves."""
        if isinstance(verdict, Deny):
            return _refused(verdict)
        if self._audiences and self._audiences.isdisjoint(verdict.audiences):
            return _refused(_AUDIENCE)
        if self._claims and not self._has_claims(verdict.claims):
            return _CLAIM
        if self._max_lifetime is not None and _lifetime(verdict.claims) > self._max_lifetime:
            return _LIFETIME
        if not self._scopes <= verdict.scopes or (
            self._any_scope and self._any_scope.isdisjoint(verdict.scopes)
        ):
            return self._insufficient
        return verdict

    def missing(self) -> Deny | Identity:
        return _MISSING

    def _after_scheme(self, value: bytes) -> bytes | None:
        """What follows the scheme and exactly one space; None for another scheme.

        A malformed remainder is returned as it is, or empty: no verifier accepts it.
        """
        scheme = self._scheme
        if not scheme:
            return value or None
        size = len(scheme)
        if value[:size].lower() != scheme:
            return None
        following = value[size : size + 1]
        if following == b" ":
            return value[size + 1 :]
        return None if following > b" " and following not in b',"=' else b""

    def _has_claims(self, claims: Mapping[str, Any]) -> bool:
        return all(not _typed(claims.get(name)).isdisjoint(wanted) for name, wanted in self._claims)


def _lifetime(claims: Mapping[str, Any]) -> float:
    """Seconds from issue to expiry; without an iat nobody knows how many."""
    return float(claims["exp"] - claims.get("iat", float("-inf")))


def _typed(value: Any) -> frozenset[tuple[type, Any]]:
    """Scalars with their types: in Python 1 equals true, in a claim it does not."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return frozenset((type(item), item) for item in values if type(item) in (str, int, bool))


def _refused(deny: Deny) -> Deny:
    """A refusal with its challenge; what is not the caller's fault needs none."""
    if deny.refusal.status != 401:
        return deny
    return replace(deny, fields=_challenge("invalid_token", deny.detail))


def _cookie_values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a cookie (RFC 6265 4.2.1), as it stands."""
    pairs = [
        pair.strip(b" \t").partition(b"=")
        for line in headers.all(b"cookie")
        for pair in line.split(b";")
    ]
    return [value for key, equals, value in pairs if key == name and equals]


def _holds_access_token(query: bytes) -> bool:
    """Whether a query has a parameter ``access_token`` (RFC 6750 2.3), however it is spelt."""
    if b"access_token" not in query and b"%" not in query:
        return False
    names = (part.partition(b"=")[0] for part in _PARAMETERS.split(query))
    return any(unquote_to_bytes(name) == b"access_token" for name in names)
