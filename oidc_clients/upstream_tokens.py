"""The tokens with which the gateway calls upstreams: got from providers, kept, renewed (D3).

Theory of operation. A wanted token (``policies.core.gateway_identity.Wanted``) is a ``_Token``,
which keeps one ``Granted`` for each subject: the caller's very token, by its hash, or nobody. While
one is in memory a call costs a look-up. When three quarters of its life are over the next call has
it renewed in the background; only when there is none a call waits, and then all calls of the
process wait for one job. Jobs of several workers take turns under a lease in shared state, where
what was granted is left for the others, sealed: so there is one request to the provider for all of
them.

Rules of this file:
1. What failed is tried again after ``RETRY`` seconds, what the provider refused to exchange
   after ``REFUSED_SECONDS``: for that subject alone, so that nobody fails for others.
2. A value that the upstream answered with 401 is dropped once: what replaces it is kept for
   ``SECOND_CHANCE`` seconds whatever the upstream says, so that an upstream that refuses
   everything cannot make us ask the provider for every call.
3. When shared state cannot answer, each process keeps these rules alone.
4. Everything is bounded: subjects remembered, jobs, threads, the time a call waits.
"""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import Any, Protocol

from oidc_clients.bounded import Bounded
from oidc_clients.client_auth import ClientCredentials, ClientUnusable
from oidc_clients.granted import Granted, NotUsable, state_name
from oidc_clients.leased import once_for_all
from oidc_clients.oauth import (
    Answer,
    Endpoints,
    Issuer,
    NotOffered,
    ProviderUnavailable,
    token_answer,
)
from oidc_clients.own_clients import OwnClients
from oidc_clients.provider import ProviderSpec
from policies.core.errors import StateUnavailable
from policies.core.gateway_identity import UpstreamToken, Wanted
from policies.core.state import State
from policies.core.values import Deny

logger = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds from a provider's failure to the next request."""
REFUSED_SECONDS = 5.0
"""Seconds for which a provider's refusal of one subject is remembered."""
SECOND_CHANCE = 60.0
"""Seconds for which a token that replaces a refused one is kept."""
PATIENCE = 8.0
"""Seconds that a call waits at most."""
LEASE = 15.0
"""Seconds: longer than discovery and a token request can take."""
MAX_SUBJECTS = 20_000
"""Subjects remembered for each wanted token and process."""
MAX_JOBS = 1000
"""Subjects of one wanted token for which the provider is asked at the same time."""
THREADS = 16

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

UNAVAILABLE = Deny(
    "provider_unavailable", "The identity provider gives no token for the API server now."
)
UNUSABLE = Deny("misconfigured", "The gateway gets no token for the API server of this route.")
NOT_EXCHANGED = Deny(
    "client_refused", "The identity provider does not exchange this token for the API server."
)

# Errors that no other caller and no other moment would mend (RFC 6749 5.2, RFC 8693 2.2.2), and
# those that pass; any other one is about the token that was to be exchanged.
_ABOUT_THE_GATEWAY = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_target"}
)
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


class Sealer(Protocol):
    """What seals values for shared state: ``policies.secrets.Keyring``."""

    def seal(self, plain: str, context: str) -> str: ...

    def open(self, stored: str, context: str) -> str: ...


class TokenStore:
    """Every wanted token of this process, across generations of the configuration."""

    def __init__(
        self,
        state: State,
        clock: Callable[[], float],
        endpoints: Endpoints,
        sealer: Sealer,
    ) -> None:
        """``clock`` gives seconds since the epoch."""
        self.state = state
        self.clock = clock
        self.endpoints = endpoints
        self.sealer = sealer
        self.holder = uuid.uuid4().hex
        self.threads = ThreadPoolExecutor(THREADS, "granted")
        self._tokens: dict[str, _Token] = {}

    def of(self, spec: ProviderSpec, client: ClientCredentials, wanted: Wanted) -> "_Token":
        """The one that is kept already, unless anything about it has changed."""
        token = _Token(self, spec, client, wanted)
        return self._tokens.setdefault(token.name, token)

    def retain(self, names: Collection[str]) -> None:
        """Forget all other tokens."""
        self._tokens = {name: token for name, token in self._tokens.items() if name in names}


