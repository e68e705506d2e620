"""``manage.py check_provider`` and the console's page of it."""

import io
import time
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse

from oidc_clients import models
from policies.secrets import Secret
from tests.console_pages import Console, superuser
from tests.oidc_clients.conftest import Keys
from tests.oidc_clients.loopback import AUDIENCE, Provider

pytestmark = pytest.mark.django_db
CANARY = "canary-own-secret-of-the-gateway"


@pytest.fixture
def acme(provider: Provider, settings: Any) -> models.Provider:
    environment = settings.ENVIRONMENT
    settings.ENVIRONMENT = environment.model_copy(
        update={"allow_private_upstreams": ("127.0.0.0/8",)}
    )
    made = models.Provider.objects.create(
        name="acme",
        issuer=provider.issuer,
        audiences=[AUDIENCE],
        algorithms=["RS256", "ES256"],
        token_types=["at+jwt"],
        insecure_http=True,
        grants=["refresh_token"],
    )
    models.ProviderClient.objects.create(provider=made, client_id="gw", secret=Secret(CANARY))
    return made


def token(provider: Provider, keys: Keys, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": provider.issuer, "sub": "u", "aud": AUDIENCE, "iat": now, "exp": now + 300}
    return keys.rsa.mint(claims | changes).decode()


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("check_provider", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def test_a_good_provider_ends_with_0(acme: Any, provider: Provider, keys: Keys) -> None:
    code, said = run("acme", "--token", token(provider, keys))
    assert code == 0, said
    assert [line.split()[:2] for line in said.splitlines() if not line.startswith(" ")] == [
        ["ok", "clock:"], ["ok", "discovery:"], ["ok", "keys:"], ["ok", "client:"],
        ["ok", "token:"],
    ]  # fmt: skip


def test_a_fault_ends_with_1_and_says_what_to_do(acme: Any, provider: Provider, keys: Keys) -> None:
    code, said = run("acme", "--token", token(provider, keys, aud="urn:other"))
    assert code == 1
    assert 'fault   token: token_audience: its aud is "urn:other"' in said
    assert "add what it names to audiences" in said
    assert said.endswith("1 fault found")
    provider.fault = "error"
    code, said = run("acme")
    assert code == 1
    assert "fault   discovery:" in said


def test_a_token_is_read_from_standard_input(
    acme: Any, provider: Provider, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(token(provider, keys) + "\n"))
    code, said = run("acme", "--token", "-")
    assert code == 0
    assert "the token is accepted" in said


def test_an_unknown_provider_ends_with_2(acme: Any) -> None:
    assert run("nobody") == (2, "no provider is called nobody")


def test_A1_neither_token_nor_secret_is_printed(acme: Any, provider: Provider, keys: Keys) -> None:
    sample = token(provider, keys, exp=1)
    for arguments in (["acme", "--token", sample], ["acme", "--token", CANARY]):
        _, said = run(*arguments)
        assert CANARY not in said
        assert not any(part in said for part in sample.split("."))


def test_a_secret_that_does_not_open_is_told(acme: Any) -> None:
    models.ProviderClient.objects.update(secret="ffffffff:AAAA")
    code, said = run("acme")
    assert code == 1
    assert "the provider cannot be used" in said


def test_a_shared_secret_is_checked_as_stored(acme: models.Provider, provider: Provider) -> None:
    acme.algorithms, acme.grants = ["HS256"], []
    acme.shared_secret = Secret("x" * 32)
    acme.save()
    code, said = run("acme")
    assert (code, provider.hits.total()) == (0, 0)
    assert "1 shared secret" in said


def test_the_page_says_what_was_found_and_never_shows_the_token(
    acme: models.Provider, provider: Provider, keys: Keys
) -> None:
    console = Console(superuser())
    page = console.open("oidc_clients_provider_check", acme.pk)
    assert page.status == 200
    assert provider.hits.total() == 0  # nothing is tried before somebody asks
    sample = token(provider, keys, exp=1)
    answer = console.send(page, token=sample)
    for text in ("token_expired", "the clocks agree", "2 of 2 keys are used"):
        assert text in answer.text
    shown = "".join(console.shown)
    assert sample.split(".")[1] not in shown
    assert CANARY not in shown
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.inline == []
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_page_is_linked_and_for_those_who_may_change(acme: models.Provider) -> None:
    console = Console(superuser())
    link = reverse("admin:oidc_clients_provider_check", args=[acme.pk])
    assert link in console.open("oidc_clients_provider_change", acme.pk).text
    reader = User.objects.create_user("reader", password="x" * 20, is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_provider"))
    assert Console(reader).open("oidc_clients_provider_check", acme.pk).status == 403
