"""A person who looks at the console with a real browser, and all that the browser complains of."""

from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.console_process import ConsoleProcess

PASSWORD = "a-long-pass-phrase"


class Visitor:
    """A person at a browser, and all that the browser complained of."""

    def __init__(
        self, browser: Browser, console: ConsoleProcess, also: str = "", **options: Any
    ) -> None:
        """``also`` is another origin, which they are sent to; what happens there is its own."""
        self.also = also
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
        elsewhere = self.also and message.location["url"].startswith(self.also)
        if message.type in ("error", "warning") and not elsewhere:
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", self.also or "data:")):
            self.complaints.append(f"asked {url}")

    def go(self, path: str) -> None:
        answer = self.page.goto(self.origin + path)
        assert answer is not None
        assert answer.status == 200

    def give_password(self) -> None:
        self.go("/admin/")
        self.page.get_by_label("Username").fill("ada")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()

    def sign_in(self) -> None:
        self.give_password()
        expect(self.page.get_by_role("heading", name="Overview")).to_be_visible()

    def save(self, said: str = "was added successfully") -> None:
        """Save, and wait until the answer is there whole: leaving earlier would abort it."""
        self.page.get_by_role("button", name="Save", exact=True).click()
        expect(self.page.locator(".messagelist, .errornote")).to_contain_text(said)
        self.page.wait_for_load_state()
