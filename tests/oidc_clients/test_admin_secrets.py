"""Shared secrets and the client's key on a provider's page: write-only, and judged as in a file."""

import pytest
from django.contrib.admin.models import LogEntry

from oidc_clients.models import Provider, ProviderClient
from policies.secrets import Secret
from tests.console_pages import Console, superuser
from tests.oidc_clients.relay.conftest import private_key

pytestmark = pytest.mark.django_db

SECRET = "canary-" + "s" * 32
KEY = "client-0-key"


@pytest.fixture
def console() -> Console:
    return Console(superuser())


@pytest.fixture
def acme() -> Provider:
    made = Provider.objects.create(
        name="acme",
        issuer="https://id.example.org",
        audiences=["orders"],
        algorithms=["RS256"],
        token_types=["at+jwt"],
    )
    ProviderClient.objects.create(provider=made, client_id="gw", secret=Secret(SECRET))
    return made


def test_A1_shared_secrets_are_typed_in_rotated_and_never_shown(
    console: Console, acme: Provider
) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    answer = console.send(page, algorithms="HS256", shared_secret=SECRET)
    assert "was changed successfully" in answer.text
    page = console.open("oidc_clients_provider_change", acme.pk)
    new = "canary-" + "n" * 32
    console.send(page, shared_secret=new, former_shared_secret=SECRET)
    stored = Provider.objects.get()
    assert stored.shared_secret.reveal() == new
    assert stored.former_shared_secret.reveal() == SECRET
    page = console.open("oidc_clients_provider_change", acme.pk)
    console.send(page, former_shared_secret_remove="on")
    assert not Provider.objects.get().former_shared_secret
    kept = "".join([*console.shown, repr(list(LogEntry.objects.values()))])
    assert "canary-" not in kept


@pytest.mark.parametrize(
    ("secret", "said"),
    [("short", "at least 32 bytes"), ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "public key")],
)
def test_J1_a_weak_secret_is_told_at_its_field(
    console: Console, acme: Provider, secret: str, said: str
) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    answer = console.send(page, algorithms="HS256", shared_secret=secret)
    assert said in " ".join(answer.errors["shared_secret"])
    assert Provider.objects.get().algorithms == ["RS256"]


def test_A1_a_secret_gives_way_to_a_key(console: Console, acme: Provider) -> None:
    pem = private_key()
    page = console.open("oidc_clients_provider_change", acme.pk)
    refused = console.send(page, **{KEY: pem})
    assert "a secret or a key, not both" in " ".join(refused.errors[KEY])
    page = console.open("oidc_clients_provider_change", acme.pk)
    entries = {KEY: pem, "client-0-secret_remove": "on", "client-0-key_id": "k1"}
    assert "was changed successfully" in console.send(page, **entries).text
    client = ProviderClient.objects.get()
    assert client.key.reveal().strip() == pem.strip()
    assert (client.key_id, bool(client.secret)) == ("k1", False)
    assert pem.splitlines()[1] not in "".join(console.shown)


def test_a_text_that_is_no_key_is_told_and_not_shown(console: Console, acme: Provider) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    entries = {KEY: "canary-no-key", "client-0-secret_remove": "on"}
    answer = console.send(page, **entries)
    assert "PEM form" in " ".join(answer.errors[KEY])
    assert "canary-no-key" not in "".join(console.shown)
