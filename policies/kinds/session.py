"""``session``: who calls is proven by the cookie of a browser that signed in at a provider.

The cookie is only a name: the token it stands for is kept by the gateway (``Services.sessions``),
is renewed there, and is verified like any other on each call. Because browsers send cookies
whoever made them call, a call that is not safe by its method must prove its origin
(``policies.core.browser``).
"""

from typing import ClassVar
from urllib.parse import quote

from pydantic import Field

from policies.core.browser import (
    LOOPBACK_COOKIE,
    SESSION_COOKIE,
    changes_nothing,
    is_navigation,
    is_same_origin,
    session_cookies,
)
from policies.core.config import Name, PolicyConfig
from policies.core.credentials import Scope
from policies.core.errors import StateUnavailable
from policies.core.policy import IdentityPolicy
from policies.core.services import Services
from policies.core.upstream_token import AUTHORIZATION
from policies.core.values import Answer, Call, Deny, Identity

_MAX_TARGET = 2000  # characters of the page to come back to

_MISSING = Deny("credentials_missing", "Sign in first: this route needs a session.")
_AMBIGUOUS = Deny("credentials_ambiguous", "Present one session: several were found.")
_ORIGIN = Deny(
    "session_invalid",
    "A call that can change something must come from a page of this origin.",
)
_BOUND = Deny("session_invalid", "The session's token is bound to a key that is not ours.")
_NO_STATE = Deny("state_unavailable", "Sessions cannot be read now; try again.")


class SessionConfig(PolicyConfig):
    """Options of ``session``."""

    provider: Name = Field(
        title="Provider", description="Name of the provider at which people sign in."
    )
    scopes: tuple[Scope, ...] = Field(
        default=(),
        max_length=100,
        title="Scopes",
        description="The session's token must hold all of these.",
    )
    redirect: bool = Field(
        default=False,
        title="Redirect",
        description="Send a browser that shows a page to the sign-in, and back afterwards; "
        "every other caller is refused.",
    )
    forward_token: bool = Field(
        default=False,
        title="Forward the token",
        description="The upstream gets the session's token as Authorization: Bearer.",
    )


class Session(IdentityPolicy):
    """Proves the caller by a browser session."""

    kind = "session"
    Config: ClassVar[type[PolicyConfig]] = SessionConfig
    summary = "Requires a browser that signed in at an OpenID provider."
    cookies = frozenset((SESSION_COOKIE, LOOPBACK_COOKIE))

    def __init__(self, config: SessionConfig, services: Services) -> None:
        """Raises ``ValueError`` for a provider at which nobody can sign in."""
        try:
            services.tokens.provider(config.provider)
        except KeyError:
            raise ValueError(f"provider {config.provider!r} is not registered") from None
        if not services.sessions.signs_in(config.provider):
            raise ValueError(
                f"provider {config.provider!r} has no client: browsers cannot sign in there"
            )
        self._sessions = services.sessions
        self._verify = services.tokens.verify
        self._provider = config.provider
        self._scopes = frozenset(config.scopes)
        self._redirect = config.redirect
        self._forward = config.forward_token
        if config.forward_token:
            self.writes = self.drops = frozenset((AUTHORIZATION,))
        self._sign_in = f"/auth/{config.provider}/login?next="
        self._insufficient = Deny(
            "insufficient_scope", "The session's token lacks a scope that this route requires."
        )

    def credential(self, call: Call) -> bytes | Deny | None:
        request = call.request
        found = session_cookies(request.headers, request.host, request.secure)
        if not found:
            return None
        return found[0] if len(found) == 1 else _AMBIGUOUS

    async def identify(self, call: Call, credential: bytes) -> Identity | Deny:
        request = call.request
        if not changes_nothing(request.method, request.upgrade) and not is_same_origin(
            request.headers, request.secure
        ):
            return _ORIGIN
        try:
            token = await self._sessions.token(self._provider, credential, call.now)
        except StateUnavailable:
            return _NO_STATE
        if isinstance(token, Deny):
            return token
        verdict = await self._verify((self._provider,), token, call.now)
        if isinstance(verdict, Deny):
            return _refused(verdict)
        if "cnf" in verdict.claims:  # RFC 7800: whoever bears it must prove a key as well
            return _BOUND
        if not self._scopes <= verdict.scopes:
            return self._insufficient
        call.token = token
        if self._forward:
            call.upstream_fields.append((AUTHORIZATION, b"Bearer " + token))
        return verdict

    def missing(self) -> Deny | Identity:
        return _MISSING

    def invite(self, call: Call, deny: Deny) -> Answer | None:
        """A redirect to sign-in, for a page, and only where signing in anew would help."""
        request = call.request
        if not self._redirect or deny.refusal.status != 401:
            return None
        if request.upgrade or not is_navigation(request.method, request.headers):
            return None
        target = request.path
        if request.query is not None:
            target += "?" + request.query.decode("latin-1")
        target = target if len(target) <= _MAX_TARGET else request.path[:_MAX_TARGET]
        location = self._sign_in + quote(target, safe="/")
        fields = ((b"location", location.encode()), (b"cache-control", b"no-store"))
        return Answer(302, (*fields, (b"vary", b"Cookie, Sec-Fetch-Mode, Accept")))


def _refused(deny: Deny) -> Deny:
    """A token that no longer proves anybody ends in a session that does not; a dependency's
    failure stays what it is."""
    if deny.refusal.status != 401:
        return deny
    return Deny("session_invalid", f"The session's token is refused: {deny.detail}")
