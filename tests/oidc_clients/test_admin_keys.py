"""The console pages of a client: its keys with their use, rotation, and certificates."""

import re

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from oidc_clients.credentials import Peppers
from oidc_clients.issuing import issue, write_used
from oidc_clients.models import ApiKey, Client, ClientCertificate
from tests.console_pages import Console, superuser

pytestmark = pytest.mark.django_db

FINGERPRINT = "AB:" * 31 + "CD"


@pytest.fixture
def console() -> Console:
    return Console(superuser())


@pytest.fixture
def partner() -> Client:
    return Client.objects.create(name="partner-a")


def test_a_client_shows_its_keys_with_scopes_expiry_and_use(
    console: Console, partner: Client
) -> None:
    key = issue(partner, "main", ["read", "write"])
    issue(partner, "old", expires=timezone.now())
    page = console.open("oidc_clients_client_change", partner.pk)
    for text in (key[:11], "read write", "never", "expired"):
        assert text in page.text, text
    assert key not in page.text
    moment = timezone.now().replace(year=2031, month=3, day=14)
    write_used([Peppers(settings.SECRET_KEYS).digest(key)], moment)
    assert "March 14, 2031" in console.open("oidc_clients_client_change", partner.pk).text


def test_B5_a_rotation_shows_the_new_key_once_and_lets_the_former_overlap(
    console: Console, partner: Client
) -> None:
    former = issue(partner, "main", ["read"])
    row = ApiKey.objects.get()
    link = reverse("admin:oidc_clients_client_rotate_key", args=[partner.pk, row.pk])
    assert link in console.open("oidc_clients_client_change", partner.pk).text
    page = console.open("oidc_clients_client_rotate_key", partner.pk, row.pk)
    assert page.inline == []
    assert console.send(page, overlap="-1").errors == {
        "overlap": ["Ensure this value is greater than or equal to 0."]
    }
    shown = console.send(page, overlap="2")
    [key] = re.findall(r"gh_\w{8}_\w{32}", shown.text)
    assert "no-store" in shown.headers["Cache-Control"]
    assert ApiKey.objects.get(digest=Peppers(settings.SECRET_KEYS).digest(key)).scopes == ["read"]
    row.refresh_from_db()
    assert row.expires is not None
    assert 7100 < (row.expires - timezone.now()).total_seconds() <= 7200
    assert "Rotated API key main." in repr(list(LogEntry.objects.values()))
    console.shown.clear()
    console.open("oidc_clients_client_change", partner.pk)
    console.open("oidc_clients_client_history", partner.pk)
    assert not {key, former} & set(re.findall(r"gh_\w{8}_\w{32}", "".join(console.shown)))


def test_a_key_is_rotated_only_by_who_may_issue_and_only_on_its_own_client(
    partner: Client, django_user_model: type[User], console: Console
) -> None:
    issue(partner, "main")
    row = ApiKey.objects.get()
    other = Client.objects.create(name="other")
    url = reverse("admin:oidc_clients_client_rotate_key", args=[other.pk, row.pk])
    assert console.browser.post(url, {"overlap": "0"}).status_code == 404
    editor = django_user_model.objects.create(username="editor", is_staff=True)
    editor.user_permissions.add(Permission.objects.get(codename="change_client"))
    url = reverse("admin:oidc_clients_client_rotate_key", args=[partner.pk, row.pk])
    assert Console(editor).browser.post(url, {"overlap": "0"}).status_code == 403
    assert ApiKey.objects.count() == 1


def test_B5_deleting_a_key_revokes_it(console: Console, partner: Client) -> None:
    issue(partner, "main")
    page = console.open("oidc_clients_client_change", partner.pk)
    console.send(page, **{"api_keys-0-DELETE": "on"})
    assert not ApiKey.objects.exists()


def _add(console: Console, partner: Client, **entries: str):
    page = console.open("oidc_clients_client_change", partner.pk)
    total = int(page.entries["certificates-TOTAL_FORMS"][0])
    named = {f"certificates-{total}-{name}": value for name, value in entries.items()}
    return console.send(page, **{"certificates-TOTAL_FORMS": str(total + 1), **named})


def test_a_certificate_is_kept_in_the_form_that_is_compared(
    console: Console, partner: Client
) -> None:
    _add(console, partner, sha256=FINGERPRINT)
    _add(console, partner, san="Partner.example.org", issuer="CN=Partner CA")
    kept = {row.known_by for row in map(_row, ClientCertificate.objects.all())}
    assert kept == {
        ("ab" * 31 + "cd", "", ""),
        ("", "dns:partner.example.org", "CN=Partner CA"),
    }
    before = set(ClientCertificate.objects.values_list())
    console.send(console.open("oidc_clients_client_change", partner.pk))
    assert set(ClientCertificate.objects.values_list()) == before


def _row(row: ClientCertificate):
    row.known_by = (row.sha256, row.san, row.issuer)
    return row


@pytest.mark.parametrize(
    ("entries", "field", "message"),
    [
        ({"sha256": "ab"}, "sha256", "64 hexadecimal digits"),
        ({"san": "*.example.org", "issuer": "CN=x"}, "san", "a wildcard names nobody"),
        ({"san": "a.example.org"}, "issuer", "given together"),
        ({"san": "a.example.org", "issuer": "x"}, "issuer", "RFC 4514"),
        ({"sha256": FINGERPRINT, "san": "a.example.org"}, "san", "leave this out"),
    ],
)
def test_a_certificate_that_cannot_be_is_told_at_its_field(
    console: Console, partner: Client, entries: dict[str, str], field: str, message: str
) -> None:
    answer = _add(console, partner, **entries)
    assert message in " ".join(answer.errors[f"certificates-0-{field}"])
    assert not ClientCertificate.objects.exists()


def test_one_certificate_cannot_be_two_clients(console: Console, partner: Client) -> None:
    _add(console, partner, san="a.example.org", issuer="CN=x")
    other = Client.objects.create(name="other")
    answer = _add(console, other, san="A.example.org", issuer="CN=x")
    assert any(answer.errors.values()), answer.errors
    assert ClientCertificate.objects.count() == 1
