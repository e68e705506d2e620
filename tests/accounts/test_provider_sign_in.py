"""Signing in to the console at a provider: who gets in, as whom, with what, and who does not."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import views
from accounts.backend import ConsoleBackend
from accounts.models import ConsoleIdentity, ConsoleRole, ConsoleSignIn
from accounts.tasks import purge_sessions
from accounts.throttle import PER_ADDRESS
from oidc_clients.models import Provider
from tests.accounts.conftest import CANARY, PASSWORD, Visitor
from tests.oidc_clients.conftest import Keys
from tests.oidc_clients.loopback import Provider as Loopback

pytestmark = pytest.mark.django_db

INDEX = "/admin/"


def signed_in(visitor: Visitor) -> User:
    assert visitor.user is not None
    return visitor.user


def may_look(visitor: Visitor) -> bool:
    return visitor.browser.get(INDEX).status_code == 200


def test_the_request_has_everything_that_makes_it_safe(
    visitor: Visitor, loopback: Loopback
) -> None:
    url = visitor.begin()
    assert url.startswith(loopback.url("/authorize?"))
    asked = visitor.asked
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "console"
    assert asked["scope"] == "openid profile"
    assert asked["redirect_uri"] == "http://testserver/admin/sign-in/callback/"
    assert asked["code_challenge_method"] == "S256"
    assert min(len(asked["state"]), len(asked["nonce"])) >= 32
    first = dict(asked)
    visitor.begin()
    for name in ("state", "nonce", "code_challenge"):
        assert visitor.asked[name] != first[name]


def test_the_code_goes_to_the_token_endpoint_with_its_verifier_and_the_secret_in_the_header(
    visitor: Visitor, loopback: Loopback
) -> None:
    visitor.sign_in()
    path, headers, body = next(seen for seen in loopback.seen if seen[0] == "/token")
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert challenge == visitor.asked["code_challenge"]
    assert form["redirect_uri"] == visitor.asked["redirect_uri"]
    assert headers["Authorization"].startswith("Basic ")
    assert CANARY not in body.decode() + path


def test_A4_somebody_new_gets_an_account_with_what_the_roles_grant(visitor: Visitor) -> None:
    answer = visitor.sign_in(preferred_username="grace hopper")
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
    user = signed_in(visitor)
    assert user.username == "grace-hopper@acme"
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert [group.name for group in user.groups.all()] == ["readers"]
    assert not user.has_usable_password()
    assert may_look(visitor)


def test_A4_roles_are_taken_away_again(visitor: Visitor) -> None:
    visitor.sign_in(groups=["staff", "admins"])
    user = signed_in(visitor)
    assert user.is_superuser
    by_hand = Permission.objects.first()
    assert by_hand is not None
    user.user_permissions.add(by_hand)
    visitor.sign_in(groups=["admins"])
    user.refresh_from_db()
    assert (user.is_superuser, list(user.groups.all())) == (True, [])
    assert not user.user_permissions.exists()
    visitor.browser = Client()
    visitor.sign_in(groups=["others"])
    assert visitor.user is None
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (False, False)


@pytest.mark.parametrize(
    "groups", [..., [], "", "STAFF", ["staff "], {"staff": True}, 1, None, [["staff"]]]
)
def test_A4_whom_no_role_names_is_nobody(visitor: Visitor, groups: Any) -> None:
    visitor.sign_in(groups=groups)
    assert visitor.user is None
    assert not User.objects.exists()


def test_the_groups_may_stand_in_userinfo_and_never_overrule_the_token(visitor: Visitor) -> None:
    visitor.sign_in(groups=..., userinfo={"groups": ["staff"]})
    assert not signed_in(visitor).is_superuser
    visitor.sign_in(groups=["staff"], userinfo={"groups": ["admins"]})
    assert not signed_in(visitor).is_superuser


@pytest.mark.parametrize(
    ("required", "said", "in_"),
    [
        ({"email_verified": True}, {"email_verified": True}, True),
        ({"email_verified": True}, {"email_verified": "true"}, False),
        ({"email_verified": True}, {"email_verified": 1}, False),
        ({"email_verified": True}, {}, False),
        ({"hd": ["a.example", "b.example"]}, {"hd": "b.example"}, True),
        ({"hd": ["a.example", "b.example"]}, {"hd": "c.example"}, False),
        ({"amr": "otp"}, {"amr": ["pwd", "otp"]}, True),
        ({"amr": "otp", "hd": "a.example"}, {"amr": ["pwd", "otp"]}, False),
    ],
)
def test_A4_required_claims(
    visitor: Visitor,
    chosen: ConsoleSignIn,
    required: dict[str, Any],
    said: dict[str, Any],
    in_: bool,
) -> None:
    chosen.required_claims = required
    chosen.save()
    visitor.sign_in(**said)
    assert (visitor.user is not None) is in_


def test_A4_a_user_is_the_subject_and_never_a_name_or_address(visitor: Visitor, ada: User) -> None:
    visitor.sign_in(preferred_username="ada", email=ada.email, groups=["admins"])
    first = signed_in(visitor)
    assert first != ada
    visitor.browser = Client()
    visitor.sign_in(preferred_username="another-name", email="other@example.org")
    assert visitor.user == first
    visitor.browser = Client()
    visitor.sign_in(sub="s-2", preferred_username="ada", userinfo={"sub": "s-2"})
    second = signed_in(visitor)
    assert second not in (ada, first)
    assert second.username == "ada@acme-2"
    ada.refresh_from_db()
    assert ada.is_superuser


def test_A4_an_account_can_be_given_to_a_subject_beforehand(
    visitor: Visitor, ada: User, loopback: Loopback
) -> None:
    ConsoleIdentity.objects.create(user=ada, issuer=loopback.issuer, subject="s-1")
    visitor.sign_in(groups=["admins"])
    assert visitor.user == ada


def test_A4_a_subject_is_one_of_its_issuer(visitor: Visitor, ada: User) -> None:
    ConsoleIdentity.objects.create(user=ada, issuer="https://former.example", subject="s-1")
    visitor.sign_in()
    assert signed_in(visitor) != ada


def test_A4_an_account_that_is_switched_off_stays_out(visitor: Visitor) -> None:
    visitor.sign_in()
    user = signed_in(visitor)
    user.is_active = False
    user.save()
    assert not may_look(visitor)
    assert ConsoleBackend().get_user(user.pk) is None
    visitor.browser = Client()
    visitor.sign_in()
    assert visitor.user is None


@pytest.mark.parametrize(
    "query",
    [
        {"state": "made-up"},
        {"state": ...},
        {"code": ...},
        {"iss": "https://evil.example"},
        {"code": ["a", "b"]},
        {"error": "access_denied"},
    ],
)
def test_A4_a_callback_that_answers_no_sign_in_of_this_browser(
    visitor: Visitor, loopback: Loopback, query: dict[str, Any]
) -> None:
    visitor.begin()
    visitor.says()
    answer = visitor.come_back(**query)
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:login"))
    assert visitor.user is None
    assert loopback.hits["token"] == 0


def test_A4_a_callback_of_another_browser(visitor: Visitor, loopback: Loopback) -> None:
    visitor.begin()
    visitor.says()
    visitor.browser = Client()
    visitor.come_back()
    assert visitor.user is None
    assert loopback.hits["token"] == 0


def test_A4_a_provider_that_says_it_names_itself_must(visitor: Visitor, loopback: Loopback) -> None:
    loopback.metadata["authorization_response_iss_parameter_supported"] = True
    visitor.sign_in()
    assert visitor.user is None
    visitor.begin()
    visitor.says()
    visitor.come_back(iss=loopback.issuer)
    assert visitor.user is not None


def test_A4_a_callback_counts_once_and_not_for_long(
    visitor: Visitor, loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.sign_in()
    visitor.browser.logout()
    visitor.come_back()
    assert visitor.user is None
    assert loopback.hits["token"] == 1
    visitor.begin()
    visitor.says()
    now = views.time.time()
    monkeypatch.setattr(views.time, "time", lambda: now + views.LIFETIME)
    visitor.come_back()
    assert visitor.user is None
    assert loopback.hits["token"] == 1


def test_A4_an_error_of_the_provider_signs_nobody_out(visitor: Visitor) -> None:
    """The stock view signs out whoever is sent a link to it."""
    visitor.sign_in()
    visitor.browser.get(visitor.back, {"error": "access_denied"})
    assert may_look(visitor)


def test_a_token_of_a_stranger_or_another_nonce_is_refused(visitor: Visitor, keys: Keys) -> None:
    for said in (
        {"key": keys.rsa_2.named("rsa-1")},
        {"nonce": "another"},
        {"nonce": ...},
        {"sub": ...},
        {"header": {"alg": "none"}},
        {"header": {"typ": "at+jwt"}},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ):
        visitor.sign_in(**said)
        assert visitor.user is None, said


@pytest.mark.parametrize(
    "fault", ["down", "error", "html", "garbage", "redirect", "truncated", "compressed"]
)
def test_A4_whatever_the_provider_does_is_a_sign_in_that_failed(
    visitor: Visitor, loopback: Loopback, fault: str, ada: User
) -> None:
    visitor.begin()
    visitor.says()
    loopback.fault = fault
    assert visitor.come_back()["Location"] == reverse("admin:login")
    assert visitor.user is None
    # a local account is the way in
    visitor.browser.post(reverse("admin:login"), {"username": "ada", "password": PASSWORD})
    assert may_look(visitor)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": "a", "token_type": "Bearer"},
        {"access_token": "a", "token_type": "Bearer", "id_token": "x"},
        {"access_token": "a", "token_type": "Bearer", "id_token": 7},
    ],
)
def test_A4_an_answer_without_an_id_token(
    visitor: Visitor, loopback: Loopback, answer: dict[str, Any]
) -> None:
    visitor.begin()
    visitor.says()
    loopback.answers["token"] = answer
    visitor.come_back()
    assert visitor.user is None


def test_A5_a_sign_in_begins_a_new_session(visitor: Visitor) -> None:
    visitor.begin()
    before = visitor.browser.session.session_key
    visitor.says()
    visitor.come_back()
    assert visitor.browser.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()
    assert "oidc_states" not in visitor.browser.session


def test_A5_sessions_end_with_their_provider(
    visitor: Visitor, acme: Provider, chosen: ConsoleSignIn
) -> None:
    for change in ({"enabled": False}, {"issuer": "https://other.example"}):
        visitor.sign_in()
        assert may_look(visitor)
        kept = {name: getattr(acme, name) for name in change}
        Provider.objects.update(**change)
        assert not may_look(visitor)
        visitor.browser.get(reverse("admin:login"))
        assert visitor.user is None
        Provider.objects.update(**kept)
    visitor.sign_in()
    chosen.delete()
    assert not may_look(visitor)


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/admin/apis/api/", True),
        ("https://evil.example/", False),
        ("//evil.example/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_A4_afterwards_one_stays_on_this_console(visitor: Visitor, target: str, kept: bool) -> None:
    visitor.begin(target)
    visitor.says()
    assert visitor.come_back()["Location"] == (target if kept else INDEX)


def test_without_a_provider_there_is_no_way_to_it(
    visitor: Visitor, acme: Provider, loopback: Loopback
) -> None:
    login = reverse("admin:login")
    assert visitor.to in visitor.browser.get(login).content.decode()
    Provider.objects.update(enabled=False)
    assert visitor.to not in visitor.browser.get(login).content.decode()
    assert visitor.browser.get(visitor.to)["Location"] == login
    assert not loopback.seen


def test_A5_junk_callbacks_are_throttled_and_close_no_other_way_in(
    visitor: Visitor, ada: User, loopback: Loopback
) -> None:
    """django-axes would lock the address for passwords too."""
    limit = int(PER_ADDRESS.partition("/")[0])
    statuses = [visitor.come_back(state="junk").status_code for _ in range(limit + 1)]
    assert statuses == [302] * limit + [429]
    visitor.browser.post(reverse("admin:login"), {"username": "ada", "password": PASSWORD})
    assert may_look(visitor)


def test_D7_the_secret_and_the_tokens_are_kept_nowhere(
    visitor: Visitor, chosen: ConsoleSignIn, caplog: pytest.LogCaptureFixture
) -> None:
    visitor.sign_in()
    visitor.sign_in(nonce="another")
    token = visitor.loopback.answers["token"]["id_token"]
    kept = repr([session.get_decoded() for session in Session.objects.all()])
    kept += repr(list(LogEntry.objects.values())) + caplog.text
    kept += repr(list(ConsoleSignIn.objects.values()))
    for secret in (CANARY, token, "opaque", visitor.asked["nonce"]):
        assert secret not in kept


def test_the_role_table_decides_and_not_the_name_of_a_group(
    visitor: Visitor, chosen: ConsoleSignIn
) -> None:
    group = Group.objects.create(name="admins")
    ConsoleRole.objects.filter(value="admins").update(administrator=False, group=group)
    visitor.sign_in(groups=["admins"])
    user = signed_in(visitor)
    assert (user.is_superuser, user.is_staff) == (False, True)


def test_ended_sessions_are_purged() -> None:
    yesterday = timezone.now() - timedelta(days=1)
    Session.objects.create(session_key="old", session_data="", expire_date=yesterday)
    purge_sessions()
    assert not Session.objects.exists()
