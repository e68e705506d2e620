"""The console pages of providers and clients, sign-in, and what they never show."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts import throttle
from oidc_clients.credentials import Peppers
from oidc_clients.models import ApiKey, Client, Provider, ProviderClient, ProviderKey, SigningKey
from policies.core.errors import StateUnavailable
from policies.models import Generation
from policies.secrets import Secret
from tests.console_pages import Console, Page, superuser

pytestmark = pytest.mark.django_db

CANARY = "canary-5tYp-and-long-enough"


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
        token_types=["at+jwt", ""],
    )
    ProviderClient.objects.create(provider=made, client_id="gw", secret=Secret(CANARY))
    return made


@pytest.fixture
def partner() -> Client:
    made = Client.objects.create(name="partner-a")
    SigningKey.objects.create(
        client=made, key_id="a-1", algorithm="hmac-sha256", secret=Secret(CANARY)
    )
    return made


def everything_kept(console: Console) -> str:
    """All that the person was shown and all that the console wrote down."""
    log = repr(list(LogEntry.objects.values()))
    return "".join([*console.shown, log, repr(dict(console.browser.session.items()))])


@pytest.mark.parametrize("name", ["oidc_clients_provider", "oidc_clients_client"])
def test_A4_every_page_renders_under_a_policy_without_inline_code(
    console: Console, acme: Provider, partner: Client, name: str
) -> None:
    pk = acme.pk if name.endswith("provider") else partner.pk
    pages = [console.open(f"{name}_{view}") for view in ("changelist", "add")]
    pages += [console.open(f"{name}_{view}", pk) for view in ("change", "delete", "history")]
    pages += [console.open("index"), console.open("oidc_clients_client_issue_key", partner.pk)]
    for page in pages:
        assert page.status == 200
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.inline == []


def test_a_provider_sent_as_it_opened_keeps_everything(console: Console, acme: Provider) -> None:
    before = Provider.objects.values().get()
    page = console.open("oidc_clients_provider_change", acme.pk)
    assert page.entries["token_types"] == ['at+jwt\n""']
    assert "was changed successfully" in console.send(page).text
    assert Provider.objects.values().get() == before
    assert ProviderClient.objects.get().secret.reveal() == CANARY


@pytest.mark.parametrize(
    ("entries", "field", "message"),
    [
        ({"name": "Acme!"}, "name", "use lower-case letters"),
        ({"issuer": "id.example.org"}, "issuer", "http"),
        ({"issuer": "http://id.example.org"}, "issuer", "use https"),
        ({"issuer": "http://127.0.0.1:9"}, "issuer", "insecure_http: true"),
        ({"audiences": ""}, "audiences", "required"),
        ({"algorithms": "RS256\nHS256"}, "algorithms", "entry 2: HS256 verifies with a shared"),
        (
            {"algorithms": "HS256", "client__0__DELETE": "on"},
            "shared_secret",
            "HS algorithms verify with it",
        ),
        ({"shared_secret": "x" * 32}, "shared_secret", "it is for HS256"),
        ({"algorithms": "none"}, "algorithms", "entry 1: unknown algorithm"),
        ({"leeway": "121"}, "leeway", "120"),
        ({"leeway": "soon"}, "leeway", "whole number"),
        ({"static_keys": "{"}, "static_keys", "valid JSON"),
        ({"static_keys": '[{"kty": "oct"}]'}, "static_keys", "entry 1: the key is not admitted"),
        ({"grants": "implicit"}, "grants", "implicit"),
        ({"client__0__client_id": ""}, "client-0-client_id", "required"),
    ],
)
def test_bad_input_is_told_at_its_field_and_nothing_is_changed(
    console: Console, acme: Provider, entries: dict[str, str], field: str, message: str
) -> None:
    before = Provider.objects.values().get()
    page = console.open("oidc_clients_provider_change", acme.pk)
    answer = console.send(page, **entries)
    assert list(answer.errors) == [field], answer.errors
    assert message in " ".join(answer.errors[field])
    assert Provider.objects.values().get() == before
    assert LogEntry.objects.count() == 0


def test_what_the_whole_configuration_refuses_is_told_at_its_field(
    console: Console, acme: Provider
) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    answer = console.send(page, issuer="https://10.0.0.1")
    [said] = answer.errors["issuer"]
    assert "10.0.0.1 may not be connected to" in said
    assert "GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS" in said
    page = console.open("oidc_clients_provider_add")
    answer = console.send(
        page, name="other", issuer="https://10.0.0.2", audiences="a", algorithms="RS256"
    )
    assert list(answer.errors) == ["issuer"]
    assert Provider.objects.get().issuer == acme.issuer


def test_D6_the_password_grant_is_warned_of(console: Console, acme: Provider) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    assert "RFC 9700" not in console.send(page, grants=["refresh_token"]).text
    page = console.open("oidc_clients_provider_change", acme.pk)
    assert "RFC 9700" in console.send(page, grants=["refresh_token", "password"]).text
    assert Provider.objects.get().grants == ["refresh_token", "password"]


def test_A1_a_client_secret_is_replaced_kept_and_removed_but_never_shown(
    console: Console, acme: Provider
) -> None:
    page = console.open("oidc_clients_provider_change", acme.pk)
    assert "stored: yes" in page.text
    console.send(page, client__0__secret=CANARY + "-new")
    assert ProviderClient.objects.get().secret.reveal() == CANARY + "-new"
    page = console.open("oidc_clients_provider_change", acme.pk)
    refused = console.send(page, client__0__secret=CANARY + "-lost", leeway="1000")
    assert list(refused.errors) == ["leeway"]
    console.send(refused, leeway="30")
    assert ProviderClient.objects.get().secret.reveal() == CANARY + "-new"
    page = console.open("oidc_clients_provider_change", acme.pk)
    console.send(page, **{"client-0-secret_remove": "on"})
    assert not ProviderClient.objects.get().secret
    assert "stored: no" in console.open("oidc_clients_provider_change", acme.pk).text
    console.open("oidc_clients_provider_history", acme.pk)
    assert CANARY not in everything_kept(console)


def test_A1_a_secret_that_is_refused_with_the_whole_is_not_shown(
    console: Console, acme: Provider
) -> None:
    page = console.open("oidc_clients_provider_add")
    answer = console.send(
        page,
        name="other",
        issuer="https://10.0.0.2",
        audiences="orders",
        algorithms="RS256",
        **{"client-TOTAL_FORMS": "1", "client-0-client_id": "x", "client-0-secret": CANARY},
        **{"client-0-assertion_audience": "issuer"},
    )
    assert list(answer.errors) == ["issuer"]
    assert CANARY not in everything_kept(console)


def test_A1_the_database_holds_no_secret_in_clear(acme: Provider, partner: Client) -> None:
    rows = [list(model.objects.values()) for model in (ProviderClient, SigningKey)]
    assert CANARY not in repr(rows)


def test_keys_are_shown_with_their_verdict_and_cannot_be_edited(
    console: Console, acme: Provider
) -> None:
    now = timezone.now()
    good = {"kty": "RSA", "alg": "RS256", "n": CANARY}
    ProviderKey.objects.create(provider=acme, kid="a", jwk=good, admitted=True, fetched_at=now)
    ProviderKey.objects.create(
        provider=acme,
        kid="b",
        jwk={"kty": "RSA", "d": CANARY},
        admitted=False,
        reason="the key holds private members",
        fetched_at=now,
    )
    page = console.open("oidc_clients_provider_change", acme.pk)
    for text in ("RSA RS256", "admitted", "refused", "the key holds private members"):
        assert text in page.text
    assert CANARY not in page.text
    assert not [name for name in page.entries if name.startswith("keys-0-") and "id" not in name]
    assert "1 of 2" in console.open("oidc_clients_provider_changelist").text


@pytest.mark.parametrize("by", ["button", "action"])
def test_keys_are_fetched_now(
    console: Console, acme: Provider, provider: Any, keys: Any, settings: Any, by: str
) -> None:
    provider.keys = [keys.rsa.jwk, {**keys.p256.jwk, "use": "enc"}]
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(
        update={"allow_private_upstreams": ("127.0.0.0/8",)}
    )
    Provider.objects.update(issuer=provider.issuer, insecure_http=True)
    page = fetch(console, acme, by)
    assert "Provider acme: 1 of 2 keys admitted, changed." in page.text
    assert [key.admitted for key in ProviderKey.objects.order_by("id")] == [True, False]
    assert "the same as before" in fetch(console, acme, by).text
    provider.fault = "error"
    assert "Provider acme: no keys were fetched: " in fetch(console, acme, by).text
    assert ProviderKey.objects.count() == 2


def fetch(console: Console, acme: Provider, by: str) -> Page:
    if by == "button":
        page = console.open("oidc_clients_provider_change", acme.pk)
        page.url = reverse("admin:oidc_clients_provider_fetch_keys", args=[acme.pk])
        return console.send(page)
    page = console.open("oidc_clients_provider_changelist")
    return console.send(page, "index", action="fetch_keys", _selected_action=str(acme.pk))


def test_keys_are_fetched_only_for_who_may_change_the_provider(
    acme: Provider, django_user_model: type[User]
) -> None:
    reader = Console(django_user_model.objects.create(username="reader", is_staff=True))
    url = reverse("admin:oidc_clients_provider_fetch_keys", args=[acme.pk])
    assert reader.browser.post(url).status_code == 403
    assert reader.browser.get(url).status_code == 405


def issue(console: Console, partner: Client, **entries: str) -> Page:
    page = console.open("oidc_clients_client_issue_key", partner.pk)
    return console.send(page, **entries)


def test_an_api_key_is_shown_once_and_only_its_digest_is_kept(
    console: Console, partner: Client
) -> None:
    before = Generation.all_values()
    page = issue(console, partner, name="main", scopes="read\nwrite", expires="2100-01-01T00:00")
    [key] = re.findall(r"gh_\w{8}_\w{32}", page.text)
    assert "no-store" in page.headers["Cache-Control"]
    kept = ApiKey.objects.get()
    assert Peppers(settings.SECRET_KEYS).matches(kept.digest, key)
    assert (kept.name, kept.prefix, kept.scopes) == ("main", key[:11], ["read", "write"])
    assert kept.expires is not None
    assert kept.expires.isoformat() == "2100-01-01T00:00:00+00:00"
    credentials = before.pop(Generation.CREDENTIALS)
    assert Generation.all_values() == before | {Generation.CREDENTIALS: credentials + 1}
    console.shown.clear()
    later = console.open("oidc_clients_client_change", partner.pk)
    assert key[:11] in later.text
    console.open("oidc_clients_client_history", partner.pk)
    assert "Issued API key main." in repr(list(LogEntry.objects.values()))
    assert key not in everything_kept(console)


@pytest.mark.parametrize(
    ("entries", "field", "message"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "Main Key"}, "name", "use lower-case letters"),
        ({"name": "taken"}, "name", "this client has a key of that name"),
        ({"name": "k", "scopes": "a b"}, "scopes", "entry 1: "),
        ({"name": "k", "expires": "soon"}, "expires", "date"),
        ({"name": "k", "expires": "2001-01-01"}, "expires", "this moment has passed"),
    ],
)
def test_an_api_key_is_not_issued_for_bad_input(
    console: Console, partner: Client, entries: dict[str, str], field: str, message: str
) -> None:
    ApiKey.objects.create(client=partner, name="taken", prefix="", digest="x")
    answer = issue(console, partner, **entries)
    assert list(answer.errors) == [field]
    assert message in answer.errors[field][0]
    assert "gh_" not in answer.text
    assert ApiKey.objects.count() == 1


def test_deleting_an_api_key_revokes_it(console: Console, partner: Client) -> None:
    soon = timezone.now() + timedelta(days=1)
    ApiKey.objects.create(client=partner, name="main", prefix="", digest="x", expires=soon)
    page = console.open("oidc_clients_client_change", partner.pk)
    console.send(page, **{"api_keys-0-DELETE": "on"})
    assert not ApiKey.objects.exists()
    assert "Deleted" in LogEntry.objects.get().get_change_message()


def test_only_who_may_add_keys_issues_them(partner: Client) -> None:
    url = reverse("admin:oidc_clients_client_issue_key", args=[partner.pk])
    for allowed in ([], ["change_client"], ["add_apikey"]):
        person = User.objects.create(username="-".join(["staff", *allowed]), is_staff=True)
        person.user_permissions.set(Permission.objects.filter(codename__in=allowed))
        assert Console(person).browser.post(url, {"name": "k"}).status_code == 403
    assert Browser().post(url, {"name": "k"})["Location"].startswith(reverse("admin:login"))
    assert not ApiKey.objects.exists()
    person.user_permissions.set(
        Permission.objects.filter(codename__in=["change_client", "add_apikey"])
    )
    assert Console(person).browser.post(url, {"name": "k"}).status_code == 200
    assert ApiKey.objects.get().name == "k"


@pytest.mark.parametrize(
    ("entries", "field", "message"),
    [
        ({"algorithm": "ed25519"}, "signing_keys-0-public_key", ""),
        ({"secret_remove": "on"}, "signing_keys-0-secret", ""),
        ({"key_id": "a 1"}, "signing_keys-0-key_id", ""),
        ({"public_key": "no key"}, "signing_keys-0-public_key", ""),
    ],
)
def test_a_signing_key_must_fit_its_algorithm(
    console: Console, partner: Client, entries: dict[str, str], field: str, message: str
) -> None:
    page = console.open("oidc_clients_client_change", partner.pk)
    changed: dict[str, Any] = {f"signing_keys-0-{name}": value for name, value in entries.items()}
    answer = console.send(page, **changed)
    assert field in answer.errors, answer.errors
    assert SigningKey.objects.get().secret.reveal() == CANARY
    assert CANARY not in everything_kept(console)


PASSWORD = "a-long-pass-phrase"


@pytest.fixture
def account(django_user_model: type[User], settings: Any) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return django_user_model.objects.create_superuser("ada", password=PASSWORD)


def sign_in(name: str, password: str = "wrong", address: str = "198.51.100.7") -> Any:
    return Browser(REMOTE_ADDR=address).post(
        reverse("admin:login"), {"username": name, "password": password}
    )


@pytest.fixture(autouse=True)
def _limits_of_its_own(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Counters are kept beyond one test: each test counts under names of its own."""
    counted = throttle._usage
    name = request.node.name

    def usage(asked: Any, what: str, key: Any, rate: str) -> Any:
        return counted(asked, f"{what} {name}", key, rate)

    monkeypatch.setattr(throttle, "_usage", usage)


