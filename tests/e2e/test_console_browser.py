"""The console in a real browser, as it is shipped: from signing in to a protected API.

The browser reports what its Content-Security-Policy refused, scripts that failed, and requests
that went anywhere else; there must be none of them on any page.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.console_process import ConsoleProcess
from tests.e2e.chromium import launched

pytestmark = pytest.mark.e2e

PASSWORD = "a-long-pass-phrase"
SETUP = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("ada", "", "{PASSWORD}")
"""
UNLABELLED = """() => [...document.querySelectorAll("input, select, textarea")]
  .filter(e => e.type !== "hidden" && e.type !== "submit" && e.offsetParent !== null)
  .filter(e => !e.labels.length && !e.ariaLabel && !e.closest("[aria-label]") && !e.title
    && !e.closest("td"))
  .map(e => e.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def console() -> Iterator[ConsoleProcess]:
    process = ConsoleProcess(SETUP)
    process.start()
    yield process
    process.stop()
    process.remove()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


class Visitor:
    """A person at a browser, and all that the browser complained of."""

    def __init__(self, browser: Browser, console: ConsoleProcess, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.origin = f"http://127.0.0.1:{console.console_port}"
        self.complaints: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self._asked(request.url))

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before its image came
            self.complaints.append(f"{request.url}: {request.failure}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin, "data:")):
            self.complaints.append(f"asked {url}")

    def go(self, path: str) -> None:
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        assert answer.status == 200

    def sign_in(self) -> None:
        self.go("/admin/")
        self.page.get_by_label("Username").fill("ada")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Overview")).to_be_visible()

    def save(self, said: str = "was added successfully") -> None:
        """Save, and wait until the answer is there whole: leaving earlier would abort it."""
        self.page.get_by_role("button", name="Save", exact=True).click()
        expect(self.page.locator(".messagelist, .errornote")).to_contain_text(said)
        self.page.wait_for_load_state()


@pytest.fixture
def visitor(browser: Browser, console: ConsoleProcess) -> Iterator[Visitor]:
    made = Visitor(browser, console, viewport={"width": 1280, "height": 800})
    yield made
    made.context.close()


def test_A4_an_administrator_protects_an_api_without_one_complaint_of_the_browser(
    visitor: Visitor, browser: Browser, console: ConsoleProcess
) -> None:
    page = visitor.page
    visitor.sign_in()
    register_provider(visitor)
    register_api(visitor)
    expect(page.get_by_text("1 of 1 route refuses every call")).to_be_visible()
    add_route(visitor)
    attach_jwt(visitor)
    expect(page.get_by_text("refuses every call")).to_have_count(0)
    expect(page.locator(".policy-list li")).to_have_text(["jwt · API"])
    visitor.go("/admin/")
    expect(page.get_by_text("Every route is in order")).to_be_visible()
    assert visitor.complaints == []
    every_page_fits_and_is_labelled(visitor, browser, console)


def register_provider(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Register the OpenID provider").click()
    page.get_by_label("Name:", exact=True).fill("acme")
    page.get_by_label("Issuer").fill("http://id.example.org")
    page.get_by_label("Audiences").fill("orders")
    page.get_by_label("Algorithms").fill("RS256")
    page.get_by_text("refresh_token").click()
    page.get_by_role("button", name=re.compile("Add another Own")).click()
    page.locator("#id_client-0-client_id").fill("gateway")
    page.locator("#id_client-0-secret_0").fill("a-secret-of-the-gateway")
    visitor.save("Please correct")
    expect(page.locator(".field-issuer .errorlist")).to_contain_text("use https")
    page.get_by_label("Issuer").fill("https://id.example.org")
    page.locator("#id_client-0-secret_0").fill("a-secret-of-the-gateway")
    visitor.save()
    page.get_by_role("link", name="acme", exact=True).first.click()
    expect(page.get_by_text("stored: yes")).to_be_visible()
    expect(page.locator("#id_client-0-secret_0")).to_have_value("")


def register_api(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/admin/apis/upstream/add/")
    page.get_by_label("Name:", exact=True).fill("orders")
    page.locator("#id_targets-0-url").fill("https://orders.example.org")
    page.get_by_role("button", name="Add another Target").click()
    page.locator("#id_targets-1-url").fill("https://orders-2.example.org")
    visitor.save()
    visitor.go("/admin/apis/api/add/")
    page.get_by_label("Name:", exact=True).fill("orders")
    page.get_by_label("Upstream:", exact=True).select_option(label="orders")
    page.get_by_label("Base path:", exact=True).fill("/orders")
    visitor.save()


def add_route(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Add a route").click()
    page.get_by_label("Methods").fill("GET")
    page.get_by_label("Path:", exact=True).fill("/items/{id}")
    visitor.save()
    expect(page.get_by_text("This route refuses every call")).to_be_visible()


def attach_jwt(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/admin/apis/api/")
    page.get_by_role("link", name="orders", exact=True).first.click()
    page.get_by_role("link", name="Attach a policy").click()
    page.get_by_role("link", name=re.compile("^jwt Requires a token")).click()
    visitor.save("Please correct")
    expect(page.locator(".field-config_providers .errorlist")).to_be_visible()
    page.get_by_label("acme").check()
    page.get_by_label("Scopes:", exact=True).fill("read")
    visitor.save()


def every_page_fits_and_is_labelled(
    visitor: Visitor, browser: Browser, console: ConsoleProcess
) -> None:
    """On a phone in the dark too: no page is wider than the screen, every input has a name."""
    visitor.go("/admin/")
    paths = {"/admin/", "/admin/counters/", "/admin/apis/attachedpolicy/add/?kind=rate_limit"}
    for path in ("apis/api", "apis/route", "apis/upstream", "apis/attachedpolicy",
                 "oidc_clients/provider", "oidc_clients/client", "auth/user"):  # fmt: skip
        paths |= {f"/admin/{path}/", f"/admin/{path}/add/"}
        visitor.go(f"/admin/{path}/")
        rows = visitor.page.locator("#result_list tbody th a").all()
        paths |= {str(row.get_attribute("href")) for row in rows}
    phone = Visitor(browser, console, viewport={"width": 400, "height": 800}, color_scheme="dark")
    phone.context.add_cookies(visitor.context.cookies())  # type: ignore[arg-type]
    for path in sorted(paths):
        phone.go(path)
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 400, path
        if "/auth/" not in path:  # those forms are Django's own
            assert phone.page.evaluate(UNLABELLED) == [], path
    assert phone.complaints == []
    phone.context.close()


def test_a_wrong_password_is_told_in_words(visitor: Visitor) -> None:
    visitor.go("/admin/")
    visitor.page.get_by_label("Username").fill("ada")
    visitor.page.get_by_label("Password").fill("wrong")
    visitor.page.get_by_role("button", name="Log in").click()
    expect(visitor.page.get_by_text("Please enter the correct username")).to_be_visible()
    assert visitor.complaints == []
