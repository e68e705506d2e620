"""What a worker remembers of the tokens it saw, and when it forgets it (J14)."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from oidc_clients import tokens
from policies.core.values import Deny, Identity
from tests.oidc_clients.conftest import Clock, Keys, Provider, Verifier, b64

Verifiers = Callable[..., Verifier]
Run = Callable[..., Any]
HOUR = 3600.0


class Signatures:
    """Counts how often a signature is verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verified = 0
        real = tokens.signature_refusal

        def counting(*arguments: Any) -> Deny | None:
            self.verified += 1
            return real(*arguments)

        monkeypatch.setattr(tokens, "signature_refusal", counting)


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> Signatures:
    return Signatures(monkeypatch)


def test_J14_a_token_is_verified_once(
    verifiers: Verifiers, provider: Provider, keys: Keys, signatures: Signatures
) -> None:
    verifier = verifiers(provider.spec())
    good, bad = keys.rsa.mint(verifier.claims()), keys.rsa_2.named("rsa-1").mint(verifier.claims())
    for _ in range(5):
        verifier.identity(good)
        assert verifier.code(bad) == "token_signature"
    assert signatures.verified == 2


def test_J14_what_is_remembered_ends_with_the_token(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec(leeway=10))
    start = clock.now
    token = keys.rsa.mint(verifier.claims(exp=start + 100, nbf=start))
    verifier.identity(token)
    for moment, code in (
        (-11, "token_not_yet_valid"),
        (110, "token_expired"),
        (111, "token_expired"),
    ):
        clock.now = start + moment
        assert verifier.code(token) == code
    for moment in (-10, 0, 109):
        clock.now = start + moment
        verifier.tokens.replace([replace(provider.spec(leeway=10), name="acme")])
        verifier.identity(token)


def test_J14_a_refusal_is_remembered_briefly(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock, signatures: Signatures
) -> None:
    verifier = verifiers(provider.spec())
    bad = keys.rsa_2.named("rsa-1").mint(verifier.claims())
    for moment, verified in ((0, 1), (4.9, 1), (5, 2)):
        clock.now = 1_800_000_000 + moment
        verifier.code(bad)
        assert signatures.verified == verified


def test_J14_a_token_that_is_not_valid_yet_becomes_valid(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec(leeway=0))
    token = keys.rsa.mint(verifier.claims(nbf=clock.now + 1))
    assert verifier.code(token) == "token_not_yet_valid"
    clock.now += 1
    verifier.identity(token)


def test_J14_providers_share_nothing_that_is_remembered(
    verifiers: Verifiers, provider: Provider, keys: Keys, signatures: Signatures
) -> None:
    """CVE-2026-33496: a token remembered for one provider says nothing to another one, even
    with the same issuer and keys."""
    strict = provider.spec("strict", audiences=frozenset({"urn:other"}))
    verifier = verifiers(provider.spec("lax"), strict)
    token = keys.rsa.mint(verifier.claims())
    assert verifier.identity(token, "lax").provider == "lax"
    assert verifier.code(token, "strict") == "token_audience"
    assert verifier.identity(token, "lax").provider == "lax"
    assert verifier.code(token, "strict") == "token_audience"
    assert signatures.verified == 2


def test_J14_a_route_gets_nothing_from_providers_it_does_not_name(
    verifiers: Verifiers, provider: Provider, other_provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec("one"), other_provider.spec("two"))
    token = keys.rsa.mint(verifier.claims())
    verifier.identity(token, "one", "two")
    assert verifier.code(token, "two") == "token_issuer"


