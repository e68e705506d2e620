"""Signing in to the console in a real browser: with a second factor, at a provider, and when the
provider is down. And with one code from many places at once."""

import http.client
import re
import threading
import time
from base64 import b32decode
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Browser, Page, expect

from tests.console_process import ConsoleProcess
from tests.e2e.chromium import launched
from tests.e2e.provider import Provider, secret
from tests.e2e.servers import Postgres
from tests.e2e.visitor import PASSWORD, Visitor

pytestmark = pytest.mark.e2e

ADA = f"""
from django.contrib.auth.models import User
ada = User.objects.create_superuser("ada", "", "{PASSWORD}")
"""
CONSOLE = """
from django.contrib.auth.models import Group, Permission
from accounts.models import ConsoleRole, ConsoleSignIn
from oidc_clients.models import Provider
from policies.secrets import Secret
acme = Provider.objects.create(
    name="acme", issuer="{issuer}", audiences=["urn:test:api"], algorithms=["RS256", "ES256"],
    token_types=["at+jwt"], insecure_http=True)
chosen = ConsoleSignIn.objects.create(
    provider=acme, client_id="console", client_secret=Secret("{secret}"),
    scopes=["profile", "groups"])
readers = Group.objects.create(name="readers")
readers.permissions.set(Permission.objects.filter(codename="view_provider"))
ConsoleRole.objects.create(sign_in=chosen, value="admins", administrator=True)
ConsoleRole.objects.create(sign_in=chosen, value="staff", group=readers)
"""
SIX = "text=/Type the six digits/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture(scope="module")
def console(provider: Provider) -> Iterator[ConsoleProcess]:
    setup = CONSOLE.format(issuer=provider.issuer, secret=secret("console"))
    process = ConsoleProcess(ADA + setup)
    provider.serve_console(f"http://127.0.0.1:{process.console_port}")
    process.start()
    yield process
    process.stop()
    process.remove()


@pytest.fixture
def visitor(browser: Browser, console: ConsoleProcess, provider: Provider) -> Iterator[Visitor]:
    made = Visitor(browser, console, provider.issuer, viewport={"width": 1280, "height": 900})
    yield made
    made.context.close()


def at_provider(visitor: Visitor, user: str) -> None:
    """From the console's sign-in page to the provider, and to where that sends the browser."""
    visitor.go("/admin/")
    visitor.page.get_by_role("link", name="Sign in with your organisation").click()
    expect(visitor.page).to_have_url(re.compile(re.escape(visitor.also) + "/interaction/"))
    visitor.page.get_by_label("User").fill(user)
    visitor.page.get_by_role("button", name="Sign in").click()


def test_A4_somebody_signs_in_at_the_provider_and_may_what_their_group_may(
    visitor: Visitor, browser: Browser, console: ConsoleProcess, provider: Provider
) -> None:
    at_provider(visitor, "ruth")
    expect(visitor.page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(visitor.page.get_by_text("ruth@acme")).to_be_visible()
    visitor.go("/admin/accounts/consolesignin/")
    expect(visitor.page.get_by_label("Client id:")).to_have_value("console")
    (cookie,) = [each for each in visitor.context.cookies() if each["name"] == "console"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert visitor.complaints == []

    sam = Visitor(browser, console, provider.issuer)
    at_provider(sam, "sam")
    expect(sam.page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(sam.page.get_by_role("link", name="acme")).to_have_count(0)
    answer = sam.page.goto(sam.origin + "/admin/accounts/consolesignin/")
    assert answer is not None
    assert answer.status == 403
    sam.context.close()

    mallory = Visitor(browser, console, provider.issuer)
    at_provider(mallory, "mallory")  # in no group that a role names
    expect(mallory.page.get_by_text("Nobody was signed in at the provider")).to_be_visible()
    mallory.context.close()


def test_A5_a_second_factor_from_setting_it_up_to_a_recovery_code(
    visitor: Visitor, browser: Browser, console: ConsoleProcess, provider: Provider
) -> None:
    page = visitor.page
    visitor.sign_in()
    page.get_by_role("link", name="Second factor").click()
    key = page.locator(".typed-key").inner_text().replace(" ", "")
    expect(page.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    type_code(page, shown(key), "Use this authenticator")
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert visitor.complaints == []

    # The provider is down: ada comes in with what she has, on another machine.
    provider.fault("down")
    try:
        other = Visitor(browser, console, provider.issuer, viewport={"width": 400, "height": 800})
        other.give_password()
        expect(other.page.locator(SIX)).to_be_visible()
        assert other.page.evaluate("document.documentElement.scrollWidth") <= 400
        answer = other.page.goto(other.origin + "/admin/apis/api/")
        assert answer is not None
        expect(other.page.locator(SIX)).to_be_visible()
        type_code(other.page, codes[0], "Continue")
        expect(other.page).to_have_url(other.origin + "/admin/apis/api/")
        assert other.complaints == []
        other.context.close()
    finally:
        provider.fault("none")


def shown(key: str, steps: int = 0) -> str:
    """What an authenticator app shows for a key."""
    totp = TOTP(b32decode(key))
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06d}"


def type_code(page: Page, code: str, button: str) -> None:
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name=button).click()


class Poster:
    """A signed-in connection to the console, without a browser."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **entries: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if method == "POST":
            entries["csrfmiddlewaretoken"] = self.cookies.get("csrf", "")
        lines = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request(method, path, urlencode(entries), lines)
        answer = connection.getresponse()
        answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer

    def password(self) -> None:
        self.ask("GET", "/admin/login/")
        answer = self.ask("POST", "/admin/login/", username="ada", password=PASSWORD, next="/")
        assert answer.status == 302


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_A5_one_code_typed_in_many_places_at_once_lets_one_in(
    database: str, request: pytest.FixtureRequest
) -> None:
    settings = {}
    if database == "postgres":
        server: Postgres = request.getfixturevalue("postgres_server")
        settings["database_url"] = server.database()
    key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    authenticator = f"""
from accounts.models import Authenticator
from policies.secrets import Secret
Authenticator(user=ada, name="a", confirmed=True, key=Secret("{key}")).save()
"""
    process = ConsoleProcess(ADA + authenticator, **settings)
    process.start()
    try:
        posters = [Poster(process.console_port) for _ in range(4)]
        for poster in posters:
            poster.password()
        code, statuses = shown(key, 1), []
        ready = threading.Barrier(len(posters))

        def type_it(poster: Poster) -> None:
            ready.wait()
            statuses.append(poster.ask("POST", "/admin/second-factor/", code=code).status)

        threads = [threading.Thread(target=type_it, args=(poster,)) for poster in posters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 200, 200, 302]
        let_in = [poster.ask("GET", "/admin/").status for poster in posters]
        assert sorted(let_in) == [200, 302, 302, 302]
    finally:
        process.stop()
        process.remove()
