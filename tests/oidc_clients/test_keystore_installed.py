"""Key sets that were fetched elsewhere and are taken up: at start, and after a rotation."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from oidc_clients.keystore import STALE_LIMIT
from tests.oidc_clients.conftest import Clock, Keys, Provider, Workers

Run = Callable[..., Any]
HOUR = 3600.0


def test_J8_installed_keys_serve_when_the_provider_is_down(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    provider.fault = "down"

    async def main() -> None:
        crew = workers()
        crew.install(clock.now - 2 * HOUR, keys.rsa)
        assert await crew.kids() == {"rsa-1"}
        assert provider.hits["metadata"] == 1
        crew.install(clock.now - 3 * HOUR, keys.rsa_2)
        assert await crew.kids() == {"rsa-1"}  # the older set does not replace the newer one
        crew.install(clock.now, keys.p256)
        assert await crew.kids() == {"ec-1"}

    run(main())


def test_J8_installed_keys_that_are_stale_are_not_taken_up(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    provider.fault = "down"

    async def main() -> None:
        crew = workers()
        crew.install(clock.now - STALE_LIMIT, keys.rsa)
        assert await crew.kids() is None

    run(main())


def test_J8_keys_are_installed_from_another_thread(
    workers: Callable[..., Workers], keys: Keys, clock: Clock, run: Run
) -> None:
    async def main() -> None:
        crew = workers()
        await crew.kids()
        clock.now += 1
        thread = threading.Thread(target=crew.install, args=(clock.now, keys.rsa_2))
        thread.start()
        thread.join()
        assert await crew.kids() == {"rsa-2"}

    run(main())


def test_J9_keys_of_another_source_are_not_installed(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock
) -> None:
    """An issuer that was changed: what was fetched from the former one stays out."""
    crew = workers()
    source, document = crew.slots[0].source.digest, {"keys": [keys.rsa.jwk]}
    store = crew.stores[0]
    assert not store.install("nobody", source, document, clock.now)
    slot = store.slot(provider.spec(issuer="https://other.example"))
    assert not store.install("acme", source, document, clock.now)
    assert slot.held is None
    assert store.install("acme", slot.source.digest, document, clock.now)
    with pytest.raises(ValueError, match="no list of keys"):
        store.install("acme", slot.source.digest, {}, clock.now + 1)


def test_J8_an_installed_set_is_looked_after_soon(
    workers: Callable[..., Workers], provider: Provider, keys: Keys, clock: Clock, run: Run
) -> None:
    """Nobody knows any more for how long its provider said that it may be kept."""

    async def main() -> None:
        crew = workers()
        crew.install(clock.now, keys.ed)
        assert await crew.kids() == {"ed-1"}
        clock.now += 300
        assert await crew.kids() == {"rsa-1", "ec-1"}

    run(main())
