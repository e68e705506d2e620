"""The samples' browser: signed in at the provider, with a cookie that names its session."""

import asyncio
import time

from bench.provider import LIFE, NAME, OWN_CLIENT
from bench.tokens import ISSUER
from oidc_clients.browser.grants import Grants, SignIn
from oidc_clients.browser.sessions import BrowserSessions
from oidc_clients.browser.store import Session, SessionStore
from oidc_clients.endpoints import MetadataCache
from oidc_clients.fetch import Reach
from policies.core.browser import SESSION_COOKIE
from policies.core.state import State
from policies.core.values import Field
from policies.secrets import Keyring


class Browser:
    """One session, begun at once; ``sessions`` is where a worker finds it.

    It must be made outside of an event loop.
    """

    def __init__(self, state: State, keyring: Keyring, token: str) -> None:
        store = SessionStore(state, keyring, time.time)
        self.sessions = BrowserSessions(store, Grants(MetadataCache()), time.time)
        self.sessions.replace([SignIn(NAME, ISSUER, OWN_CLIENT, Reach())])
        now = time.time()
        session = Session(
            provider=NAME,
            issuer=ISSUER,
            subject="subject-1",
            created=now,
            ends=now + LIFE,
            idle=LIFE,
            access_token=token,
            renew_at=now + LIFE,
            expires=now + LIFE,
        )
        session_id = asyncio.run(store.begin(session))
        self.cookie: Field = (b"cookie", f"{SESSION_COOKIE}={session_id}".encode())