def test_J14_one_changed_byte_is_another_token(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.p256.mint(verifier.claims())
    verifier.identity(token)
    for index in range(0, len(token), 7):
        changed = bytearray(token)
        changed[index] = ord("A") if changed[index] != ord("A") else ord("B")
        assert isinstance(verifier.verdict(bytes(changed)), Deny)
    verifier.identity(token)


@pytest.mark.parametrize(
    "change",
    [
        {"audiences": frozenset({"urn:other"})},
        {"algorithms": frozenset({"ES256"})},
        {"token_types": frozenset({"jwt"})},
        {"issuer": "https://other.example"},
        {"enabled": False},
    ],
)
def test_J14_a_changed_provider_forgets_at_once(
    verifiers: Verifiers, provider: Provider, keys: Keys, change: dict[str, Any]
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    verifier.identity(token)
    verifier.tokens.replace([replace(provider.spec(), **change)])
    assert isinstance(verifier.verdict(token), Deny)


def test_J14_a_disabled_provider_is_refused_at_once_and_comes_back(
    verifiers: Verifiers, provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    verifier.identity(token)
    verifier.tokens.replace([provider.spec(enabled=False)])
    assert verifier.code(token) == "token_issuer"
    verifier.tokens.replace([])
    assert verifier.code(token) == "token_issuer"
    verifier.tokens.replace([provider.spec()])
    verifier.identity(token)


def test_J14_an_unchanged_provider_keeps_keys_and_memory(
    verifiers: Verifiers,
    provider: Provider,
    other_provider: Provider,
    keys: Keys,
    signatures: Signatures,
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    verifier.identity(token)
    verifier.tokens.replace([provider.spec(), other_provider.spec("two")])
    verifier.identity(token)
    assert signatures.verified == 1
    verifier.tokens.replace([provider.spec(leeway=1)])  # another description, the same keys
    verifier.identity(token)
    assert signatures.verified == 2
    assert provider.hits["jwks"] == 1


def test_J14_a_removed_key_takes_its_tokens_along(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec())
    first = keys.rsa.mint(verifier.claims(exp=clock.now + 9 * HOUR))
    second = keys.p256.mint(verifier.claims(exp=clock.now + 9 * HOUR))
    verifier.identity(first)
    verifier.identity(second)
    provider.keys = [keys.p256.jwk]
    verifier.install(clock.now + 1, keys.p256)
    clock.now += 2
    assert verifier.code(first) == "key_unknown"
    verifier.identity(second)


def test_J14_a_key_that_changes_under_its_kid_is_another_key(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())
    verifier.identity(token)
    verifier.install(clock.now + 1, keys.rsa_2.named("rsa-1"))
    clock.now += 2
    assert verifier.code(token) == "token_signature"


def test_J14_a_renewed_set_with_the_same_keys_keeps_the_memory(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock, signatures: Signatures
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(exp=clock.now + 9 * HOUR))
    verifier.identity(token)
    clock.now += 2 * HOUR
    verifier.identity(token)
    assert provider.hits["jwks"] == 2
    assert signatures.verified == 1


def test_J8_remembered_tokens_end_with_the_stale_limit_too(
    verifiers: Verifiers, provider: Provider, keys: Keys, clock: Clock
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims(exp=clock.now + 99 * HOUR))
    verifier.identity(token)
    provider.fault = "down"
    start = clock.now
    for hours in (1, 2, 23.9):
        clock.now = start + hours * HOUR
        verifier.identity(token)
    clock.now = start + 24 * HOUR
    assert verifier.code(token) == "provider_unavailable"


def test_J14_memory_is_bounded_under_many_distinct_tokens(
    verifiers: Verifiers, provider: Provider, keys: Keys, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_ACCEPTED", 200)
    monkeypatch.setattr(tokens, "MAX_REFUSED", 100)
    verifier = verifiers(provider.spec())
    good = [keys.ed.mint(verifier.claims(jti=number)) for number in range(1000)]
    provider.keys.append(keys.ed.jwk)
    verifier.tokens.replace([provider.spec(algorithms=frozenset({"EdDSA"}))])

    async def main() -> None:
        for token in good:
            assert isinstance(await verifier.verify(token), Identity)
            forged = token.rpartition(b".")[0] + b"." + b64(bytes(64))
            assert isinstance(await verifier.verify(forged), Deny)
        for number in range(20_000):
            assert isinstance(await verifier.verify(b"garbage %d" % number), Deny)

    run(main())
    (memory,) = verifier.tokens._enabled.values()
    assert len(memory.accepted) <= 200
    assert len(memory.refused) <= 100


def test_J14_a_provider_that_is_disabled_while_its_keys_are_fetched(
    verifiers: Verifiers, provider: Provider, keys: Keys, run: Run
) -> None:
    verifier = verifiers(provider.spec())
    token = keys.rsa.mint(verifier.claims())

    async def main() -> None:
        provider.hold()
        verdict = asyncio.ensure_future(verifier.verify(token))
        await provider.held()
        verifier.tokens.replace([provider.spec(enabled=False)])
        provider.gate.set()
        refusal = await verdict
        assert isinstance(refusal, Deny)
        assert refusal.code == "token_issuer"

    run(main())


def test_J14_providers_are_replaced_while_tokens_are_verified(
    verifiers: Verifiers, provider: Provider, keys: Keys, run: Run
) -> None:
    """From another thread, as the wiring does it: no verdict but the two that are right."""
    verifier = verifiers(provider.spec())
    good = [keys.ed.mint(verifier.claims(jti=number)) for number in range(50)]
    provider.keys.append(keys.ed.jwk)
    accepting = provider.spec(algorithms=frozenset({"EdDSA"}))
    done = threading.Event()

    def replacing() -> None:
        for number in range(500):
            verifier.tokens.replace([replace(accepting, enabled=number % 2 == 0)])
        verifier.tokens.replace([accepting])
        done.set()

    async def main() -> set[str]:
        seen = set()
        while not done.is_set():
            for token in good:
                verdict = await verifier.verify(token)
                seen.add(verdict.code if isinstance(verdict, Deny) else verdict.subject)
        for token in good:
            assert isinstance(await verifier.verify(token), Identity)
        return seen

    verifier.tokens.replace([accepting])
    verifier.identity(good[0])
    thread = threading.Thread(target=replacing)
    thread.start()
    seen = run(main())
    thread.join()
    assert seen <= {"user-1", "token_issuer"}
