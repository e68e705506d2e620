"""Nonces: whose they are, how long they count, and a store that lost its memory."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from policies.core.errors import StateUnavailable
from policies.core.replay import CLOCKS_DIFFER, Nonces
from policies.core.services import Services
from policies.stores.memory import MemoryBackend, MemoryState
from tests.policies.conftest import NOW, Clock

Make = Callable[..., Services]


class Replaced(MemoryState):
    """A store that this process found replaced by another one, as it does with Redis."""

    unbroken_since = float("-inf")  # type: ignore[assignment]


def code(nonces: Nonces, nonce: str = "n", owner: str = "o", made: float = NOW) -> str:
    deny = asyncio.run(nonces.accept(owner, nonce, made, 60))
    return deny.code if deny is not None else ""


def test_H4_owner_and_nonce_cannot_be_shifted_into_each_other(make_services: Make) -> None:
    nonces = Nonces(make_services(), "test", "deny")
    pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")]
    assert [code(nonces, nonce, owner) for owner, nonce in pairs] == [""] * 4
    assert [code(nonces, nonce, owner) for owner, nonce in pairs] == ["nonce_replayed"] * 4


def test_different_uses_do_not_meet(make_services: Make) -> None:
    services = make_services()
    assert code(Nonces(services, "one", "deny")) == ""
    assert code(Nonces(services, "two", "deny")) == ""
    assert code(Nonces(services, "one", "deny")) == "nonce_replayed"


def test_H4_it_is_remembered_longer_than_it_could_be_accepted(
    make_services: Make, clock: Clock
) -> None:
    nonces = Nonces(make_services(), "test", "deny")
    assert code(nonces) == ""
    clock.now += 60 + CLOCKS_DIFFER - 1
    assert code(nonces) == "nonce_replayed"


@pytest.mark.parametrize(("on_failure", "told"), [("deny", "state_unavailable"), ("allow", "")])
def test_H4_what_was_made_before_the_store_was_replaced_is_not_known_to_be_new(
    make_services: Make, clock: Clock, on_failure: str, told: str
) -> None:
    state = Replaced(MemoryBackend(clock))
    nonces = Nonces(make_services(state=state), "test", on_failure)  # type: ignore[arg-type]
    assert code(nonces) == ""
    lost = Replaced(MemoryBackend(clock))
    lost.unbroken_since = NOW + 1  # type: ignore[misc]
    nonces._state = lost
    assert code(nonces, made=NOW) == told
    assert code(nonces, "after", made=NOW + 1) == ""
    assert code(nonces, "after", made=NOW + 1) == "nonce_replayed"


def test_H4_an_outage_is_said_once_and_counted(
    make_services: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Down(MemoryState):
        async def remember_once(self, key: str, ttl: float) -> bool:
            raise StateUnavailable

    nonces = Nonces(make_services(state=Down(MemoryBackend())), "test", "deny")
    with caplog.at_level(logging.WARNING):
        assert [code(nonces, str(n)) for n in range(3)] == ["state_unavailable"] * 3
    assert nonces.failures == 3
    assert len(caplog.records) == 1
