"""Local accounts: the second factor, from setting it up to losing it (A5)."""

import io
import re
import time
from base64 import b32decode
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp

from accounts import second_factor
from accounts.models import Authenticator, ConsoleSignIn, RecoveryCode
from accounts.throttle import CODES_PER_ACCOUNT
from tests.accounts.conftest import PASSWORD
from tests.console_pages import Console, superuser

pytestmark = pytest.mark.django_db

LOGIN, CODE, SET_UP = "/admin/login/", "/admin/second-factor/", "/admin/second-factor/set-up/"
INDEX = "/admin/"


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The middle of a time step; a test may move the clock on."""
    clock = {"now": 1_800_000_015.0}
    monkeypatch.setattr(second_factor.time, "time", lambda: clock["now"])
    return clock


def code(key: str, clock: dict[str, float], steps: int = 0) -> str:
    """What an app shows; ``steps`` of 30 seconds from now."""
    shown = totp(b32decode(key), t0=int(time_zero(clock, steps)))
    return f"{shown:06d}"


def time_zero(clock: dict[str, float], steps: int) -> float:
    """django-otp's function reads the real clock: move its beginning instead of its end."""
    return REAL() - clock["now"] - 30 * steps


REAL = time.time


def password(browser: Client, user: User, target: str = "") -> Any:
    entries = {"username": user.get_username(), "password": PASSWORD, "next": target or INDEX}
    return browser.post(LOGIN, entries)


def may_look(browser: Client) -> bool:
    return browser.get(INDEX).status_code == 200


@pytest.fixture
def browser(ada: User) -> Client:
    """Ada at a browser, signed in by password."""
    made = Client()
    password(made, ada)
    return made


class App:
    """Ada's phone."""

    def __init__(self, clock: dict[str, float]) -> None:
        self.clock, self.key = clock, ""

    def scan(self, page: str) -> None:
        found = re.search(r'class="typed-key">([A-Z2-7 ]+)<', page)
        assert found is not None, page
        self.key = found[1].replace(" ", "")

    def shows(self, steps: int = 0) -> str:
        return code(self.key, self.clock, steps)


@pytest.fixture
def app(browser: Client, steady: dict[str, float]) -> App:
    """The phone, once Ada has set it up."""
    made = App(steady)
    made.scan(browser.get(SET_UP).content.decode())
    answer = browser.post(SET_UP, {"code": made.shows()})
    assert "recovery-codes" in answer.content.decode()
    steady["now"] += 30
    return made


def recovery_codes(page: str) -> list[str]:
    return re.findall(r"<code>([a-z0-9]{4}(?:-[a-z0-9]{4}){2})</code>", page)


def test_A5_with_a_second_factor_the_password_alone_opens_nothing(app: App, ada: User) -> None:
    browser = Client()
    password(browser, ada)
    codes, remove = "/admin/second-factor/recovery-codes/", "/admin/second-factor/remove/"
    for path in (INDEX, "/admin/apis/api/", "/admin/password_change/", SET_UP, codes, remove):
        for answer in (browser.get(path), browser.post(path)):
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(LOGIN), path
    assert Authenticator.objects.filter(confirmed=True).count() == 1
    asked = browser.get(LOGIN, {"next": "/admin/apis/api/"})
    assert asked["Location"] == f"{CODE}?next=%2Fadmin%2Fapis%2Fapi%2F"
    assert browser.post(CODE, {"code": "000000"}).status_code == 200
    assert not may_look(browser)
    done = browser.post(CODE, {"code": app.shows(), "next": "/admin/apis/api/"})
    assert done["Location"] == "/admin/apis/api/"
    assert may_look(browser)


def test_A5_sessions_that_were_open_elsewhere_need_the_code_too(
    ada: User, steady: dict[str, float]
) -> None:
    here, elsewhere = Client(), Client()
    password(here, ada)
    password(elsewhere, ada)
    assert may_look(elsewhere)
    app = App(steady)
    app.scan(here.get(SET_UP).content.decode())
    here.post(SET_UP, {"code": app.shows()})
    assert may_look(here)
    assert not may_look(elsewhere)


@pytest.mark.parametrize(
    ("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_A5_one_step_to_either_side(
    app: App, ada: User, steady: dict[str, float], steps: int, right: bool
) -> None:
    steady["now"] += 300
    browser = Client()
    password(browser, ada)
    browser.post(CODE, {"code": app.shows(steps)})
    assert may_look(browser) is right


@pytest.mark.parametrize("written", ["{0} {1}", " {0}{1} "])
def test_a_code_may_be_typed_as_it_is_shown(app: App, ada: User, written: str) -> None:
    browser = Client()
    password(browser, ada)
    shown = app.shows()
    browser.post(CODE, {"code": written.format(shown[:3], shown[3:])})
    assert may_look(browser)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "-12345", "+12345", "1e5", "\u0661" * 6])
