"""Metadata are fetched once for all who ask, and again when they have aged."""

import threading

import pytest

from oidc_clients.discovery import Metadata
from oidc_clients.endpoints import FAILURE_LIFETIME, LIFETIME, MAX_ISSUERS, MetadataCache
from oidc_clients.fetch import FetchError, Reach

REACH = Reach()


class Provider:
    """Counts how often it is asked; fails while ``down``."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False
        self.now = 1000.0
        self.cache = MetadataCache(self.fetch, lambda: self.now)

    def fetch(self, issuer: str, reach: Reach) -> Metadata:
        self.asked.append(issuer)
        if self.down:
            raise FetchError("down")
        return Metadata(issuer, token_endpoint=f"{issuer}/{len(self.asked)}")


def test_metadata_are_remembered_for_their_lifetime() -> None:
    provider = Provider()
    first = provider.cache.get("https://a", REACH)
    provider.now += LIFETIME - 1
    assert provider.cache.get("https://a", REACH) is first
    provider.now += 1
    assert provider.cache.get("https://a", REACH) is not first
    assert len(provider.asked) == 2


def test_issuers_and_reaches_are_kept_apart() -> None:
    provider = Provider()
    provider.cache.get("https://a", REACH)
    provider.cache.get("https://a/", REACH)
    provider.cache.get("https://a", Reach(("10.0.0.0/8",)))
    assert provider.asked == ["https://a", "https://a/", "https://a"]


def test_a_failure_answers_everybody_for_a_moment() -> None:
    provider = Provider()
    provider.down = True
    for _ in range(3):
        with pytest.raises(FetchError):
            provider.cache.get("https://a", REACH)
    assert len(provider.asked) == 1
    provider.down = False
    provider.now += FAILURE_LIFETIME
    assert provider.cache.get("https://a", REACH).token_endpoint == "https://a/2"


def test_any_other_error_is_not_swallowed() -> None:
    def broken(issuer: str, reach: Reach) -> Metadata:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        MetadataCache(broken).get("https://a", REACH)


def test_many_who_ask_at_once_cost_one_fetch() -> None:
    begun, released = threading.Event(), threading.Event()
    asked = []

    def fetch(issuer: str, reach: Reach) -> Metadata:
        asked.append(issuer)
        begun.set()
        released.wait(10)
        return Metadata(issuer)

    cache = MetadataCache(fetch)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("https://a", REACH)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    released.set()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(asked) == 1


def test_what_is_remembered_is_bounded() -> None:
    provider = Provider()
    for number in range(3 * MAX_ISSUERS):
        provider.cache.get(f"https://{number}", REACH)
        assert len(provider.cache._entries) <= MAX_ISSUERS
