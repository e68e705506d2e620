"""What the kinds share that are proven by an access token: ``jwt`` and ``introspection``.

The token stands in one header, or in one cookie where the route names one; never in the query
(RFC 6750, RFC 9700 4.3.2). Who verifies it is the kind's matter. Here is how it is presented,
how a refusal asks for another (RFC 6750 3), which scopes a route requires, and that a token
which is bound to a key or a certificate is taken only from who holds it
(``policies.core.sender``).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, cast
from urllib.parse import unquote_to_bytes

from pydantic import AfterValidator, Field

from policies.core.browser import cookie_values
from policies.core.credentials import HeaderName, Scope, challenge, stands_twice, word
from policies.core.policy import IdentityPolicy, Proven
from policies.core.sender import (
    DPOP_HEADER,
    DPOP_SCHEME,
    NO_PROOF,
    SenderConfig,
    SenderConstraint,
)
from policies.core.services import Services
from policies.core.values import PASS, Call, Deny, Headers, Identity, Pass

Recall = Callable[[bytes, float], Proven | None]
Verify = Callable[[bytes, float], Awaitable[Proven]]

_BOUND = "bound"
_PARAMETERS = re.compile(rb"[&;]")


class BearerConfig(SenderConfig):
    """Options of every kind that is proven by an access token."""

    scopes: tuple[Scope, ...] = Field(
        default=(), max_length=100, title="Scopes", description="The token must hold all of these."
    )
    any_scope: tuple[Scope, ...] = Field(
        default=(),
        max_length=100,
        title="Any scope",
        description="The token must hold at least one of these.",
    )
    header: HeaderName = Field(
        default="Authorization",
        title="Header",
        description="The request header that carries the token.",
    )
    scheme: Annotated[str, AfterValidator(word)] = Field(
        default="Bearer",
        title="Scheme",
        description="The word before the token. Empty: the header holds the token alone.",
    )
    cookie: Annotated[str, Field(min_length=1), AfterValidator(word)] | None = Field(
        default=None,
        title="Cookie",
        description="A cookie that may carry the token instead of the header.",
    )


_AMBIGUOUS = Deny(
    "credentials_ambiguous",
    "Present the access token once, in one place.",
    fields=challenge("Bearer", error="invalid_request"),
)


class BearerPolicy(IdentityPolicy):
    """Proves the caller by an access token. A kind says how one is verified."""

    def __init__(
        self, config: BearerConfig, services: Services, recall: Recall, verify: Verify
    ) -> None:
        """``verify`` gives the identity that a token proves at a moment, or why it proves none;
        ``recall`` gives the same where it is known without waiting, else None."""
        self._recall, self._verify = recall, verify
        self._header = config.header.lower().encode()
        self._scheme = config.scheme.lower().encode()
        self._usual = config.scheme.encode() or None  # as nearly everybody writes it
        self._cookie = config.cookie.encode() if config.cookie is not None else None
        self.cookies = frozenset((config.cookie,)) if config.cookie is not None else frozenset()
        self._scopes = frozenset(config.scopes)
        self._any_scope = frozenset(config.any_scope)
        self._asked = repr(config)
        self._sender = SenderConstraint(config, services, self._header)
        self._always = self._sender.demands or self._scheme == DPOP_SCHEME
        self.consumes = frozenset((self._header, DPOP_HEADER))
        self._missing = Deny(
            "credentials_missing", "Present an access token.", fields=self._sender.challenge()
        )
        self._insufficient = Deny(
            "insufficient_scope",
            "The token lacks a scope that this route requires.",
            fields=challenge(
                "Bearer",
                error="insufficient_scope",
                scope=" ".join((*config.scopes, *config.any_scope)),
            ),
        )

    def objection(self, identity: Identity) -> Deny | None:
        """What else this route asks of the token, and it does not have: by the config alone."""
        return None

    def credential(self, call: Call) -> bytes | Deny | None:
        request = call.request
        headers = request.headers
        value = headers.get(self._header)
        token: bytes | None = None
        if value is not None:
            if headers.repeats and stands_twice(headers, self._header):
                return _AMBIGUOUS
            scheme, _, token = value.partition(b" ")
            if scheme != self._usual:
                found_there = self._in_header(value, headers)
                if isinstance(found_there, Deny):
                    return found_there
                token = found_there
        if self._cookie is not None:
            found = cookie_values(headers, self._cookie)
            if len(found) + (token is not None) > 1:
                return _AMBIGUOUS
            token = found[0] if found else token
        query = request.query
        if query is not None and token is not None and _holds_access_token(query):
            return _AMBIGUOUS
        return token

    def identify(self, call: Call, credential: bytes) -> Proven | Awaitable[Proven]:
        verdict = self._recall(credential, call.now)
        if verdict is None:
            return self._verified(call, credential)
        return self._judge(call, credential, verdict)

    def missing(self) -> Deny | Identity:
        return self._missing

    async def _verified(self, call: Call, credential: bytes) -> Proven:
        verdict = await self._verify(credential, call.now)
        judged = self._judge(call, credential, verdict)
        return judged if isinstance(judged, Identity | Deny) else await judged

    def _judge(self, call: Call, token: bytes, verdict: Proven) -> Proven | Awaitable[Proven]:
        """What this route says of what the token proves."""
        if isinstance(verdict, Deny):
            return refused(verdict)
        standing = verdict.prepared(self._asked, self._standing)
        if standing is _BOUND or call.request.headers.get(DPOP_HEADER) is not None:
            return self._bound(call, token, verdict)
        if standing is not PASS:
            return cast(Deny, standing)
        call.token = token
        return verdict

    async def _bound(self, call: Call, token: bytes, identity: Identity) -> Proven:
        refusal = await self._sender.refusal(call, token, identity) or self._refusal(identity)
        if refusal is not None:
            return refusal
        call.token = token
        return identity

    def _standing(self, identity: Identity) -> Deny | Pass | str:
        """What this route says of a token whoever brings it: it depends on the caller too
        (``_BOUND``), it is refused, or it is good."""
        if self._always or "cnf" in identity.claims:
            return _BOUND
        return self._refusal(identity) or PASS

    def _refusal(self, identity: Identity) -> Deny | None:
        """Why the route takes no token of this identity."""
        refusal = self.objection(identity)
        if refusal is not None:
            return refusal
        if not self._scopes <= identity.scopes or (
            self._any_scope and self._any_scope.isdisjoint(identity.scopes)
        ):
            return self._insufficient
        return None

    def _in_header(self, value: bytes, headers: Headers) -> bytes | Deny | None:
        """The token of a header, its scheme in any case; None for another scheme.

        ``DPoP`` (RFC 9449 7.1) stands beside ``Bearer``, and needs its proof.
        """
        if not self._scheme:
            return value or None
        token = _after(self._scheme, value)
        if token is not None or self._scheme != b"bearer":
            return token
        token = _after(DPOP_SCHEME, value)
        if token is not None and len(headers.all(DPOP_HEADER)) != 1:
            return NO_PROOF
        return token


def refused(deny: Deny) -> Deny:
    """A refusal with its challenge; what is not the caller's fault needs none."""
    if deny.refusal.status != 401:
        return deny
    said = challenge("Bearer", error="invalid_token", error_description=deny.detail)
    return replace(deny, fields=said)


def _after(scheme: bytes, value: bytes) -> bytes | None:
    """What follows a scheme (lower case) and exactly one space; None for another scheme.

    A malformed remainder is returned as it is, or empty: no verifier accepts it.
    """
    size = len(scheme)
    if value[:size].lower() != scheme:
        return None
    following = value[size : size + 1]
    if following == b" ":
        return value[size + 1 :]
    return None if following > b" " and following not in b',"=' else b""


def _holds_access_token(query: bytes) -> bool:
    """Whether a query has a parameter ``access_token`` (RFC 6750 2.3), however it is spelt."""
    if b"access_token" not in query and b"%" not in query:
        return False
    names = (part.partition(b"=")[0] for part in _PARAMETERS.split(query))
    return any(unquote_to_bytes(name) == b"access_token" for name in names)