def test_A5_what_is_no_code(app: App, ada: User, typed: str) -> None:
    browser = Client()
    password(browser, ada)
    assert browser.post(CODE, {"code": typed}).status_code == 200
    assert not may_look(browser)


def test_A5_a_code_is_accepted_once_and_no_older_one_after_it(
    app: App, ada: User, steady: dict[str, float]
) -> None:
    steady["now"] += 300
    former, used = app.shows(-1), app.shows()
    for number, typed in enumerate((used, used, former)):
        browser = Client()
        password(browser, ada)
        browser.post(CODE, {"code": typed})
        assert may_look(browser) is (number == 0)


def test_A5_the_code_that_set_it_up_signs_nobody_in(
    ada: User, browser: Client, steady: dict[str, float]
) -> None:
    app = App(steady)
    app.scan(browser.get(SET_UP).content.decode())
    used = app.shows()
    browser.post(SET_UP, {"code": used})
    again = Client()
    password(again, ada)
    again.post(CODE, {"code": used})
    assert not may_look(again)


def test_A5_a_recovery_code_stands_in_once(ada: User, browser: Client, app: App) -> None:
    codes = recovery_codes(browser.post("/admin/second-factor/recovery-codes/").content.decode())
    assert len(set(codes)) == 10
    for typed, right in ((codes[0], True), (codes[0], False), (codes[1].upper(), True)):
        again = Client()
        password(again, ada)
        again.post(CODE, {"code": typed})
        assert may_look(again) is right
    assert RecoveryCode.objects.count() == 8
    assert "8 recovery codes left" in browser.get(SET_UP).content.decode()
    fresh = recovery_codes(browser.post("/admin/second-factor/recovery-codes/").content.decode())
    assert not set(fresh) & set(codes)
    again = Client()
    password(again, ada)
    again.post(CODE, {"code": codes[2]})
    assert not may_look(again)


def test_A5_a_recovery_code_is_its_owners(ada: User, app: App) -> None:
    eve = User.objects.create_superuser("eve", "", PASSWORD)
    Authenticator(user=eve, name="a", confirmed=True, key=second_factor.Secret("A" * 32)).save()
    hers = second_factor.new_recovery_codes(eve)
    browser = Client()
    password(browser, ada)
    browser.post(CODE, {"code": hers[0]})
    assert not may_look(browser)


def test_A5_codes_are_throttled_whatever_the_address(app: App, ada: User) -> None:
    limit = int(CODES_PER_ACCOUNT[0].partition("/")[0])
    browser = Client()
    password(browser, ada)
    statuses = [
        browser.post(CODE, {"code": "000000"}, REMOTE_ADDR=f"198.51.100.{number}").status_code
        for number in range(limit)
    ]
    assert statuses[:-1] == [200] * (limit - 1)  # the one that set it up may count too
    refused = browser.post(CODE, {"code": app.shows()}, REMOTE_ADDR="198.51.100.200")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert not may_look(browser)


def test_A5_the_session_is_a_new_one_after_each_step(app: App, ada: User) -> None:
    browser = Client()
    browser.get(LOGIN)
    password(browser, ada)
    between = browser.session.session_key
    browser.post(CODE, {"code": app.shows()})
    assert browser.session.session_key != between


def test_A1_key_and_recovery_codes_are_in_the_database_for_nobody_to_read(
    browser: Client, app: App
) -> None:
    codes = recovery_codes(browser.post("/admin/second-factor/recovery-codes/").content.decode())
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM accounts_authenticator")
        stored = repr(cursor.fetchall())
        cursor.execute("SELECT digest FROM accounts_recoverycode")
        stored += repr(cursor.fetchall())
    for secret in (app.key, b32decode(app.key).hex(), *codes, codes[0].replace("-", "")):
        assert secret not in stored


def test_nothing_counts_before_a_code_was_typed(browser: Client, ada: User) -> None:
    first, again = (browser.get(SET_UP).content.decode() for _ in range(2))
    app, same = App({}), App({})
    app.scan(first)
    same.scan(again)
    assert app.key == same.key  # the page may be reloaded
    assert "may be" not in browser.post(SET_UP, {"code": "000000"}).content.decode()
    other = Client()
    password(other, ada)
    assert may_look(other)


