"""Opaque tokens: what their provider says of them (RFC 7662), remembered for a while. Pure.

Theory of operation. An ``_Asked`` is one provider with the gateway's client there; it remembers
what the provider said of each token, by the hash of the token, and lives as long as neither
description changes: so nothing is shared between providers, or kept beyond a change. A call
whose token is not remembered asks, and all calls with that token wait for the one question.

Rules of this file:
1. A token holds only if ``active`` is literally true, and then only if everything else that is
   said of it would make a JWT hold: ``exp``, ``aud``, ``nbf``, the issuer where it is named, and
   that it is an access token. A refresh token is active too.
2. What was said is used for at most ``MAX_CACHE`` seconds, never beyond the token's life, and
   each route may want it newer. What a route asks of scopes is asked of it each time.
3. A provider that cannot be asked, or does not answer as RFC 7662 says, is unavailable: that is
   503, never a verdict on the token, and is not remembered of a token. For ``RETRY`` seconds
   nobody asks it again.
4. Everything is bounded: tokens remembered, questions at the same time, the time a call waits.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

from oidc_clients import claims as rules
from oidc_clients.bounded import Bounded
from oidc_clients.client_auth import ClientCredentials, ClientUnusable
from oidc_clients.compact import MAX_TOKEN_BYTES
from oidc_clients.oauth import (
    Endpoints,
    Issuer,
    NotOffered,
    ProviderUnavailable,
    introspection_answer,
)
from oidc_clients.own_clients import OwnClients
from oidc_clients.provider import ProviderSpec, media_type
from oidc_clients.revocation import NOTHING_REVOKED, RevocationBook, Revoked
from policies.core.callers import OpaqueTokens
from policies.core.values import Deny, Identity

logger = logging.getLogger(__name__)

MAX_CACHE = 60.0
"""Seconds for which an answer is used at most."""
MAX_REMEMBERED = 20_000
"""Tokens remembered for each provider and process."""
MAX_REFUSED = 4096
MAX_QUESTIONS = 500
"""Tokens of one provider about which it is asked, or waited for, at the same time."""
AT_ONCE = 16
"""Questions that one provider gets at the same time."""
THREADS = 64
RETRY = 1.0
"""Seconds from a provider's failure to the next question."""
PATIENCE = 8.0
"""Seconds that a call waits at most."""

UNAVAILABLE = Deny(
    "provider_unavailable",
    "The token's provider cannot be asked about it now.",
    fields=((b"retry-after", b"1"),),
)
INACTIVE = Deny("token_revoked", "The token is not active: expired, revoked, or never issued.")

_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1: b64token
# RFC 7662 2.2 takes token_type from RFC 6749 5.1; some say in it, or beside it, what it is for.
_KIND_MEMBERS = ("token_type", "typ", "token_use")
_ACCESS = frozenset({"bearer", "dpop", "access_token", "at+jwt"})


class _Said(NamedTuple):
    """What a provider's answer means, and when it was given."""

    verdict: rules.Accepted | Deny
    at: float

    def at_moment(self, cache: float, now: float) -> Identity | Deny | None:
        """The verdict, if it is new enough and still holds."""
        if not self.at <= now < self.at + min(cache, MAX_CACHE):
            return None
        if isinstance(self.verdict, Deny):
            return self.verdict
        return self.verdict.identity if now < self.verdict.ends else None


