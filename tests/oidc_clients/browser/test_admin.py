"""The console's page of browser sessions: who may see it, and what ending there means."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User

from oidc_clients.browser import desk as desks
from oidc_clients.browser.desk import Desk
from oidc_clients.browser.store import Session
from oidc_clients.models import Provider
from policies.secrets import Keyring
from policies.stores.memory import MemoryState
from tests.console_pages import Console, Page, superuser

pytestmark = pytest.mark.django_db
PAGE = "oidc_clients_provider_sessions"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The process's own, over an empty store."""
    made = Desk(MemoryState(), Keyring.from_settings())
    desks.desk.cache_clear()
    monkeypatch.setattr(desks, "Desk", lambda state, keyring: made)
    yield made
    desks.desk.cache_clear()


@pytest.fixture
def acme() -> Provider:
    return Provider.objects.create(
        name="acme", issuer="https://id.example.org", audiences=["a"], algorithms=["RS256"]
    )


def begin(desk: Desk, subject: str, provider: str = "acme", **changes: Any) -> str:
    now = time.time()
    usual: dict[str, Any] = {
        "issuer": "https://id.example.org",
        "created": now,
        "ends": now + 3600,
        "idle": 600,
        "access_token": "canary-token",
        "renew_at": now + 200,
        "expires": now + 300,
        "refresh_token": "canary-refresh",
        "agent": f"Browser of {subject}",
        "address": "192.0.2.7",
    }
    session = Session(provider=provider, subject=subject, **{**usual, **changes})
    return async_to_sync(desk.sessions.begin)(session)


def subjects(desk: Desk, provider: str = "acme") -> list[str]:
    rows = async_to_sync(desk.sessions.of_provider)(provider)
    return sorted(item.session.subject for item in async_to_sync(desk.sessions.alive)(rows))


def keys(page: Page) -> list[str]:
    return re.findall(r'name="session" value="([^"]+)"', page.text)


def test_A4_the_page_lists_who_is_signed_in_and_shows_no_token(desk: Desk, acme: Provider) -> None:
    console = Console(superuser())
    assert "Nobody is signed in" in console.open(PAGE, acme.pk).text
    cookie = begin(desk, "alice", name="<script>alert(1)</script>")
    begin(desk, "bob")
    begin(desk, "carol", provider="other")
    page = console.open(PAGE, acme.pk)
    assert page.status == 200
    assert page.inline == []
    assert "&lt;script&gt;" in page.text
    assert "Browser of bob" in page.text
    assert "carol" not in page.text
    assert len(keys(page)) == 2
    for hidden in ("canary", cookie):
        assert hidden not in page.text
    one = console.open(PAGE, acme.pk, query="subject=bob")
    assert "Browser of bob" in one.text
    assert "Browser of alice" not in one.text
    assert "sessions/" in console.open("oidc_clients_provider_change", acme.pk).text


def test_chosen_sessions_end(desk: Desk, acme: Provider) -> None:
    console = Console(superuser())
    begin(desk, "bob")
    begin(desk, "alice", created=time.time() + 1)
    page = console.open(PAGE, acme.pk)
    told = console.send(page, button="end", session=keys(page)[:1])
    assert "1 browser session ended." in told.text
    assert subjects(desk) == ["bob"]
    assert "1 browser session ended." in LogEntry.objects.latest("pk").change_message


def test_all_sessions_of_a_person_end(desk: Desk, acme: Provider) -> None:
    console = Console(superuser())
    for subject in ("alice", "alice", "bob"):
        begin(desk, subject)
    page = console.open(PAGE, acme.pk, query="subject=alice")
    told = console.send(page, button="all")
    assert "2 browser sessions ended." in told.text
    assert subjects(desk) == ["bob"]


def test_a_session_of_another_provider_cannot_be_named(desk: Desk, acme: Provider) -> None:
    console = Console(superuser())
    begin(desk, "carol", provider="other")
    (row,) = async_to_sync(desk.sessions.of_provider)("other")
    begin(desk, "alice")
    console.send(console.open(PAGE, acme.pk), button="end", session=[row.key])
    assert subjects(desk, "other") == ["carol"]


@pytest.mark.parametrize(
    ("permissions", "sees", "ends"),
    [((), 403, 403), (("view_provider",), 200, 403), (("change_provider",), 200, 302)],
)
def test_who_may_see_and_who_may_end(
    desk: Desk, acme: Provider, permissions: tuple[str, ...], sees: int, ends: int
) -> None:
    begin(desk, "alice")
    user = User.objects.create(username="helper", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    console = Console(user)
    page = console.open(PAGE, acme.pk)
    assert page.status == sees
    assert ("End all" in page.text) is (ends == 302)
    assert console.browser.post(page.url, {"all": "1"}).status_code == ends
    assert subjects(desk) == ([] if ends == 302 else ["alice"])


def test_A4_ending_needs_the_forms_token(desk: Desk, acme: Provider) -> None:
    console = Console(superuser())
    begin(desk, "alice")
    url = console.open(PAGE, acme.pk).url
    console.browser.handler.enforce_csrf_checks = True
    assert console.browser.post(url, {"all": "1"}).status_code == 403
    assert subjects(desk) == ["alice"]
