"""A person with a browser, as far as HTTP goes: cookies are kept, redirects are followed by hand.

What needs a real browser (what it sends by itself, what it refuses) is tested in Chromium.
"""

import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from tests.e2e.gateway import Gateway

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
COOKIE = "gatehouse_session"


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def code_of(answer: requests.Response) -> str | None:
    """The refusal's code, when the answer is a problem document."""
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        return str(answer.json()["code"])
    return None


class Person:
    """Someone who opens pages of one gateway."""

    def __init__(self, gateway: Gateway, user: str = "alice", agent: str = "Person/1.0") -> None:
        self.origin = f"http://127.0.0.1:{gateway.port}"
        self.user = user
        self.http = requests.Session()
        self.http.headers["User-Agent"] = agent

    def get(self, url: str, **headers: str) -> requests.Response:
        """One request, as a script of this origin makes it."""
        return self._ask("GET", url, {**SAME_ORIGIN, "Sec-Fetch-Mode": "cors", **headers})

    def post(self, url: str, data: Any = None, **headers: str) -> requests.Response:
        given = {**SAME_ORIGIN, "Sec-Fetch-Mode": "cors", **headers}
        return self._ask("POST", url, given, data)

    def open(self, url: str, **headers: str) -> requests.Response:
        """One step of a navigation."""
        return self._ask("GET", url, {**NAVIGATION, **headers})

    def follow(self, answer: requests.Response, until: str = "") -> requests.Response:
        """Follow redirects, at most ten, until one leads to an address with ``until`` in it."""
        for _ in range(10):
            target = answer.headers.get("Location")
            if target is None or (until and until in target):
                return answer
            answer = self.open(urljoin(answer.url, target))
        raise AssertionError(f"redirects without end, the last to {target}")

    def to_provider(self, path: str) -> requests.Response:
        """From a page of the gateway to the provider's form; or to where it leads by itself."""
        return self.follow(self.open(path), until="/callback?")

    def answer_form(self, form: requests.Response, answer: str = "in") -> requests.Response:
        """Fill in the provider's form; the redirect back to the gateway."""
        action = re.search(r'action="([^"]+)"', form.text)
        assert action is not None, form.text
        data = {"user": self.user, "answer": answer}
        sent = self._ask("POST", urljoin(form.url, action[1]), NAVIGATION, data)
        return self.follow(sent, until="/callback?")

    def begin(self, path: str) -> str:
        """From a page to the callback's address, which is not opened yet."""
        answer = self.to_provider(path)
        if "Location" not in answer.headers:
            answer = self.answer_form(answer)
        return answer.headers["Location"]

    def sign_in(self, path: str) -> requests.Response:
        """Open a page, sign in at the provider, and come back to it."""
        answer = self.open(self.begin(path))
        return self.follow(answer)

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get(COOKIE, domain="127.0.0.1")

    def _ask(
        self, method: str, url: str, headers: dict[str, str], data: Any = None
    ) -> requests.Response:
        return self.http.request(
            method,
            urljoin(self.origin, url),
            headers=headers,
            data=data,
            allow_redirects=False,
            timeout=30,
        )
