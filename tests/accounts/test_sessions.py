"""How long a console session lasts (A5)."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import sessions
from accounts.models import ConsoleSignIn
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db
INDEX = "/admin/"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    moving = {"now": 1_800_000_000.0}
    monkeypatch.setattr(sessions.time, "time", lambda: moving["now"])
    return moving


@pytest.fixture
def browser(ada: User, clock: dict[str, float]) -> Client:
    made = Client()
    made.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    return made


def may_look(browser: Client) -> bool:
    return browser.get(INDEX).status_code == 200


def test_A5_a_session_ends_when_nobody_uses_it(browser: Client, clock: dict[str, float]) -> None:
    for _ in range(3):
        clock["now"] += 30 * 60 - 1
        assert may_look(browser)
    clock["now"] += 30 * 60
    assert not may_look(browser)
    assert "_auth_user_id" not in browser.session
    clock["now"] -= 30 * 60
    assert not may_look(browser)


def test_A5_a_session_ends_however_busy(browser: Client, clock: dict[str, float]) -> None:
    began = clock["now"]
    while clock["now"] + 1200 < began + 8 * 3600:
        clock["now"] += 1200
        assert may_look(browser)
    clock["now"] = began + 8 * 3600
    assert not may_look(browser)


def test_A5_an_administrator_sets_both(browser: Client, clock: dict[str, float]) -> None:
    ConsoleSignIn.objects.create(idle_minutes=5, lifetime_minutes=9)
    for minutes, open_ in ((4, True), (8, True), (9, False)):
        clock["now"] = 1_800_000_000 + minutes * 60
        assert may_look(browser) is open_


@pytest.mark.parametrize("left", [{}, {"console.began": "x"}, {"console.seen": None}])
def test_A5_a_session_that_does_not_say_when_it_began_is_over(
    browser: Client, left: dict[str, Any]
) -> None:
    session = browser.session
    if left:
        session.update(left)
    else:
        del session["console.began"]
    session.save()
    assert not may_look(browser)


def test_A5_signing_in_changes_the_session(ada: User, clock: dict[str, float]) -> None:
    browser = Client()
    session = browser.session
    session["planted"] = True
    session.save()
    browser.cookies["console"] = session.session_key
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    assert browser.session.session_key != session.session_key


def test_A4_the_cookies(browser: Client) -> None:
    cookie = browser.cookies["console"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
