"""The console's page of the gateway's signing keys."""

import re

import pytest
from django.contrib.auth.models import Permission, User

from policies import key_life
from policies.models import GatewayKey
from tests.console_pages import Console, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Console:
    return Console(superuser())


def states(text: str) -> list[str]:
    return re.findall(r'class="field-state[^"]*">([^<]*)<', text)


def act(console: Console, action: str, key: GatewayKey) -> str:
    page = console.open("policies_gatewaykey_changelist")
    return console.send(page, "index", action=action, _selected_action=str(key.pk)).text


def test_keys_are_shown_with_what_they_do_and_never_themselves(console: Console) -> None:
    key_life.ensure()
    key_life.succeed()
    page = console.open("policies_gatewaykey_changelist")
    assert states(page.text) == ["published, will sign", "signs"]
    for key in GatewayKey.objects.all():
        assert key.key_id in page.text
        assert key.private_key.stored not in page.text
    assert "PRIVATE" not in page.text
    assert page.inline == []


def test_a_key_is_revoked_and_another_one_signs(console: Console) -> None:
    key_life.ensure()
    key = GatewayKey.objects.get()
    assert "is revoked" in act(console, "revoke", key)
    page = console.open("policies_gatewaykey_changelist")
    assert sorted(states(page.text)) == ["revoked", "signs"]
    assert "was revoked before" in act(console, "revoke", key)


def test_a_successor_is_published(console: Console) -> None:
    key_life.ensure()
    key = GatewayKey.objects.get()
    assert "A successor is published" in act(console, "succeed", key)
    assert "waiting already" in act(console, "succeed", key)
    assert GatewayKey.objects.count() == 2


def test_nobody_makes_edits_or_deletes_one_by_hand(console: Console) -> None:
    key_life.ensure()
    key = GatewayKey.objects.get()
    assert console.open("policies_gatewaykey_add").status == 403
    assert console.open("policies_gatewaykey_delete", key.pk).status == 403


def test_who_may_only_look_does_not_revoke() -> None:
    key_life.ensure()
    key = GatewayKey.objects.get()
    reader = User.objects.create_user("reader", password="x", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_gatewaykey"))
    page = Console(reader).open("policies_gatewaykey_changelist")
    assert states(page.text) == ["signs"]
    assert 'value="revoke"' not in page.text
    key.refresh_from_db()
    assert key.revoked is None
