"""The console process with the demo provider and a misbehaving one behind its relay."""

import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.provider import ProviderServer
from tests.console_process import ConsoleProcess, Reply
from tests.oidc_clients.relay.faults import ISSUERS, Faults

# A day's window hardly ever ends within a test; high enough for all tests together.
LIMIT = 200
OWN_SECRET = "canary-own%secret+1"
ALL_GRANTS = ["client_credentials", "password", "refresh_token"]

SETUP = """
from oidc_clients.models import Provider, ProviderClient
from policies.secrets import Secret
KEY = {key!r}
for name, issuer, grants, client, secret in {rows!r}:
    provider = Provider.objects.create(
        name=name, issuer=issuer, grants=grants, insecure_http=True, enabled=name != "off",
        audiences=["urn:test"], algorithms=["RS256"], token_types=["at+jwt"],
    )
    if name.startswith("keyed"):
        ProviderClient.objects.create(provider=provider, client_id=client, key=Secret(KEY))
    elif client:
        ProviderClient.objects.create(provider=provider, client_id=client, secret=Secret(secret))
"""


def private_key() -> str:
    """A new private key, as a file would hold it."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )


class RelayConsole(ConsoleProcess):
    """A console process whose private listener is asked for tokens."""

    def token(
        self,
        provider: str,
        form: Mapping[str, str] | bytes,
        headers: Mapping[str, str] | None = None,
        client: str | None = None,
    ) -> Reply:
        """``POST /auth/{provider}/token`` with a form."""
        return self.ask(provider, "token", form, headers, client)

    def ask(
        self,
        provider: str,
        path: str,
        form: Mapping[str, str] | bytes,
        headers: Mapping[str, str] | None = None,
        client: str | None = None,
    ) -> Reply:
        """``POST /auth/{provider}/{path}`` with a form."""
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        lines = {"Content-Type": "application/x-www-form-urlencoded"} | dict(headers or {})
        return self.private("POST", f"/auth/{provider}/{path}", body, lines, client)


@pytest.fixture(scope="session")
def demo_provider() -> Iterator[ProviderServer]:
    server = ProviderServer(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def faults() -> Iterator[Faults]:
    server = Faults()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def console(demo_provider: ProviderServer, faults: Faults) -> Iterator[RelayConsole]:
    own = ("gatehouse", "gatehouse-demo-secret")
    rows = [
        ("demo", demo_provider.url, ALL_GRANTS, *own),
        ("off", demo_provider.url, ALL_GRANTS, *own),
        ("only-refresh", demo_provider.url, ["refresh_token", "authorization_code"], *own),
        ("no-grants", demo_provider.url, [], *own),
        ("no-client", demo_provider.url, ALL_GRANTS, "", ""),
        ("wrong-secret", demo_provider.url, ALL_GRANTS, "gatehouse", "not the secret"),
        ("public-client", f"{faults.url}/echo", ALL_GRANTS, "public-gateway", ""),
        ("codes", f"{faults.url}/echo", ["authorization_code"], "own client", OWN_SECRET),
        ("keyed-post-only", f"{faults.url}/post-only", ALL_GRANTS, "own client", ""),
        ("closed", "http://127.0.0.1:1", ALL_GRANTS, *own),
        *((name, f"{faults.url}/{name}", ALL_GRANTS, "own client", OWN_SECRET) for name in ISSUERS),
    ]
    setup = SETUP.format(rows=rows, key=private_key())
    process = RelayConsole(setup, relay_rate=f"{LIMIT}/d")
    process.start()
    yield process
    process.stop()
    process.remove()
