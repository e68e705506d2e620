"""Counters of limits, at the command line and in the console: seen, searched, reset."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apis.counters import Counter, limits
from apis.describe import describe
from policies.core.limit import Limit
from policies.core.values import NO_HEADERS, Call, Identity, Request
from policies.models import QuotaUsage
from policies.stores.open import open_backend, open_state
from policies.stores.operations import Publish, Read
from tests.apis.conftest import Operator

pytestmark = pytest.mark.django_db

CONFIG = """
format: 1
policies:
  - rate_limit: {limit: 50, per: 86400, by: ip}
apis:
  - name: orders
    base_path: /orders
    upstream: {targets: [{url: "http://orders.example.org"}]}
    policies:
      - public: {}
      - rate_limit: {name: window, limit: 5, per: 3600, algorithm: sliding_window}
      - rate_limit: {name: gone, limit: 5, per: 3600, mode: "off"}
      - quota: {limit: 9, per: month, mode: report}
    routes:
      - {path: /a, policies: [{concurrency: {limit: 2, on_failure: allow}}]}
"""
PASSWORD = "a-long-pass-phrase"


@pytest.fixture(autouse=True)
def url(settings: Any, tmp_path: Path) -> str:
    location = f"sqlite:///{tmp_path}/state.sqlite3"
    caches = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    settings.CACHES = caches
    return location


@pytest.fixture
def used(operator: Operator, url: str) -> list[Limit]:
    """Two subjects have called once and three times, and one call is still under way."""
    assert operator.apply(CONFIG).status == 0
    policies = [each.policy for each in limits(describe(), open_state(url))]

    async def play() -> None:
        for subject, times in (("alice", 1), ("bob", 3)):
            identity = Identity(kind="jwt", subject=subject, issuer="https://op")
            request = Request("GET", "h", "/a", None, NO_HEADERS, "192.0.2.7")
            for _ in range(times):
                for policy in policies:
                    call = Call(request, "orders ANY /a", time.time(), identity)
                    await policy.check(call)

    asyncio.run(play())
    return policies


@pytest.fixture
def client(used: list[Limit]) -> Client:
    User.objects.create_superuser("ada", "", PASSWORD)
    client = Client()
    client.login(username="ada", password=PASSWORD)
    return client


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse("admin:counters"), query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_command_lists_what_is_used(operator: Operator, used: list[Limit]) -> None:
    month = time.strftime("%Y-%m", time.gmtime())
    lines = operator.run("counters").out.splitlines()
    assert [line.rpartition(", ")[0] for line in lines] == [
        "rate_limit · global: ip:192.0.2.7: 4 of 50 used",
        "window (rate_limit) · api:orders: bob (jwt of https://op): 3 of 5 used",
        "window (rate_limit) · api:orders: alice (jwt of https://op): 1 of 5 used",
        f"quota · api:orders: {month} bob (jwt of https://op): 3 of 9 used",
        f"quota · api:orders: {month} alice (jwt of https://op): 1 of 9 used",
        "concurrency · route:orders ANY /a: bob (jwt of https://op): 2 of 2 used",
        "concurrency · route:orders ANY /a: alice (jwt of https://op): 1 of 2 used",
    ]
    assert len(operator.run("counters", "--policy", "window").out.splitlines()) == 2
    assert len(operator.run("counters", "--policy", "rate_limit").out.splitlines()) == 3
    assert (
        len(operator.run("counters", "--at", "api:orders", "--who", "alice").out.split("\n")) == 3
    )


def test_the_command_resets_what_it_is_told(operator: Operator, used: list[Limit]) -> None:
    refused = operator.run("counters", "--reset")
    assert refused.status != 0
    assert "--all" in refused.err
    assert (
        operator.run("counters", "--reset", "--policy", "quota", "--who", "bob").out == "1 reset\n"
    )
    left = operator.run("counters", "--policy", "quota").out
    assert "bob" not in left
    assert "alice" in left
    assert operator.run("counters", "--reset", "--all").out == "6 reset\n"
    assert operator.run("counters").out == ""


def test_counters_in_a_workers_memory_cannot_be_seen(
    operator: Operator, used: list[Limit], settings: Any, client: Client
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "memory://"}}
    assert "cannot be seen" in operator.run("counters").err
    assert "Counters are kept in the worker's own memory" in page(client)


def test_the_page_shows_limits_with_their_counters(client: Client) -> None:
    shown = page(client)
    for text in (
        "bob (jwt of https://op)",
        "3 of 5",
        "4 of 50",
        "3 of 9",
        '2 of 2 <span class="tag bad">used up</span>',
        "on_failure: allow",
        "report",
    ):
        assert text in shown, text
    assert "gone" not in shown
    assert "alice" not in page(client, q="bob")
    assert "Nobody that was searched for" in page(client, q="carol")


def test_one_counter_is_reset_and_its_place_in_the_database_too(
    client: Client, used: list[Limit], url: str
) -> None:
    quota = used[2].prefix + "identity:3:jwt10:https://op3:bob"
    QuotaUsage.objects.create(key=quota, used=3, ends=99_000_000_000)
    answer = client.post(reverse("admin:counters"), {"key": quota, "q": "bob"}, follow=True)
    assert answer.redirect_chain == [(reverse("admin:counters") + "?q=bob&limit=", 302)]
    assert "1 counter of quota · api:orders reset" in answer.content.decode()
    assert open_backend(url).execute([Read(quota)]) == [None]
    assert not QuotaUsage.objects.exists()
    assert quota in LogEntry.objects.get().change_message


def test_all_counters_of_a_limit_are_reset_and_no_others(client: Client, used: list[Limit]) -> None:
    client.post(reverse("admin:counters"), {"prefix": used[1].prefix})
    shown = page(client)
    assert "3 of 5 " not in shown
    assert "1 of 5 " not in shown
    assert "3 of 9" in shown


def test_nothing_else_of_shared_state_can_be_reset_here(
    client: Client, url: str, used: list[Limit]
) -> None:
    backend = open_backend(url)
    backend.execute([Publish("session x", b"1", 60), Publish("nonce y", b"1", 60)])
    longer = used[0].prefix + "ip"
    forms = [{"key": "session x"}, *({"prefix": p} for p in ("nonce ", "rate_limit ", longer)), {}]
    for form in forms:
        answer = client.post(reverse("admin:counters"), form, follow=True)
        assert "Not done" in answer.content.decode()
    assert backend.execute([Read("session x"), Read("nonce y")]) == [b"1", b"1"]
    assert "4 of 50" in page(client)


def test_who_may_look_may_not_reset(client: Client, used: list[Limit]) -> None:
    user = User.objects.create_user("eve", "", PASSWORD, is_staff=True)
    client.login(username="eve", password=PASSWORD)
    assert client.get(reverse("admin:counters")).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_attachedpolicy"))
    assert 'value="Reset' not in page(client)
    assert client.post(reverse("admin:counters"), {"prefix": used[0].prefix}).status_code == 403
    assert "4 of 50" in page(client)
    client.logout()
    assert client.get(reverse("admin:counters")).status_code == 302


def test_a_store_that_is_down_is_said(client: Client, settings: Any, tmp_path: Path) -> None:
    location = f"sqlite:///{tmp_path}/absent/state.sqlite3"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    assert "Shared state cannot be reached" in page(client)


def test_without_a_limit_the_page_says_how_to_get_one(operator: Operator) -> None:
    User.objects.create_superuser("ada", "", PASSWORD)
    client = Client()
    client.login(username="ada", password=PASSWORD)
    assert "attach a" in page(client)


def test_looking_again_starts_no_further_thread(client: Client) -> None:
    page(client)
    before = threading.active_count()
    for _ in range(3):
        page(client)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.2, "1 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min 59 s"),
     (3605, "1 h"), (90_061, "1 d 1 h"), (2_678_400, "31 d")],
)  # fmt: skip
def test_a_wait_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert Counter(None, "k", 1, seconds).wait == text


def test_more_than_fit_on_a_page_are_said(
    client: Client, used: list[Limit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apis.counters_page.MOST", 1)
    assert "There are more" in page(client)