class Introspector:
    """Every provider that is asked about tokens, across generations of the configuration."""

    def __init__(self, endpoints: Endpoints, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since the epoch."""
        self.endpoints = endpoints
        self.clock = clock
        self.threads = ThreadPoolExecutor(THREADS, "introspection")
        self.book = NOTHING_REVOKED
        self._asked: dict[str, _Asked] = {}

    def revoke(self, book: RevocationBook) -> None:
        """Put what was taken back in force, whatever the providers say. In the event loop."""
        self.book = book
        for asked in self._asked.values():
            asked.forget_revoked()

    def of(self, spec: ProviderSpec, client: ClientCredentials) -> "_Asked":
        """The one that is kept already, unless anything about it has changed."""
        asked = _Asked(self, spec, client)
        return self._asked.setdefault(asked.name, asked)

    def retain(self, names: Collection[str]) -> None:
        """Forget what all others said."""
        self._asked = {name: asked for name, asked in self._asked.items() if name in names}


class NextIntrospection:
    """``policies.core.callers.Introspection`` for one generation of the configuration."""

    def __init__(self, introspector: Introspector, clients: OwnClients) -> None:
        self._introspector = introspector
        self._clients = clients
        self.names: set[str] = set()

    def provider(self, name: str) -> OpaqueTokens:
        """See ``policies.core.callers.Introspection``."""
        spec, client = self._clients.at(name)
        if not spec.enabled:
            return _Off()
        asked = self._introspector.of(spec, client)
        self.names.add(asked.name)
        return asked


class _Off:
    """A provider that is switched off: its tokens are nobody's."""

    def recall(self, token: bytes, cache: float, now: float) -> Identity | Deny | None:
        """See ``policies.core.callers.OpaqueTokens``."""
        return rules.ISSUER

    async def verify(self, token: bytes, cache: float, now: float) -> Identity | Deny:
        """See ``policies.core.callers.OpaqueTokens``."""
        return rules.ISSUER


class _Asked:
    """One provider that is asked about tokens, and what it said."""

    def __init__(
        self, introspector: Introspector, spec: ProviderSpec, client: ClientCredentials
    ) -> None:
        self.name = sha256(f"{spec!r} {client.fingerprint}".encode()).hexdigest()
        self._introspector = introspector
        self._spec = spec
        self._client = client
        self._accepted: Bounded[bytes, _Said] = Bounded(MAX_REMEMBERED)
        self._refused: Bounded[bytes, _Said] = Bounded(MAX_REFUSED)
        self._questions: dict[bytes, asyncio.Task[_Said | None]] = {}
        self._turns: asyncio.Semaphore | None = None
        self._silent_until = 0.0

    @property
    def _revoked(self) -> Revoked:
        return self._introspector.book.of(self._spec.issuer)

    def forget_revoked(self) -> None:
        """Remember nothing that is covered now, and no refusal: it may not be any longer."""
        revoked = self._revoked
        self._accepted.keep(
            lambda said: isinstance(said.verdict, Deny) or not revoked.covers(said.verdict.identity)
        )
        self._refused = Bounded(MAX_REFUSED)

    def recall(self, token: bytes, cache: float, now: float) -> Identity | Deny | None:
        """See ``policies.core.callers.OpaqueTokens``."""
        if len(token) > MAX_TOKEN_BYTES:
            return rules.TOO_LARGE
        digest = sha256(token).digest()
        said = self._accepted.get(digest) or self._refused.get(digest)
        return None if said is None else said.at_moment(cache, now)

    async def verify(self, token: bytes, cache: float, now: float) -> Identity | Deny:
        """See ``policies.core.callers.OpaqueTokens``."""
        known = self.recall(token, cache, now)
        if known is not None:
            return known
        if not _TOKEN.fullmatch(token):
            return rules.MALFORMED
        digest = sha256(token).digest()
        question = self._questions.get(digest)
        if question is None:
            if now < self._silent_until or len(self._questions) >= MAX_QUESTIONS:
                return UNAVAILABLE
            question = asyncio.create_task(self._ask(digest, token.decode("ascii")))
            self._questions[digest] = question
            question.add_done_callback(lambda _: self._questions.pop(digest, None))
        try:
            said = await asyncio.wait_for(asyncio.shield(question), PATIENCE)
        except TimeoutError:
            return UNAVAILABLE
        if said is None:
            return UNAVAILABLE
        if isinstance(said.verdict, Deny):
            return said.verdict
        return said.verdict.identity

    async def _ask(self, digest: bytes, token: str) -> _Said | None:
        """Ask the provider, and remember what it said; None when it said nothing usable."""
        self._turns = self._turns or asyncio.Semaphore(AT_ONCE)
        asked_at = self._introspector.clock()
        loop = asyncio.get_running_loop()
        try:
            async with self._turns:
                content = await loop.run_in_executor(
                    self._introspector.threads, self._exchange, token
                )
        except (ProviderUnavailable, ClientUnusable, NotOffered) as error:
            name = self._spec.name
            logger.warning("provider %s cannot be asked about a token: %s", name, error)
            self._silent_until = self._introspector.clock() + RETRY
            return None
        verdict = self._verdict(content, self._introspector.clock())
        # The answer is as old as the question: what was revoked since is not known to it.
        said = _Said(verdict, asked_at)
        (self._refused if isinstance(verdict, Deny) else self._accepted).put(digest, said)
        return said

    def _exchange(self, token: str) -> dict[str, Any]:
        """Blocks. Raises ``ClientUnusable``, ``NotOffered`` and ``ProviderUnavailable``."""
        spec = self._spec
        form = {"token": token, "token_type_hint": "access_token"}
        response = self._introspector.endpoints.ask(
            Issuer(spec.issuer, spec.reach), "introspection_endpoint", self._client, form
        )
        answer = introspection_answer(response)
        if answer.error:
            raise ProviderUnavailable(f"it refuses the gateway's question: {answer.error}")
        return dict(answer.content)

    def _verdict(self, content: dict[str, Any], now: float) -> rules.Accepted | Deny:
        """What an answer means (RFC 7662 2.2)."""
        if content.get("active") is not True:
            return INACTIVE
        if content.get("iss", self._spec.issuer) != self._spec.issuer:
            return rules.ISSUER
        if not is_access_token(content):
            return rules.TYPE
        accepted = rules.accept(self._spec, content, now, kind="introspection")
        if isinstance(accepted, Deny):
            return accepted
        if self._revoked.covers(accepted.identity):
            return rules.REVOKED
        # The leeway is for the provider's clock: remembered, the token ends when it says.
        return replace(accepted, ends=content["exp"])


def is_access_token(content: dict[str, Any]) -> bool:
    """Whether the provider says that it is an access token; saying nothing is not enough."""
    kinds = {_kind(content[name]) for name in _KIND_MEMBERS if name in content}
    return bool(kinds) and kinds <= _ACCESS and rules.NOT_FOR_ACCESS.isdisjoint(content)


def _kind(value: Any) -> str:
    return media_type(value) if isinstance(value, str) else ""