def test_another_authenticator_takes_the_place_of_the_first(
    browser: Client, app: App, ada: User, steady: dict[str, float]
) -> None:
    former = App(steady)
    former.key = app.key
    app.scan(browser.get(SET_UP).content.decode())
    assert app.key != former.key
    browser.post(SET_UP, {"code": app.shows()})
    steady["now"] += 60
    for phone, right in ((former, False), (app, True)):
        again = Client()
        password(again, ada)
        again.post(CODE, {"code": phone.shows()})
        assert may_look(again) is right
    assert may_look(browser)


def test_one_may_do_without_it_where_that_is_allowed(browser: Client, app: App, ada: User) -> None:
    ConsoleSignIn.objects.create(second_factor_required=True)
    remove = "/admin/second-factor/remove/"
    assert remove not in browser.get(SET_UP).content.decode()
    browser.post(remove)
    assert second_factor.authenticator_of(ada) is not None
    ConsoleSignIn.objects.update(second_factor_required=False)
    browser.get(remove)  # a link removes nothing
    assert second_factor.authenticator_of(ada) is not None
    browser.post(remove)
    assert second_factor.authenticator_of(ada) is None
    assert not RecoveryCode.objects.exists()
    again = Client()
    password(again, ada)
    assert may_look(again)


def test_A5_an_administrator_can_require_it_of_everybody(
    ada: User, steady: dict[str, float]
) -> None:
    ConsoleSignIn.objects.create(second_factor_required=True)
    browser = Client()
    password(browser, ada)
    assert not may_look(browser)
    assert browser.get(LOGIN)["Location"].startswith(SET_UP)
    page = browser.get(SET_UP).content.decode()
    assert "needs a second factor" in page
    app = App(steady)
    app.scan(page)
    browser.post(SET_UP, {"code": app.shows()})
    assert may_look(browser)


def test_an_administrator_lets_somebody_in_again_who_lost_everything(app: App, ada: User) -> None:
    console = Console(superuser())
    page = console.open("auth_user_changelist")
    chosen = {"action": "reset_second_factor", "_selected_action": [ada.pk]}
    console.browser.post(page.url, chosen)
    assert second_factor.authenticator_of(ada) is None
    browser = Client()
    password(browser, ada)
    assert may_look(browser)


def test_the_last_administrator_has_a_way_back_in(app: App, ada: User) -> None:
    with pytest.raises(CommandError, match="no account is called eve"):
        call_command("reset_second_factor", "eve")
    call_command("reset_second_factor", "ada", stdout=io.StringIO())
    browser = Client()
    password(browser, ada)
    assert may_look(browser)


def test_A4_the_pages_need_nothing_inline(browser: Client, app: App, ada: User) -> None:
    console = Console(ada)
    console.browser = browser
    page = console.open("second_factor_set_up")
    assert page.inline == []
    assert "<svg" in page.text
    assert "no-store" in page.headers["Cache-Control"]
    console.browser = Client()
    password(console.browser, ada)
    assert console.open("second_factor").inline == []


def test_the_pages_send_those_away_who_have_no_business_there(ada: User) -> None:
    nobody = Client()
    for path in (CODE, SET_UP):
        assert nobody.get(path)["Location"] == LOGIN
    clerk = User.objects.create_user("clerk", password=PASSWORD)  # not staff
    browser = Client()
    browser.force_login(clerk)
    for path in (CODE, SET_UP):
        assert browser.get(path)["Location"] == LOGIN


def test_the_second_step_is_for_those_who_have_one_to_make(browser: Client) -> None:
    assert browser.get(CODE)["Location"] == LOGIN
    assert browser.get(LOGIN)["Location"] == INDEX


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"]
)
def test_A4_after_the_second_step_one_stays_on_this_console(
    app: App, ada: User, target: str
) -> None:
    browser = Client()
    password(browser, ada)
    done = browser.post(CODE, {"code": app.shows(), "next": target})
    assert done["Location"] == INDEX


def test_the_uri_is_as_apps_read_it(ada: User) -> None:
    ada.username = "ada @ home"
    uri = second_factor.uri(second_factor.offered(ada))
    assert re.fullmatch(
        r"otpauth://totp/Gatehouse%3Aada%20%40%20home\?secret=[A-Z2-7]{32}&issuer=Gatehouse", uri
    )


def test_a_csrf_token_is_needed_at_each_step(app: App, ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    for path in (LOGIN, CODE, SET_UP):
        assert strict.post(path, {"code": "000000"}).status_code == 403
    assert reverse("admin:second_factor") == CODE
