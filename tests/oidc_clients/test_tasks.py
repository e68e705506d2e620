"""The rotation of provider keys, by the worker's task and by hand."""

import dataclasses
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from oidc_clients.keystore import KeyStore
from oidc_clients.models import Provider as ProviderRow
from oidc_clients.models import ProviderKey
from oidc_clients.stored_keys import stored_sets
from oidc_clients.tasks import rotate, rotate_jwks
from policies.core.values import Deny
from policies.models import Generation
from policies.stores.open import open_state
from tests.oidc_clients.conftest import Clock, Keys, Verifier
from tests.oidc_clients.loopback import Provider

pytestmark = pytest.mark.django_db

Row = Callable[..., ProviderRow]


class Environment:
    """What the tasks want to know of the installation."""

    allow_private_upstreams = ("127.0.0.0/8",)


@pytest.fixture
def state_url(settings: Any, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/state.sqlite3"
    settings.CACHES = {"default": {"LOCATION": url}}
    settings.ENVIRONMENT = Environment()
    return url


@pytest.fixture
def row(state_url: str, provider: Provider) -> Row:
    def make(name: str = "acme", **changes: Any) -> ProviderRow:
        usual: dict[str, Any] = {
            "issuer": provider.issuer,
            "audiences": ["urn:test:api"],
            "algorithms": ["RS256"],
            "insecure_http": True,
        }
        return ProviderRow.objects.create(name=name, **usual | changes)

    return make


def command(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("rotate_jwks", *arguments, stdout=out)
    return out.getvalue().splitlines()


def kids() -> list[str]:
    return [key.kid for key in ProviderKey.objects.order_by("id")]


def generation() -> int:
    return Generation.all_values().get(Generation.KEYS, 0)


def test_J8_the_task_stores_what_it_fetches_and_counts_only_changes(
    row: Row, provider: Provider, keys: Keys
) -> None:
    row()
    rotate_jwks()
    assert (kids(), generation()) == (["rsa-1", "ec-1"], 1)
    rotate_jwks()
    assert (kids(), generation()) == (["rsa-1", "ec-1"], 1)
    provider.keys = [keys.rsa_2.jwk]
    rotate_jwks()
    assert (kids(), generation()) == (["rsa-2"], 2)
    assert provider.hits["jwks"] == 3


@pytest.mark.parametrize("fault", ["down", "error", "html", "garbage"])
def test_J8_a_failed_rotation_costs_no_key(row: Row, provider: Provider, fault: str) -> None:
    row()
    rotate_jwks()
    provider.fault = fault
    rotate_jwks()
    assert (kids(), generation()) == (["rsa-1", "ec-1"], 1)


def test_J8_workers_take_up_what_the_rotation_published(
    row: Row,
    provider: Provider,
    keys: Keys,
    state_url: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before their own set expires, and without a fetch of their own."""
    monkeypatch.setattr("oidc_clients.tasks.time", SimpleNamespace(time=clock))
    row()
    rotate_jwks()
    provider.fault = "down"
    worker = Verifier(clock, provider.spec(), state=open_state(state_url))
    old = keys.rsa.mint(worker.claims(exp=clock.now + 7200))
    worker.identity(old)
    provider.fault = ""
    provider.keys = [keys.rsa_2.jwk]
    clock.now += 0.8 * 3600
    rotate_jwks()
    fetches = provider.hits["jwks"]
    provider.fault = "down"
    worker.verdict(old)  # the set is due: this call starts the renewal
    worker.identity(keys.rsa_2.mint(worker.claims()))
    assert isinstance(worker.verdict(old), Deny)
    assert provider.hits["jwks"] == fetches


def test_J8_a_worker_starts_with_what_the_rotation_stored(
    row: Row, provider: Provider, keys: Keys, clock: Clock
) -> None:
    row()
    rotate_jwks()
    clock.now = time.time()
    provider.fault = "down"
    started = Verifier(clock, provider.spec())
    (stored,) = stored_sets()
    assert started.store.install(*stored)
    started.identity(keys.rsa.mint(started.claims()))


def test_J9_what_was_stored_of_a_former_issuer_is_not_taken_up(
    row: Row, provider: Provider, clock: Clock
) -> None:
    row()
    rotate_jwks()
    store = KeyStore(open_state("memory://"), clock)
    for change in ({"issuer": "https://other.example"}, {"jwks_uri": provider.url("/jwks")}):
        store.slot(dataclasses.replace(provider.spec(), **change))
        (stored,) = stored_sets()
        assert not store.install(*stored)


def test_providers_that_are_off_or_have_their_keys_configured_are_left_alone(
    row: Row, provider: Provider, keys: Keys
) -> None:
    row("off", enabled=False)
    row("configured", static_keys=[keys.rsa.jwk])
    row("secret", algorithms=["HS256"])
    rotate_jwks()
    assert not provider.hits
    assert kids() == []


def test_one_provider_that_fails_is_no_obstacle_to_the_others(
    row: Row, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row("a", issuer="https://127.0.0.1:1"), row("b"), row("c", issuer="ftp://x"), row("d")]
    rows.append(row("e", algorithms=["none"]))
    found = rotate(rows)
    assert [(one.provider, one.keys is not None, one.error != "") for one in found] == [
        ("a", False, True),
        ("b", True, False),
        ("c", False, True),
        ("d", True, False),
        ("e", False, True),
    ]
    rotate_jwks()
    assert "provider c: keys not rotated: the URL must begin with" in caplog.text


def test_J6_refused_keys_are_stored_with_their_reason_and_reported(
    row: Row, provider: Provider, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    provider.keys = [keys.rsa.jwk, keys.p256.named("rsa-1").jwk, keys.ed.jwk]
    row()
    rotate_jwks()
    admitted = {key.jwk["kty"]: key.admitted for key in ProviderKey.objects.all()}
    assert admitted == {"RSA": False, "EC": False, "OKP": True}
    assert caplog.text.count("key 'rsa-1' refused: its kid stands on more than one key") == 2


def test_without_shared_state_the_database_has_the_keys_all_the_same(
    row: Row, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {"LOCATION": f"sqlite:///{tmp_path}/absent/state.sqlite3"}}
    row()
    rotate_jwks()
    assert kids() == ["rsa-1", "ec-1"]
    assert "its keys were not shared" in caplog.text


def test_the_command_shows_each_key_and_its_verdict(
    row: Row, provider: Provider, keys: Keys
) -> None:
    row()
    row("configured", static_keys=[keys.rsa.jwk])
    provider.keys = [keys.rsa.jwk, keys.p256.jwk | {"use": "enc"}, keys.ed.named(None).jwk]
    assert command() == [
        "configured: its keys are configured, nothing is fetched",
        "acme: changed",
        "  rsa-1: admitted",
        "  ec-1: refused: its use is not sig",
        "  without kid: admitted",
    ]
    assert command("--provider", "acme")[0] == "acme: unchanged"


def test_the_command_fails_when_one_provider_does(row: Row, provider: Provider) -> None:
    row("good")
    row("wrong", issuer="https://127.0.0.1:1")
    out = StringIO()
    with pytest.raises(CommandError, match="no keys from wrong") as caught:
        call_command("rotate_jwks", stdout=out)
    assert caught.value.returncode == 1
    assert "good: changed" in out.getvalue()
    assert "wrong: failed: 127.0.0.1 cannot be reached" in out.getvalue()
    assert command("--provider", "good")[0] == "good: unchanged"


@pytest.mark.parametrize("name", ["nobody", "off"])
def test_the_command_knows_only_providers_that_are_switched_on(row: Row, name: str) -> None:
    row("off", enabled=False)
    with pytest.raises(CommandError, match=f"called {name}") as caught:
        command("--provider", name)
    assert caught.value.returncode == 2
