"""The provider at which people sign in to the console, ready to be asked.

It is one of the registered providers: its keys, algorithms, issuer and leeway are those by which
its tokens are verified everywhere.
"""

from typing import NamedTuple

from django.conf import settings

from accounts.models import ConsoleSignIn
from oidc_clients.browser.desk import Party, desk
from oidc_clients.browser.grants import GrantUnavailable, SignIn
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.metadata import Metadata
from oidc_clients.rows import client_of, spec_of
from policies.references import SecretUnreadable


class NoProvider(Exception):
    """Nobody can sign in at a provider; the message says why, for the log."""


class ConsoleProvider(NamedTuple):
    """What was chosen in the console, and what can be asked there."""

    chosen: ConsoleSignIn
    party: Party

    @property
    def sign_in(self) -> SignIn:
        return self.party.sign_in

    def metadata(self) -> Metadata:
        """The provider's endpoints. Raises ``GrantUnavailable``."""
        return desk().grants.metadata(self.sign_in)

    def endpoint(self, name: str) -> str:
        """One of them. Raises ``GrantUnavailable``."""
        url = getattr(self.metadata(), name)
        if url is None:
            raise GrantUnavailable(f"its metadata name no {name}")
        return str(url)


def is_offered(chosen: ConsoleSignIn) -> bool:
    """Whether the sign-in page shows the way to the provider."""
    return chosen.provider is not None and chosen.provider.enabled


def console_provider() -> ConsoleProvider:
    """The provider in force. Raises ``NoProvider``."""
    chosen = ConsoleSignIn.current()
    row = chosen.provider
    if row is None or not row.enabled:
        raise NoProvider("no provider is chosen for the console, or it is switched off")
    try:
        client = client_of(row)
        if chosen.client_id:
            secret = chosen.client_secret.reveal() if chosen.client_secret else None
            client = ClientCredentials(chosen.client_id, secret)
        spec = spec_of(row, settings.ENVIRONMENT.allow_private_upstreams)
    except (SecretUnreadable, ValueError) as error:
        raise NoProvider(str(error)) from error
    if client is None:
        raise NoProvider(f"the gateway has no client at {row.name}, and the console has none")
    sign_in = SignIn(row.name, row.issuer, client, spec.reach, scopes=tuple(chosen.scopes))
    return ConsoleProvider(chosen, desk().kept(f"console {row.name}", sign_in, spec))
