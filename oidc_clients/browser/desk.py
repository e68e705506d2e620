"""What the sign-in pages of one process work with: sessions, sign-ins under way, verification.

The console process is not on the request path: a provider's description is read from the
database each time, and what is made of it is kept for as long as it stays the same.
"""

import threading
import time
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from oidc_clients.browser.grants import Grants, SignIn
from oidc_clients.browser.id_tokens import Verifier
from oidc_clients.browser.login import Logins
from oidc_clients.browser.store import SessionStore
from oidc_clients.endpoints import MetadataCache
from oidc_clients.keystore import KeyStore
from oidc_clients.models import Provider
from oidc_clients.provider import ProviderSpec
from oidc_clients.rows import client_of, spec_of
from oidc_clients.tokens import ProviderTokens
from policies.core.state import State
from policies.secrets import Keyring
from policies.stores.open import open_state


class Party(NamedTuple):
    """One provider at which people sign in, ready to be asked."""

    sign_in: SignIn
    spec: ProviderSpec
    verifier: Verifier
    tokens: ProviderTokens


class Desk:
    """One process's."""

    def __init__(self, state: State, keyring: Keyring) -> None:
        self.state = state
        self.sessions = SessionStore(state, keyring, time.time)
        self.logins = Logins(state, keyring)
        self.grants = Grants(MetadataCache())
        self._parties: dict[str, Party] = {}
        self._lock = threading.Lock()

    def party(self, name: str) -> Party | None:
        """The provider of that name; None where nobody can sign in. Asks the database.

        Raises ``SecretUnreadable``, and ``ValueError`` for a provider that cannot be used.
        """
        row = Provider.objects.filter(name=name, enabled=True).select_related("client").first()
        if row is None:
            return None
        client = client_of(row)
        if client is None:
            return None
        spec = spec_of(row, settings.ENVIRONMENT.allow_private_upstreams)
        return self.kept(name, SignIn.of(row, client, spec.reach), spec)

    def kept(self, name: str, sign_in: SignIn, spec: ProviderSpec) -> Party:
        """The party of that name, made anew where anything about it has changed."""
        with self._lock:
            party = self._parties.get(name)
            if party is None or (party.sign_in, party.spec) != (sign_in, spec):
                party = self._parties[name] = self._made(sign_in, spec)
        return party

    def _made(self, sign_in: SignIn, spec: ProviderSpec) -> Party:
        store = KeyStore(self.state, time.time)
        tokens = ProviderTokens(store)
        tokens.replace([spec])
        verifier = Verifier(spec, sign_in.client.client_id, store, store.slot(spec))
        return Party(sign_in, spec, verifier, tokens)


@lru_cache(maxsize=1)
def desk() -> Desk:
    """This process's, made when it is first needed."""
    return Desk(open_state(settings.CACHES["default"]["LOCATION"]), Keyring.from_settings())
