"""The console pages of who may use the console: what they take, and from whom."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from accounts import second_factor
from accounts.models import Authenticator, ConsoleIdentity, ConsoleRole, ConsoleSignIn, the_one
from oidc_clients.models import Provider, ProviderClient
from policies.secrets import Secret
from tests.accounts.conftest import CANARY, PASSWORD
from tests.console_pages import Console, Page, superuser

pytestmark = pytest.mark.django_db

ADD, CHANGE = "accounts_consolesignin_add", "accounts_consolesignin_change"


@pytest.fixture
def console() -> Console:
    return Console(superuser())


def send(console: Console, page: Page, **changes: Any) -> Page:
    """The page's form; its empty row of a role is left out, unless it is filled in."""
    if "roles-0-value" not in changes:
        changes |= {"roles-TOTAL_FORMS": page.entries["roles-INITIAL_FORMS"][0]}
    return console.send(page, **changes)


def test_it_is_one_page_and_shows_what_to_register(console: Console, acme: Provider) -> None:
    page = console.open("accounts_consolesignin_changelist")
    assert page.status == 302
    page = console.open(ADD)
    assert "http://testserver/admin/sign-in/callback/" in page.text
    role = {"roles-0-value": "admins", "roles-0-administrator": "on"}
    send(console, page, provider=str(acme.pk), scopes="profile\ngroups",
         required_claims='email_verified: true\nhd: ["a.example", "b.example"]',
         client_id="console", client_secret=CANARY, **role)  # fmt: skip
    made = ConsoleSignIn.objects.get()
    assert made.pk == the_one()
    assert made.scopes == ["profile", "groups"]
    assert made.required_claims == {"email_verified": True, "hd": ["a.example", "b.example"]}
    assert made.client_secret.reveal() == CANARY
    assert [(role.value, role.administrator) for role in ConsoleRole.objects.all()] == [
        ("admins", True)
    ]
    assert console.open(ADD).status == 403  # there is one


def test_A1_the_secret_is_write_only_and_kept(console: Console, acme: Provider) -> None:
    ConsoleSignIn.objects.create(provider=acme, client_id="c", client_secret=Secret(CANARY))
    page = console.open(CHANGE, the_one())
    assert "stored: yes" in page.text
    send(console, page, idle_minutes="5")
    made = ConsoleSignIn.objects.get()
    assert (made.idle_minutes, made.client_secret.reveal()) == (5, CANARY)
    assert CANARY not in "".join(console.shown) + repr(list(ConsoleSignIn.objects.values()))


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ({"scopes": "two words"}, "scopes"),
        ({"required_claims": "hd"}, "required_claims"),
        ({"required_claims": "hd: null"}, "required_claims"),
        ({"required_claims": "hd: []"}, "required_claims"),
        ({"required_claims": 'hd: {"a": 1}'}, "required_claims"),
        ({"idle_minutes": "0"}, "idle_minutes"),
        ({"lifetime_minutes": "1441"}, "lifetime_minutes"),
        ({"group_claim": ""}, "group_claim"),
    ],
)
def test_what_cannot_be_meant_is_told_at_its_field(
    console: Console, entries: dict[str, str], field: str
) -> None:
    assert field in send(console, console.open(ADD), **entries).errors
    assert not ConsoleSignIn.objects.exists()


def test_a_provider_needs_a_client(console: Console, acme: Provider) -> None:
    ProviderClient.objects.all().delete()
    page = send(console, console.open(ADD), provider=str(acme.pk))
    assert "client_id" in page.errors


def test_A4_who_is_no_administrator_cannot_make_one(acme: Provider, ada: User) -> None:
    """Whatever permissions they were given."""
    ConsoleSignIn.objects.create(provider=acme)
    Authenticator(user=ada, name="a", confirmed=True, key=Secret("A" * 32)).save()
    clerk = User.objects.create_user("clerk", password=PASSWORD, is_staff=True)
    apps = Permission.objects.filter(content_type__app_label__in=("accounts", "auth"))
    clerk.user_permissions.set(apps)
    console = Console(clerk)
    assert console.open(CHANGE, the_one()).status == 403
    assert console.open("accounts_consoleidentity_add").status == 403
    users = console.open("auth_user_changelist")
    assert "reset_second_factor" not in users.text
    chosen = {"action": "reset_second_factor", "_selected_action": [ada.pk]}
    console.browser.post(users.url, chosen)
    assert second_factor.authenticator_of(ada) is not None


def test_an_identity_is_added_and_deleted_never_edited(console: Console, ada: User) -> None:
    page = console.open("accounts_consoleidentity_add")
    console.send(page, user=str(ada.pk), issuer="https://id.example.org", subject="s-1")
    row = ConsoleIdentity.objects.get()
    again = console.send(page, user=str(ada.pk), issuer="https://id.example.org", subject="s-1")
    assert again.status == 200
    assert ConsoleIdentity.objects.count() == 1
    shown = console.open("accounts_consoleidentity_change", row.pk)
    assert "subject" not in shown.entries
