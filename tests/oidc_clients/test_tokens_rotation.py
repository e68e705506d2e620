"""Keys that change, and providers that fail, as the bearer of a token sees them (J7, J8, F3)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from policies.core.state import State
from policies.core.values import Deny, Identity
from tests.oidc_clients.conftest import Clock, Keys, Provider, Verifier

Verifiers = Callable[..., Verifier]
Run = Callable[..., Any]


def test_J7_ten_thousand_random_kids_are_at_most_three_fetches(
    verifiers: Verifiers,
    provider: Provider,
    keys: Keys,
    clock: Clock,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In 60 seconds, with valid tokens in between that are accepted all the while."""
    monkeypatch.setattr("oidc_clients.keystore._PAUSE", 0.001)
    verifier = verifiers(provider.spec())
    good = keys.rsa.mint(verifier.claims())
    claims = verifier.claims()

    async def main() -> None:
        assert isinstance(await verifier.verify(good), Identity)
        for second in range(60):
            bad = [keys.p256.mint(claims, {"kid": f"{second}-{number}"}) for number in range(166)]
            verdicts = await asyncio.gather(*map(verifier.verify, [*bad, good]))
            assert {verdict.code for verdict in verdicts[:-1]} == {"key_unknown"}
            assert isinstance(verdicts[-1], Identity)
            clock.now += 1

    run(main())
    assert provider.hits["jwks"] <= 3


def test_J8_a_new_key_is_accepted_with_its_first_token(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec())
    old = keys.rsa.mint(verifier.claims())
    verifier.identity(old)
    provider.keys.append(keys.rsa_2.jwk)
    verifier.identity(keys.rsa_2.mint(verifier.claims()))
    verifier.identity(old)
    assert provider.hits["jwks"] == 2


def test_J8_rotation_with_four_workers_refuses_no_valid_token(
    verifiers: Verifiers, provider: Provider, keys: Keys, state: State, run: Run
) -> None:
    workers = [verifiers(provider.spec(), state=state) for _ in range(4)]
    old = keys.rsa.mint(workers[0].claims())
    new = keys.rsa_2.mint(workers[0].claims())

    async def main() -> None:
        every = [worker.verify(old) for worker in workers for _ in range(20)]
        assert all(isinstance(found, Identity) for found in await asyncio.gather(*every))
        provider.keys = [keys.rsa.jwk, keys.rsa_2.jwk]
        every = [worker.verify(token) for worker in workers for token in [old, new] * 20]
        assert all(isinstance(found, Identity) for found in await asyncio.gather(*every))

    run(main())
    assert provider.hits["jwks"] == 2


def test_J8_rotation_during_an_attack_with_random_kids(
    verifiers: Verifiers, provider: Provider, keys: Keys, state: State, run: Run, clock: Clock
) -> None:
    """The worker whose attacker used up the fetch shares its result with all."""
    workers = [verifiers(provider.spec(), state=state) for _ in range(4)]
    claims = workers[0].claims()
    new = keys.rsa_2.mint(claims)

    async def main() -> None:
        for worker in workers:
            await worker.verify(new)
        clock.now += 30
        provider.keys = [keys.rsa.jwk, keys.rsa_2.jwk]
        bad = [keys.rsa.mint(claims, {"kid": f"{number}"}) for number in range(25)]
        attack = [worker.verify(token) for worker in workers for token in bad]
        verdicts = await asyncio.gather(*attack, *(worker.verify(new) for worker in workers))
        assert all(isinstance(verdict, Deny) for verdict in verdicts[:-4])
        assert all(isinstance(verdict, Identity) for verdict in verdicts[-4:])

    run(main())
    assert provider.hits["jwks"] <= 3


@pytest.mark.parametrize("fault", ["down", "error", "html", "garbage"])
def test_F3_without_keys_the_answer_is_503_and_not_401(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock, fault: str
) -> None:
    provider.fault = fault
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    assert verifier.code(token) == "provider_unavailable"
    provider.fault = ""
    assert verifier.code(token) == "provider_unavailable"  # remembered for a moment
    clock.now += 5
    verifier.identity(token)


def test_F3_known_keys_are_unaffected_and_unknown_ones_are_503(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec())
    known = keys.rsa.mint(verifier.claims())
    verifier.identity(known)
    provider.keys.append(keys.rsa_2.jwk)
    provider.fault = "down"
    new = keys.rsa_2.mint(verifier.claims())
    assert verifier.code(new) == "provider_unavailable"
    verifier.identity(known)
    provider.fault = ""
    clock.now += 30
    verifier.identity(new)


def test_F3_one_provider_that_is_down_is_no_matter_to_another_ones_tokens(
    verifiers: Verifiers, provider: Provider, other_provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec("one"), other_provider.spec("two"))
    other_provider.hold()
    verifier.identity(keys.rsa.mint(verifier.claims()), "two", "one")
    assert not other_provider.hits