def test_A5_an_account_is_throttled_from_every_address_and_in_every_spelling(
    account: User,
) -> None:
    limit = int(throttle.PER_ACCOUNT.partition("/")[0])
    for attempt in range(limit):
        name = ("ada", "ADA", " ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da")[attempt % 4]
        assert sign_in(name, address=f"198.51.100.{attempt}").status_code == 200
    refused = sign_in("ada", PASSWORD, address="198.51.100.99")
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 300
    assert "Nobody was signed in." in refused.content.decode()
    assert "sessionid" not in refused.cookies
    assert settings.SESSION_COOKIE_NAME not in refused.cookies
    assert sign_in("eve", address="198.51.100.99").status_code == 200


def test_A5_an_address_is_throttled_over_all_accounts(account: User) -> None:
    limit = int(throttle.PER_ADDRESS.partition("/")[0])
    for attempt in range(limit):
        assert sign_in(f"user-{attempt}").status_code == 200
    assert sign_in("ada", PASSWORD).status_code == 429
    assert sign_in("ada", PASSWORD, address="203.0.113.5").status_code == 302


def test_A5_an_unknown_account_is_answered_like_a_wrong_password(account: User) -> None:
    def said(name: str) -> str:
        text = sign_in(name).content.decode().replace(name, "NAME")
        return re.sub(r'csrfmiddlewaretoken" value="\w+"', "", text)

    assert said("ada") == said("eve")


def test_A5_nobody_signs_in_when_attempts_cannot_be_counted(
    account: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any, **kwargs: Any) -> Any:
        raise StateUnavailable("the store is away")

    monkeypatch.setattr(throttle, "_usage", down)
    refused = sign_in("ada", PASSWORD)
    assert refused.status_code == 503
    assert refused["Retry-After"]
    assert settings.SESSION_COOKIE_NAME not in refused.cookies
