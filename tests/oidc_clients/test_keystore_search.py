"""Looking for unknown kids: never more often than J7 allows, and never in vain."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from oidc_clients.discovery import FetchedKeys
from oidc_clients.jwks import KeySet
from oidc_clients.keystore import COOLDOWN, KeyStore
from oidc_clients.provider import ProviderSpec
from policies.core.errors import StateUnavailable
from policies.core.state import State
from policies.stores.memory import MemoryBackend, MemoryState
from tests.oidc_clients.conftest import Clock, Keys, Provider, Workers

Run = Callable[..., Any]
HOUR = 3600.0


class Unavailable(MemoryState):
    """State that cannot answer."""

    async def perform(self, operation: Any) -> Any:
        raise StateUnavailable("no answer")


def test_J7_first_and_scheduled_fetches_do_not_start_the_cool_down(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        provider.keys.append(keys.rsa_2.jwk)
        assert await crew.search("rsa-2")
        assert provider.hits["jwks"] == 2
        clock.now += HOUR  # long after the cool-down, a scheduled fetch
        await crew.kids()
        await crew.idle()
        assert provider.hits["jwks"] == 3
        provider.keys.append(keys.ed.jwk)
        assert await crew.search("ed-1")
        assert provider.hits["jwks"] == 4

    run(main())


def test_J7_an_unknown_kid_is_one_fetch_in_a_cool_down_for_all_workers(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew, began = workers(3), clock.now
        for worker in range(3):
            await crew.kids(worker)
        for second in (1, 2, 15, 30, 31, 32, 45, 60, 61):
            clock.now = began + second
            found = await asyncio.gather(
                *(crew.search(f"{second}-{worker}-{n}", worker)
                  for worker in range(3) for n in range(20))
            )  # fmt: skip
            assert not any(found)

    run(main())
    assert provider.hits["jwks"] == 1 + 3  # the first one, then at 1, 31 and 61 seconds


def test_J7_all_workers_learn_a_new_key_from_the_one_that_fetches(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, run: Run
) -> None:
    """While one worker fetches, the others wait for it: none refuses a valid token."""

    async def main() -> None:
        crew = workers(4)
        await asyncio.gather(*(crew.kids(worker) for worker in range(4)))
        provider.keys = [keys.rsa_2.jwk]
        provider.hold()
        searches = [
            asyncio.ensure_future(crew.search("rsa-2", worker))
            for worker in range(4)
            for _ in range(25)
        ]
        await provider.held()
        assert not any(search.done() for search in searches)
        provider.gate.set()
        assert await asyncio.gather(*searches) == [True] * 100
        assert provider.hits["jwks"] == 2

    run(main())


def test_J7_a_kid_that_was_not_found_is_not_searched_again_at_once(
    workers: Callable[..., Workers], run: Run, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        assert not await crew.search("nobody")
        job = crew.slots[0].job
        for _ in range(100):
            assert not await crew.search("nobody")
        assert crew.slots[0].job is job

    run(main())


def test_J7_what_is_remembered_of_unknown_kids_is_bounded(
    workers: Callable[..., Workers], run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        slot = crew.slots[0]
        for number in range(20_000):
            slot.missed.put(f"kid {number}", 0.0)
        assert len(slot.missed) <= 4096

    run(main())


def test_F3_without_an_answer_nobody_can_say_whether_a_kid_exists(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers(2)
        await asyncio.gather(crew.kids(0), crew.kids(1))
        provider.fault = "error"
        assert await asyncio.gather(crew.search("new", 0), crew.search("new", 1)) == [False] * 2
        assert [slot.blind for slot in crew.slots] == [True, True]
        provider.fault = ""
        clock.now += COOLDOWN
        assert await crew.search("new", 0) is False
        assert crew.slots[0].blind is False

    run(main())


def test_J7_without_state_each_process_keeps_the_cool_down_alone(
    clock: Clock, provider: Provider, keys: Keys, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        crew = Workers(Unavailable(), clock, provider.spec())
        assert await crew.kids() == {"rsa-1", "ec-1"}
        provider.keys.append(keys.rsa_2.jwk)
        assert await crew.search("rsa-2")
        for number in range(5):
            assert not await crew.search(f"kid {number}")
        assert provider.hits["jwks"] == 2
        clock.now += COOLDOWN
        assert not await crew.search("kid 5")
        assert provider.hits["jwks"] == 3

    run(main())
    assert "without shared state" in caplog.text


def test_J7_a_search_that_joins_a_renewal_looks_once_more(
    clock: Clock, provider: Provider, keys: Keys, run: Run
) -> None:
    """The renewal may have asked before the key was published."""
    answers = [[keys.rsa], [keys.rsa], [keys.rsa, keys.rsa_2]]
    asked, release = threading.Event(), threading.Event()

    def fetch(spec: ProviderSpec) -> FetchedKeys:
        answer = answers.pop(0)
        if len(answers) == 1:
            asked.set()
            release.wait(20)
        return FetchedKeys(KeySet.parse({"keys": [key.jwk for key in answer]}), None)

    async def main() -> None:
        store = KeyStore(MemoryState(MemoryBackend(clock)), clock, fetch)
        slot = store.slot(provider.spec())
        await store.ready(slot, clock.now)
        clock.now += 3000
        await store.ready(slot, clock.now)  # starts the renewal
        await asyncio.to_thread(asked.wait, 20)
        search = asyncio.ensure_future(store.search(slot, "rsa-2"))
        await asyncio.sleep(0)
        release.set()
        assert await search

    run(main())
    assert answers == []
