"""``rotate_secrets``: everything is sealed under the newest key, or nothing is touched."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from accounts.models import Authenticator, ConsoleSignIn
from apis.models import Upstream
from oidc_clients.models import Client, Provider, ProviderClient, SigningKey
from policies import key_life
from policies.models import Generation
from policies.secrets import Keyring, Secret

OLD, NEW = "old key " * 5, "new key " * 5


@pytest.fixture
def stored(db: None, settings: Any) -> None:
    """A secret in every column, sealed under the old key."""
    settings.SECRET_KEYS = [OLD]
    provider = Provider.objects.create(
        name="acme",
        issuer="https://op.example.org",
        shared_secret=Secret("fourth"),
        former_shared_secret=Secret("fifth"),
    )
    ProviderClient.objects.create(
        provider=provider, client_id="gw", secret=Secret("first", "env:ACME"), key=Secret("sixth")
    )
    client = Client.objects.create(name="partner")
    SigningKey.objects.create(client=client, key_id="k", secret=Secret("second"))
    Upstream.objects.create(name="orders", tls_key=Secret("third"))
    Upstream.objects.create(name="plain")
    key_life.ensure()
    ConsoleSignIn.objects.create(client_id="console", client_secret=Secret("seventh"))
    ada = User.objects.create(username="ada")
    Authenticator(user=ada, name="a", confirmed=True, key=Secret("eighth")).save()


def rotate() -> str:
    out = io.StringIO()
    call_command("rotate_secrets", stdout=out)
    return out.getvalue()


def revealed() -> list[str]:
    provider = Provider.objects.get()
    return [
        provider.shared_secret.reveal(),
        provider.former_shared_secret.reveal(),
        provider.client.key.reveal(),
        provider.client.secret.reveal(),
        SigningKey.objects.get().secret.reveal(),
        Upstream.objects.get(name="orders").tls_key.reveal(),
        ConsoleSignIn.objects.get().client_secret.reveal(),
        Authenticator.objects.get().key.reveal(),
    ]


def test_A1_every_secret_opens_with_the_new_key_alone(stored: None, settings: Any) -> None:
    settings.SECRET_KEYS = [NEW, OLD]
    assert rotate().splitlines() == [
        "policies.GatewayKey.private_key: 1 of 1 re-encrypted",
        "oidc_clients.Provider.shared_secret: 1 of 1 re-encrypted",
        "oidc_clients.Provider.former_shared_secret: 1 of 1 re-encrypted",
        "oidc_clients.ProviderClient.secret: 1 of 1 re-encrypted",
        "oidc_clients.ProviderClient.key: 1 of 1 re-encrypted",
        "oidc_clients.SigningKey.secret: 1 of 1 re-encrypted",
        "accounts.ConsoleSignIn.client_secret: 1 of 1 re-encrypted",
        "accounts.Authenticator.key: 1 of 1 re-encrypted",
        "apis.Upstream.tls_key: 1 of 1 re-encrypted",
        "9 re-encrypted",
    ]
    settings.SECRET_KEYS = [NEW]
    assert revealed() == [
        *("fourth", "fifth", "sixth", "first", "second", "third", "seventh", "eighth"),
    ]
    assert len(key_life.opened(key_life.sealed_keys())) == 1
    assert ProviderClient.objects.get().secret.source == "env:ACME"


def test_a_second_run_changes_nothing(stored: None, settings: Any) -> None:
    settings.SECRET_KEYS = [NEW, OLD]
    rotate()
    before = ProviderClient.objects.get().secret.stored
    generation = Generation.all_values()
    assert rotate().splitlines()[-1] == "0 re-encrypted"
    assert ProviderClient.objects.get().secret.stored == before
    assert Generation.all_values() == generation


def test_workers_are_told_so_that_they_renew_their_copy(stored: None, settings: Any) -> None:
    before = Generation.all_values()[Generation.CONFIGURATION]
    settings.SECRET_KEYS = [NEW, OLD]
    rotate()
    assert Generation.all_values()[Generation.CONFIGURATION] > before


def test_nothing_is_changed_when_one_secret_does_not_open(stored: None, settings: Any) -> None:
    Upstream.objects.filter(name="orders").update(tls_key="ffffffff:AAAA")
    before = Generation.all_values()
    settings.SECRET_KEYS = [NEW, OLD]
    with pytest.raises(CommandError) as refused:
        rotate()
    assert refused.value.returncode == 2
    assert "apis_upstream.tls_key" in str(refused.value)
    stored_now = ProviderClient.objects.get().secret.stored
    assert stored_now.startswith(Keyring([OLD]).primary)
    assert Generation.all_values() == before


def test_the_output_shows_no_secret(stored: None, settings: Any) -> None:
    settings.SECRET_KEYS = [NEW, OLD]
    out = rotate()
    assert not any(secret in out for secret in ("first", "second", "third"))