class WantedTokens:
    """``policies.core.gateway_identity.UpstreamTokens`` for one generation of the configuration."""

    def __init__(self, store: TokenStore, clients: OwnClients) -> None:
        self._store = store
        self._clients = clients
        self.names: set[str] = set()

    def token(self, wanted: Wanted) -> UpstreamToken:
        """See ``policies.core.gateway_identity.UpstreamTokens``."""
        spec, client = self._clients.at(wanted.provider)
        if not spec.enabled:
            return _Off()
        token = self._store.of(spec, client, wanted)
        self.names.add(token.name)
        return token


class _Off:
    """An ``UpstreamToken`` of a provider that is switched off."""

    def held(self, subject: bytes, now: float) -> bytes | None:
        return None

    async def get(self, subject: bytes, now: float) -> bytes | Deny:
        return UNAVAILABLE

    def refused(self, subject: bytes, value: bytes, now: float) -> None:
        """There is none to drop."""


class _Token:
    """One wanted token."""

    def __init__(
        self, store: TokenStore, spec: ProviderSpec, client: ClientCredentials, wanted: Wanted
    ) -> None:
        self._store = store
        self._provider = spec.name
        self._issuer = Issuer(spec.issuer, spec.reach)
        self._client = client
        self._wanted = wanted
        parts = (spec.name, spec.issuer, spec.insecure_http, client.fingerprint, astuple(wanted))
        self.name = state_name(*parts)
        self._granted: Bounded[bytes, Granted] = Bounded(MAX_SUBJECTS)
        self._again: Bounded[bytes, float] = Bounded(MAX_SUBJECTS)  # renewed not before
        self._refusals: Bounded[bytes, tuple[Deny, float]] = Bounded(MAX_SUBJECTS)
        self._dropped: Bounded[bytes, tuple[bytes, float]] = Bounded(MAX_SUBJECTS)
        self._jobs: dict[bytes, asyncio.Task[Deny | None]] = {}

    def held(self, subject: bytes, now: float) -> bytes | None:
        """See ``policies.core.gateway_identity.UpstreamToken``."""
        key = _digest(subject)
        granted = self._granted.get(key)
        if granted is None or now >= granted.ends_at:
            return None
        if now >= granted.renew_at and now >= (self._again.get(key) or 0.0):
            self._again.put(key, now + RETRY)
            self._job(key, subject, renews=granted)
        return granted.value

    async def get(self, subject: bytes, now: float) -> bytes | Deny:
        """See ``policies.core.gateway_identity.UpstreamToken``."""
        key = _digest(subject)
        refusal = self._refusals.get(key)
        if refusal is not None and now < refusal[1]:
            return refusal[0]
        job = self._job(key, subject)
        if job is None:
            return UNAVAILABLE
        await asyncio.wait({job}, timeout=PATIENCE)
        granted = self._granted.get(key)
        if granted is not None and self._store.clock() < granted.ends_at:
            return granted.value
        return (job.result() if job.done() else None) or UNAVAILABLE

    def refused(self, subject: bytes, value: bytes, now: float) -> None:
        """See ``policies.core.gateway_identity.UpstreamToken``."""
        key = _digest(subject)
        granted = self._granted.get(key)
        if granted is None or granted.value != value:
            return  # another one has taken its place already
        dropped = self._dropped.get(key)
        if dropped is not None and now < dropped[1] + SECOND_CHANCE:
            return
        logger.warning("provider %s: an upstream refuses its token", self._provider)
        self._dropped.put(key, (value, now))
        self._granted.drop(key)

    def _job(
        self, key: bytes, subject: bytes, renews: Granted | None = None
    ) -> asyncio.Task[Deny | None] | None:
        """The job that gets a subject's token: the one that runs, or a new one, if there may be."""
        job = self._jobs.get(key)
        if job is not None and not job.done() and job.get_loop() is asyncio.get_running_loop():
            return job
        if len(self._jobs) >= MAX_JOBS:
            return None
        job = self._jobs[key] = asyncio.create_task(self._run(key, subject, renews))
        job.add_done_callback(lambda done: self._jobs.pop(key, None))
        return job

    async def _run(self, key: bytes, subject: bytes, renews: Granted | None) -> Deny | None:
        """Get it; why there is none. Raises nothing but cancellation."""
        name = state_name(self.name, key.hex())
        outcome: list[Deny] = []

        async def found() -> bool:
            return await self._adopt(name, key, renews)

        async def act() -> None:
            got = await asyncio.get_running_loop().run_in_executor(
                self._store.threads, self._ask, subject
            )
            if isinstance(got, Deny):
                self._note(key, got)
                outcome.append(got)
            else:
                self._granted.put(key, got)
                await self._leave(name, got)

        try:
            try:
                await once_for_all(
                    self._store.state,
                    f"{name}:lease",
                    self._store.holder,
                    found,
                    act,
                    LEASE,
                    PATIENCE,
                )
            except StateUnavailable:
                logger.warning("provider %s: a token without shared state", self._provider)
                if not outcome and self._usable(key, renews) is None:
                    await act()
        except Exception:
            logger.exception("provider %s: getting a token broke", self._provider)
            self._note(key, UNUSABLE)
            outcome.append(UNUSABLE)
        return outcome[0] if outcome else None

    def _usable(self, key: bytes, renews: Granted | None) -> Granted | None:
        """What is held of a subject, if it is newer than what is to be renewed."""
        granted = self._granted.get(key)
        if granted is None or self._store.clock() >= granted.ends_at:
            return None
        return None if renews is not None and granted.asked_at <= renews.asked_at else granted

    async def _adopt(self, name: str, key: bytes, renews: Granted | None) -> bool:
        """Take up what another worker was granted; whether there is one to use now."""
        if self._usable(key, renews) is not None:
            return True
        left = await self._store.state.read(name)
        if left is None:
            return False
        try:
            granted = Granted.decode(self._store.sealer.open(left.decode(), name))
        except Exception as error:  # noqa: BLE001 - sealed by another key, or not ours: get one
            logger.warning("a token in shared state is not used: %s", type(error).__name__)
            return False
        dropped = self._dropped.get(key)
        if dropped is not None and granted.value == dropped[0]:
            return False
        if renews is not None and granted.asked_at <= renews.asked_at:
            return False
        if self._store.clock() >= granted.ends_at:
            return False
        self._granted.put(key, granted)
        return True

    async def _leave(self, name: str, granted: Granted) -> None:
        try:
            sealed = self._store.sealer.seal(granted.encode(), name)
            await self._store.state.publish(name, sealed.encode(), granted.life)
        except StateUnavailable:
            logger.warning("provider %s: a token was not shared", self._provider)

    def _note(self, key: bytes, deny: Deny) -> None:
        seconds = REFUSED_SECONDS if deny is NOT_EXCHANGED else RETRY
        self._refusals.put(key, (deny, self._store.clock() + seconds))

    def _ask(self, subject: bytes) -> Granted | Deny:
        """What the provider grants. Blocks; runs in a thread."""
        asked_at = self._store.clock()
        try:
            response = self._store.endpoints.ask(
                self._issuer, "token_endpoint", self._client, self._form(subject)
            )
            answer = token_answer(response)
            if answer.status != 200:
                return self._refusal(answer)
            return Granted.of(answer.content, asked_at)
        except (ProviderUnavailable, NotUsable) as error:
            logger.warning("provider %s: no token: %s", self._provider, error)
            return UNAVAILABLE
        except (ClientUnusable, NotOffered) as error:
            logger.error("provider %s: no token: %s", self._provider, error)
            return UNUSABLE

    def _refusal(self, answer: Answer) -> Deny:
        """Whose fault an error is. Its text is the provider's: the code alone is logged."""
        if answer.error in _PASSING:
            logger.warning("provider %s: no token: %s", self._provider, answer.error)
            return UNAVAILABLE
        if self._wanted.exchange and answer.error not in _ABOUT_THE_GATEWAY:
            logger.info("provider %s: token not exchanged: %s", self._provider, answer.error)
            return NOT_EXCHANGED
        logger.error("provider %s: refuses the gateway: %s", self._provider, answer.error)
        return UNUSABLE

    def _form(self, subject: bytes) -> dict[str, Any]:
        wanted = self._wanted
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        if wanted.exchange:
            form = {
                "grant_type": EXCHANGE,
                "subject_token": subject.decode("latin-1"),
                "subject_token_type": ACCESS_TOKEN,
                "requested_token_type": ACCESS_TOKEN,
            }
        given = {
            "scope": " ".join(wanted.scopes),
            "audience": wanted.audiences,
            "resource": wanted.resources,
        }
        return form | {name: value for name, value in given.items() if value}


def _digest(subject: bytes) -> bytes:
    return hashlib.sha256(subject).digest()
