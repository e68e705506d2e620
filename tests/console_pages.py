"""The console as a person uses it: open a page, fill in its form, send it, read what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

Entries = dict[str, list[str]]


class _Reader(HTMLParser):
    """Collects what the main form of a page would send, and all text and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: Entries = {}
        self.inline: list[str] = []  # what a strict CSP would refuse
        self._form = ""
        self._select = ""
        self._area = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.inline += [f"<{tag} {n}=>" for n in values if n == "style" or n.startswith("on")]
        self._script = tag == "script" and "src" not in values
        if tag == "style":
            self.inline.append("<style>")
        if tag == "form":
            self._form = values.get("id") or values.get("action") or "form"
        if self._form in ("logout-form", "changelist-search") or not values.get("name"):
            if tag == "option" and self._select and "selected" in values:
                self.entries.setdefault(self._select, []).append(values.get("value", ""))
            return
        self._control(tag, values)

    def _control(self, tag: str, values: dict[str, str]) -> None:
        name = values["name"]
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self.entries[name] = [""]
        elif tag == "input" and values.get("type") not in ("submit", "button", "file"):
            if values.get("type") in ("checkbox", "radio"):
                if "checked" in values:
                    self.entries.setdefault(name, []).append(values.get("value", "on"))
            else:
                self.entries.setdefault(name, []).append(values.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "form":
            self._form = ""
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._area:
            self.entries[self._area][0] += data.removeprefix("\n")
        if self._script and data.strip():
            self.inline.append(f"<script>{data.strip()[:40]}")


@dataclass
class Page:
    """An answer of the console."""

    url: str
    status: int
    text: str
    headers: Mapping[str, str]
    context: Any = None
    entries: Entries = field(default_factory=dict)
    inline: list[str] = field(default_factory=list)

    @property
    def errors(self) -> dict[str, list[str]]:
        """What the forms of the page say, by field; ``""`` holds what concerns no field."""
        found: dict[str, list[str]] = {}
        form = self.context["adminform"].form if "adminform" in self.context else None
        forms = [form or self.context["form"]]
        for formset in self.context.get("inline_admin_formsets") or ():
            forms += formset.formset.forms
            found.setdefault("", []).extend(map(str, formset.formset.non_form_errors()))
        for item in forms:
            for name, messages in item.errors.items():
                key = "" if name == "__all__" else item.add_prefix(name)
                found.setdefault(key, []).extend(messages)
        return {name: messages for name, messages in found.items() if messages}


def superuser() -> User:
    """Someone who may do everything, and signs in without a password."""
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


class Console:
    """One signed-in person. Keeps everything it was ever shown, for canaries."""

    def __init__(self, user: User) -> None:
        self.browser = Client()
        self.browser.force_login(user)
        self.shown: list[str] = []

    def open(self, name: str, *args: Any, query: str = "") -> Page:
        url = reverse(f"admin:{name}", args=args) + (f"?{query}" if query else "")
        return self._page(url, self.browser.get(url))

    def send(self, page: Page, button: str = "_save", **changes: Any) -> Page:
        """Send the page's form with some entries changed; None leaves an entry out.

        Follows the redirect that says it was accepted.
        """
        entries: dict[str, Any] = {**page.entries, button: "Save"}
        entries |= {name.replace("__", "-"): value for name, value in changes.items()}
        data = {name: value for name, value in entries.items() if value is not None}
        answer = self.browser.post(page.url, data)
        self.shown.append(answer.content.decode())
        if answer.status_code == 302:
            url = answer["Location"]
            return self._page(url, self.browser.get(url))
        return self._page(page.url, answer)

    def _page(self, url: str, answer: Any) -> Page:
        text = answer.content.decode()
        self.shown.append(text)
        reader = _Reader()
        reader.feed(text)
        return Page(
            url, answer.status_code, text, answer.headers, answer.context,
            reader.entries, reader.inline,
        )  # fmt: skip
