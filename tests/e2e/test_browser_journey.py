"""The sign-in in a real browser: what it stores, what it sends by itself, what it refuses."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.chromium import launched
from tests.e2e.conftest import Start
from tests.e2e.documents import sessions
from tests.e2e.gateway import Gateway
from tests.e2e.person import COOKIE
from tests.e2e.provider import Provider
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

# A page of another origin posts a form to the gateway, as any page of the web could.
FORGED = """<form method="post" action="{origin}/pages/x"><button>Win</button></form>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    installation = start(sessions(provider, upstream), only=None)
    provider.serve_browsers(f"http://127.0.0.1:{installation.port}")
    provider.lifetime(600)
    return installation


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1000, "height": 700})
    yield made
    made.close()


def sign_in(page: Page, origin: str, user: str) -> None:
    page.goto(f"{origin}/pages/id/7?q=1")
    page.get_by_label("User").fill(user)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{origin}/pages/id/7?q=1")


def test_D6_a_person_signs_in_calls_and_signs_out(
    context: BrowserContext, gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if "Policy" in m.text else None)
    origin = f"http://127.0.0.1:{gateway.port}"
    sign_in(page, origin, "alice")
    (seen,) = upstream.seen()
    assert (seen.target, seen.all("x-subject")) == ("/id/7?q=1", ["alice"])

    # The browser keeps a cookie that no script can read, and no token anywhere.
    (cookie,) = [item for item in context.cookies() if item["name"] == COOKIE]
    assert cookie["httpOnly"]
    assert (cookie["sameSite"], cookie["path"], cookie["expires"]) == ("Lax", "/", -1)
    assert cookie["domain"] == "127.0.0.1"
    assert COOKIE not in page.evaluate("document.cookie")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert kept == "[{},{}]"
    assert not re.search(r"ey[A-Za-z0-9_-]{10,}\.", str(context.cookies()))

    # A script of this origin calls with it, also by methods that change something.
    for method in ("GET", "POST", "PUT"):
        call = f"fetch('/api/id/1', {{method: '{method}'}}).then(answer => answer.status)"
        assert page.evaluate(call) == 200
    assert [item.method for item in upstream.seen()[1:]] == ["GET", "POST", "PUT"]
    told = page.evaluate("fetch('/auth/session').then(answer => answer.json())")
    assert (told["provider"], told["subject"]) == ("acme", "alice")

    # Signing out, without script, ends here and at the provider.
    page.goto(f"{origin}/auth/sessions")
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name=re.compile("Yes")).click()
    page.wait_for_url(f"{origin}/auth/signed-out**")
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert COOKIE not in [item["name"] for item in context.cookies()]
    page.goto(f"{origin}/pages/id/7")
    assert page.url.startswith(provider.issuer)  # asked anew: the provider's session is over
    assert complaints == []


def test_D6_a_page_of_another_origin_changes_nothing(
    context: BrowserContext, gateway: Gateway, upstream: Upstream
) -> None:
    page = context.new_page()
    origin = f"http://127.0.0.1:{gateway.port}"
    sign_in(page, origin, "alice")
    upstream.clear()
    page.route("http://evil.localhost/", lambda r: r.fulfill(
        content_type="text/html", body=FORGED.format(origin=origin)
    ))  # fmt: skip
    page.goto("http://evil.localhost/")
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win").click()
    assert navigation.value.status == 401
    assert upstream.seen() == []
    page.goto("http://evil.localhost/")
    said = page.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'})"
        ".then(() => 'sent', () => 'not sent')",
        f"{origin}/pages/x",
    )
    assert said in ("sent", "not sent")
    assert upstream.seen() == []


def test_a_person_ends_another_session_without_script(browser: Browser, gateway: Gateway) -> None:
    origin = f"http://127.0.0.1:{gateway.port}"
    elsewhere = browser.new_context(user_agent="Elsewhere/1.0")
    here = browser.new_context(
        user_agent="Here/1.0", java_script_enabled=False, viewport={"width": 400, "height": 700}
    )
    sign_in(elsewhere.new_page(), origin, "bob")
    page = here.new_page()
    sign_in(page, origin, "bob")
    page.goto(f"{origin}/auth/sessions")
    expect(page.get_by_text("Here/1.0 (this browser)")).to_be_visible()
    page.get_by_role("button", name=re.compile("End the session of Elsewhere")).click()
    expect(page.get_by_text("Elsewhere/1.0")).to_have_count(0)
    other = elsewhere.new_page()
    answer = other.goto(f"{origin}/auth/session")
    assert answer is not None
    assert answer.status == 401
    elsewhere.close()
    here.close()
