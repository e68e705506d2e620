"""What was taken back is refused, remembered or not, and nothing else is (J14)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from oidc_clients import tokens
from oidc_clients.revocation import Entry, Kind, RevocationBook
from policies.core.values import Deny, Identity
from tests.oidc_clients.conftest import Keys, Provider, Verifier

Verifiers = Callable[..., Verifier]


@pytest.fixture
def verifier(verifiers: Verifiers, provider: Provider) -> Verifier:
    return verifiers(provider.spec())


def revoke(verifier: Verifier, *entries: tuple[Any, ...], issuer: str = "") -> None:
    book = RevocationBook(Entry(issuer or verifier.issuer, *entry) for entry in entries)
    verifier.tokens.revoke(book)


def test_J14_one_token_is_taken_back_and_no_other(verifier: Verifier, keys: Keys) -> None:
    gone, kept = (keys.rsa.mint(verifier.claims(jti=name)) for name in ("gone", "kept"))
    nameless = keys.rsa.mint(verifier.claims())
    for token in (gone, kept, nameless):
        verifier.identity(token)
    revoke(verifier, (Kind.TOKEN, "gone"))
    assert verifier.code(gone) == "token_revoked"
    verifier.identity(kept)
    verifier.identity(nameless)


@pytest.mark.parametrize(
    ("kind", "value", "others"),
    [
        (Kind.SUBJECT, "user-1", {"sub": "user-2"}),
        (Kind.CLIENT, "shop", {"client_id": "till"}),
        (Kind.ISSUER, "", None),
    ],
)
def test_J14_all_tokens_issued_before_a_moment(
    verifier: Verifier, keys: Keys, kind: Kind, value: str, others: dict[str, str] | None
) -> None:
    moment = verifier.clock.now
    mine = {"sub": "user-1", "client_id": "shop"}
    for seen in (False, True):  # not yet remembered, and remembered
        old, undated, fresh = (
            keys.rsa.mint(verifier.claims(**mine, iat=iat, jti=str(seen)))
            for iat in (moment - 1, ..., moment)
        )
        other = keys.rsa.mint(verifier.claims(**{**mine, **(others or {})}, iat=moment - 1))
        if seen:
            revoke(verifier)
            for token in (old, undated, fresh, other):
                verifier.identity(token)
        revoke(verifier, (kind, value, moment))
        assert verifier.code(old) == "token_revoked"
        assert verifier.code(undated) == "token_revoked"
        verifier.identity(fresh)
        if others:
            verifier.identity(other)


def test_a_client_is_known_by_azp_too(verifier: Verifier, keys: Keys) -> None:
    token = keys.rsa.mint(verifier.claims(azp="shop", iat=verifier.clock.now - 1))
    revoke(verifier, (Kind.CLIENT, "shop", verifier.clock.now))
    assert verifier.code(token) == "token_revoked"


def test_of_two_moments_the_later_one_holds(verifier: Verifier, keys: Keys) -> None:
    now = verifier.clock.now
    token = keys.rsa.mint(verifier.claims(iat=now - 50))
    revoke(verifier, (Kind.SUBJECT, "user-1", now), (Kind.SUBJECT, "user-1", now - 100))
    assert verifier.code(token) == "token_revoked"


def test_J14_a_revocation_is_for_one_issuer(
    verifiers: Verifiers, provider: Provider, other_provider: Provider, keys: Keys
) -> None:
    verifier = verifiers(provider.spec("one"), other_provider.spec("two"))
    mine = keys.rsa.mint(verifier.claims(jti="7"))
    theirs = keys.rsa_2.named("rsa-1").mint(verifier.claims(jti="7", iss=other_provider.issuer))
    revoke(verifier, (Kind.TOKEN, "7"))
    assert verifier.code(mine, "one", "two") == "token_revoked"
    verifier.identity(theirs, "one", "two")


def test_a_token_id_that_is_no_text_is_none(verifier: Verifier, keys: Keys) -> None:
    revoke(verifier, (Kind.TOKEN, "7"))
    for token_id in (7, ["7"], {"7": 7}, None):
        verifier.identity(keys.rsa.mint(verifier.claims(jti=token_id)))


def test_only_a_genuine_and_valid_token_is_called_revoked(verifier: Verifier, keys: Keys) -> None:
    """Whoever makes up a token learns nothing of what was revoked."""
    revoke(verifier, (Kind.TOKEN, "7"))
    claims = verifier.claims(jti="7")
    assert verifier.code(keys.rsa_2.named("rsa-1").mint(claims)) == "token_signature"
    assert verifier.code(keys.rsa.mint(claims | {"exp": 5})) == "token_expired"
    assert verifier.code(keys.rsa.mint(claims | {"aud": "urn:x"})) == "token_audience"


def test_J14_what_is_given_back_is_accepted_at_once(verifier: Verifier, keys: Keys) -> None:
    token = keys.rsa.mint(verifier.claims(jti="7"))
    revoke(verifier, (Kind.TOKEN, "7"))
    assert verifier.code(token) == "token_revoked"
    revoke(verifier)
    verifier.identity(token)


def test_J14_revocations_outlive_a_changed_provider(
    verifier: Verifier, provider: Provider, keys: Keys
) -> None:
    token = keys.rsa.mint(verifier.claims(jti="7"))
    revoke(verifier, (Kind.TOKEN, "7"))
    verifier.tokens.replace([replace(provider.spec(), leeway=1)])
    assert verifier.code(token) == "token_revoked"
    verifier.tokens.replace([])
    verifier.tokens.replace([provider.spec()])
    assert verifier.code(token) == "token_revoked"


def test_J14_the_hot_path_does_not_look_at_revocations(
    verifier: Verifier, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation drops from the memory what it covers: all other tokens stay remembered, and
    recalling one asks nothing."""
    token = keys.rsa.mint(verifier.claims(jti="kept"))
    verifier.identity(token)
    revoke(verifier, (Kind.TOKEN, "gone"), (Kind.SUBJECT, "user-2", verifier.clock.now))

    def never(*_: Any) -> Deny:
        raise AssertionError("verified, or looked up, again")

    monkeypatch.setattr(tokens, "signature_refusal", never)
    monkeypatch.setattr("oidc_clients.revocation.Revoked.covers", never)
    found = verifier.tokens.recall(("acme",), token, verifier.clock.now)
    assert isinstance(found, Identity)


