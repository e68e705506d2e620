"""Key sets in force: renewed in time, never fetched more often than J7 allows, never lost."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from oidc_clients.discovery import FetchedKeys, fetch_keys
from oidc_clients.keystore import RETRY, STALE_LIMIT, KeyStore
from oidc_clients.provider import ProviderSpec, key_document
from oidc_clients.published import Published
from policies.core.state import State
from policies.stores.memory import MemoryBackend, MemoryState
from tests.oidc_clients.conftest import Clock, Keys, Provider, Workers

Run = Callable[..., Any]
HOUR = 3600.0


def test_J7_the_first_fetch_is_one_for_all_workers(
    workers: Callable[..., Workers], provider: Provider, run: Run
) -> None:
    async def main() -> None:
        crew = workers(4)
        found = await asyncio.gather(*(crew.kids(worker) for worker in range(4) for _ in range(50)))
        assert found == [{"rsa-1", "ec-1"}] * 200

    run(main())
    assert provider.hits["jwks"] == 1


def test_J8_a_set_is_renewed_before_it_expires_while_it_serves(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        clock.now += 0.7 * HOUR
        await crew.kids()
        assert crew.slots[0].job.done()
        assert provider.hits["jwks"] == 1
        clock.now += 0.1 * HOUR
        provider.keys = [keys.rsa_2.jwk]
        provider.hold()
        assert await crew.kids() == {"rsa-1", "ec-1"}  # served while the provider is slow
        provider.gate.set()
        await crew.idle()
        assert await crew.kids() == {"rsa-2"}
        assert provider.hits["jwks"] == 2

    run(main())


def test_J8_a_scheduled_renewal_is_one_for_all_workers(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers(4)
        for renewal in range(1, 4):
            await asyncio.gather(*(crew.kids(worker) for worker in range(4)))
            await crew.idle()
            assert provider.hits["jwks"] == renewal
            clock.now += 0.8 * HOUR

    run(main())


def test_J8_a_removed_key_is_gone_after_max_age_even_without_traffic(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    provider.cache_control = "public, max-age=600"

    async def main() -> None:
        crew = workers()
        assert await crew.kids() == {"rsa-1", "ec-1"}
        provider.keys = [keys.p256.jwk]
        clock.now += 601
        assert await crew.kids() == {"ec-1"}

    run(main())


@pytest.mark.parametrize("fault", ["down", "error", "html", "garbage", "redirect", "huge"])
def test_J8_an_outage_costs_no_key_up_to_the_stale_limit(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run, fault: str
) -> None:
    async def main() -> None:
        crew = workers()
        began = clock.now
        await crew.kids()
        provider.fault = fault
        for moment in (0.8 * HOUR, 0.99 * HOUR, HOUR + 1, 2 * HOUR, STALE_LIMIT - 1):
            clock.now = began + moment
            assert await crew.kids() == {"rsa-1", "ec-1"}
            await crew.idle()
        clock.now = began + STALE_LIMIT
        assert await crew.kids() is None
        await crew.idle()
        provider.fault = ""
        job = crew.slots[0].job
        for _ in range(3):
            assert await crew.kids() is None  # the pause after a failure
        assert crew.slots[0].job is job
        clock.now += RETRY
        assert await crew.kids() == {"rsa-1", "ec-1"}

    run(main())


def test_J8_in_an_outage_nobody_waits_for_a_provider_that_is_slow(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        provider.fault = "down"
        clock.now += 1.1 * HOUR
        await crew.kids()  # the one that waits and learns of the outage
        provider.fault = ""
        provider.hold()
        for _ in range(5):
            clock.now += RETRY
            assert await crew.kids() == {"rsa-1", "ec-1"}
            assert not crew.slots[0].job.done()
        provider.gate.set()
        await crew.idle()

    run(main())


def test_J8_a_failure_is_not_repeated_by_every_worker(
    workers: Callable[..., Workers], provider: Provider, clock: Clock, run: Run
) -> None:
    provider.fault = "down"

    async def main() -> None:
        crew = workers(4)
        found = await asyncio.gather(*(crew.kids(worker) for worker in range(4)))
        assert found == [None] * 4
        assert provider.hits["metadata"] == 1
        clock.now += RETRY
        await asyncio.gather(*(crew.kids(worker) for worker in range(4)))
        assert provider.hits["metadata"] == 2

    run(main())


class LastMoment(MemoryState):
    """Another worker publishes a set, and gives the lease back, just before it is asked for."""

    def __init__(self, clock: Clock, published: bytes) -> None:
        super().__init__(MemoryBackend(clock))
        self.published = published

    async def lease(self, key: str, holder: str, ttl: float) -> bool:
        await self.publish(key.replace(":lease", ":keys"), self.published, 1000)
        return await super().lease(key, holder, ttl)


def test_J7_whoever_gets_the_lease_looks_first_what_its_last_holder_published(
    clock: Clock, provider: Provider, keys: Keys, run: Run
) -> None:
    published = Published({"keys": [keys.ed.jwk]}, clock.now).encode()

    async def main() -> None:
        crew = Workers(LastMoment(clock, published), clock, provider.spec())
        assert await crew.kids() == {"ed-1"}

    run(main())
    assert not provider.hits


def test_J8_a_worker_starts_with_what_another_one_published(
    workers: Callable[..., Workers], provider: Provider, run: Run
) -> None:
    async def main() -> None:
        await workers().kids()
        provider.fault = "down"
        assert await workers().kids() == {"rsa-1", "ec-1"}
        assert await workers(jwks_uri=provider.url("/jwks")).kids() is None  # another source

    run(main())
    assert provider.hits["jwks"] == 2


def test_J8_an_unusable_publication_is_no_obstacle(
    workers: Callable[..., Workers], state: State, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await state.publish(crew.slots[0].source.keys, b"garbage", 100)
        assert await crew.kids() == {"rsa-1", "ec-1"}

    run(main())


def test_J14_equal_sets_are_one_object_and_others_are_not(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        before = crew.slots[0].held.keys
        clock.now += 2 * HOUR
        await crew.kids()
        assert provider.hits["jwks"] == 2
        assert crew.slots[0].held.keys is before
        provider.keys = [keys.rsa.jwk]
        clock.now += 2 * HOUR
        await crew.kids()
        assert crew.slots[0].held.keys != before

    run(main())


def test_J8_configured_keys_are_never_fetched(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers(static_keys=key_document([keys.p256.jwk]))
        for _ in range(3):
            assert await crew.kids() == {"ec-1"}
            assert not await crew.search("rsa-1")
            clock.now += 2 * STALE_LIMIT
        crew.install(clock.now, keys.rsa)
        assert await crew.kids() == {"ec-1"}

    run(main())
    assert not provider.hits


def test_J6_refused_keys_are_reported(
    workers: Callable[..., Workers],
    provider: Provider,
    keys: Keys,
    run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider.keys = [keys.rsa.jwk, keys.p256.named("rsa-1").jwk]
    run(workers().kids())
    assert caplog.text.count("key 'rsa-1' refused: its kid stands on more than one key") == 2


def test_a_defect_in_a_renewal_is_logged_and_fails_closed(
    clock: Clock, provider: Provider, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(spec: ProviderSpec) -> FetchedKeys:
        raise RuntimeError("defect")

    async def main() -> None:
        store = KeyStore(MemoryState(MemoryBackend(clock)), clock, broken)
        assert await store.ready(store.slot(provider.spec()), clock.now) is None

    run(main())
    assert "the renewal of its keys broke" in caplog.text


def test_a_caller_that_gives_up_does_not_end_the_fetch(
    workers: Callable[..., Workers], provider: Provider, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        provider.hold()
        caller = asyncio.ensure_future(crew.kids())
        await provider.held()
        caller.cancel()
        provider.gate.set()
        await crew.idle()
        assert crew.slots[0].held is not None

    run(main())


def test_nobody_waits_longer_than_the_store_is_patient(
    clock: Clock, provider: Provider, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oidc_clients.keystore.PATIENCE", 0.1)
    release = threading.Event()

    def slow(spec: ProviderSpec) -> FetchedKeys:
        release.wait(20)
        return fetch_keys(spec)

    async def main() -> None:
        store = KeyStore(MemoryState(MemoryBackend(clock)), clock, slow)
        slot = store.slot(provider.spec())
        assert await store.ready(slot, clock.now) is None
        release.set()
        assert slot.job is not None
        await slot.job
        assert await store.ready(slot, clock.now) is not None

    run(main())


def test_jobs_of_another_loop_are_not_waited_for(
    clock: Clock, provider: Provider, run: Run
) -> None:
    """A server that makes a loop for each request may have two of them at once."""
    began, release = threading.Event(), threading.Event()

    def fetch(spec: ProviderSpec) -> FetchedKeys:
        if not began.is_set():
            began.set()
            release.wait(20)
        return fetch_keys(spec)

    store = KeyStore(MemoryState(MemoryBackend(clock)), clock, fetch)
    slot = store.slot(provider.spec())
    other = threading.Thread(target=lambda: run(store.ready(slot, clock.now)))
    other.start()
    began.wait(20)
    clock.now += 11  # the lease of the other one's fetch has ended
    try:
        assert run(store.ready(slot, clock.now)) is not None
    finally:
        release.set()
        other.join()


def test_slots_follow_their_source(clock: Clock, provider: Provider) -> None:
    store = KeyStore(MemoryState(MemoryBackend(clock)), clock)
    slot = store.slot(provider.spec())
    assert store.slot(provider.spec(leeway=0)) is slot
    assert store.slot(provider.spec(issuer="https://other.example")) is not slot
    slot = store.slot(provider.spec())
    store.retain({"other"})
    assert store.slot(provider.spec()) is not slot


def test_B4_a_fetch_error_is_logged_without_what_was_answered(
    clock: Clock, provider: Provider, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    provider.fault = "html"
    run(Workers(MemoryState(MemoryBackend(clock)), clock, provider.spec()).kids())
    assert "provider acme: no keys: 127.0.0.1 answered 200 with content that is not JSON" in (
        caplog.text
    )