def test_J14_a_token_that_is_verified_while_it_is_taken_back(
    verifier: Verifier, provider: Provider, keys: Keys, run: Callable[..., Any]
) -> None:
    token = keys.rsa.mint(verifier.claims(jti="7"))

    async def main() -> None:
        provider.hold()
        verdict = asyncio.ensure_future(verifier.verify(token))
        await provider.held()
        revoke(verifier, (Kind.TOKEN, "7"))
        provider.gate.set()
        refusal = await verdict
        assert isinstance(refusal, Deny)
        assert refusal.code == "token_revoked"

    run(main())


def test_a_full_memory_is_gone_through_in_one_short_step(
    verifier: Verifier, keys: Keys, record_property: Callable[[str, Any], None]
) -> None:
    """The event loop waits meanwhile; the time is reported, not judged."""
    first = verifier.identity(keys.rsa.mint(verifier.claims()))
    (memory,) = verifier.tokens._enabled.values()
    for number in range(tokens.MAX_ACCEPTED):
        identity = replace(first, claims={"jti": str(number), "iat": 1})
        memory.accepted.put(b"%d" % number, tokens.rules.Accepted(identity, 0, 2e12))
    held = len(memory.accepted)
    began = time.perf_counter()
    revoke(verifier, (Kind.TOKEN, str(tokens.MAX_ACCEPTED - 1)), (Kind.SUBJECT, "user-2", 5.0))
    record_property("a_full_memory_ms", round((time.perf_counter() - began) * 1000, 2))
    assert len(memory.accepted) == held - 1
