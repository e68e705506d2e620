"""ID tokens and logout tokens: one right one, and each way in which it can be wrong."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from oidc_clients.browser.id_tokens import (
    LOGOUT_EVENT,
    MAX_AGE,
    Logout,
    Person,
    TokenRefused,
    TokenUndecided,
    Verifier,
)
from tests.oidc_clients.conftest import Clock, Keys, SigningKey
from tests.oidc_clients.conftest import Verifier as Worker
from tests.oidc_clients.loopback import Provider

ACCESS = "the.access.token"
NONCE = "n-0S6_WzA2Mj"


def at_hash(digest: Any = hashlib.sha256, token: str = ACCESS) -> str:
    value = digest(token.encode()).digest()
    return base64.urlsafe_b64encode(value[: len(value) // 2]).rstrip(b"=").decode()


class Asked:
    """A verifier, and a provider that signs what it is told to."""

    def __init__(self, worker: Worker, provider: Provider, keys: Keys, clock: Clock) -> None:
        (spec,) = worker.tokens.specs
        self.verifier = Verifier(spec, "gw", worker.store, worker.store.slot(spec))
        self.keys, self.clock, self.issuer = keys, clock, provider.issuer

    def claims(self, usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        now = int(self.clock.now)
        common = {"iss": self.issuer, "aud": "gw", "sub": "alice", "iat": now, "exp": now + 300}
        return {k: v for k, v in (common | usual | changes).items() if v is not ...}

    async def id_token(
        self, header: dict[str, Any] | None = None, key: SigningKey | None = None, **changes: Any
    ) -> Person:
        claims = self.claims({"nonce": NONCE, "at_hash": at_hash()}, changes)
        token = (key or self.keys.rsa).mint(claims, {"typ": "JWT", **(header or {})}).decode()
        return await self.verifier.id_token(token, NONCE, ACCESS, self.clock.now)

    async def logout(self, header: dict[str, Any] | None = None, **changes: Any) -> Logout:
        claims = self.claims({"jti": "j", "events": {LOGOUT_EVENT: {}}}, changes)
        token = self.keys.rsa.mint(claims, {"typ": "logout+jwt", **(header or {})}).decode()
        return await self.verifier.logout_token(token, self.clock.now)


@pytest.fixture
def asked(
    verifiers: Callable[..., Worker], provider: Provider, keys: Keys, clock: Clock
) -> Callable[..., Asked]:
    def make(**changes: Any) -> Asked:
        return Asked(verifiers(provider.spec(**changes)), provider, keys, clock)

    return make


def test_a_right_id_token_says_who_signed_in(asked: Callable[..., Asked], run: Any) -> None:
    one = asked()
    assert run(one.id_token(sid="s", email="alice@example.org")) == Person(
        "alice", "s", "alice@example.org"
    )
    assert run(one.id_token(aud=["gw"], azp="gw")).sid == ""
    assert run(one.id_token(aud=["gw", "other"], azp="gw", at_hash=...)).subject == "alice"
    assert run(one.id_token({"typ": None})).subject == "alice"
    assert run(one.id_token(key=one.keys.p256)).subject == "alice"


@pytest.mark.parametrize("name", ["p384", "ed"])
def test_at_hash_is_made_by_the_algorithms_hash(
    asked: Callable[..., Asked], provider: Provider, keys: Keys, run: Any, name: str
) -> None:
    key: SigningKey = getattr(keys, name)
    provider.keys = [key.jwk]
    one = asked(algorithms=frozenset({key.algorithm}))
    digest = {"ES384": hashlib.sha384, "EdDSA": hashlib.sha512}[key.algorithm]
    assert run(one.id_token(key=key, at_hash=at_hash(digest))).subject == "alice"
    with pytest.raises(TokenRefused, match="another access token"):
        run(one.id_token(key=key, at_hash=at_hash(hashlib.sha256)))


WRONG_ID = {
    "no-nonce": ({}, {"nonce": ...}),
    "nonce": ({}, {"nonce": "another"}),
    "nonce-no-text": ({}, {"nonce": [NONCE]}),
    "audience": ({}, {"aud": "other"}),
    "no-audience": ({}, {"aud": ...}),
    "audience-prefix": ({}, {"aud": "gw2"}),
    "audiences-without-party": ({}, {"aud": ["gw", "other"]}),
    "party": ({}, {"azp": "other"}),
    "party-null": ({}, {"azp": ""}),
    "issuer": ({}, {"iss": "https://elsewhere.example"}),
    "no-issuer": ({}, {"iss": ...}),
    "no-subject": ({}, {"sub": ...}),
    "subject-empty": ({}, {"sub": ""}),
    "subject-long": ({}, {"sub": "a" * 256}),
    "no-exp": ({}, {"exp": ...}),
    "exp-text": ({}, {"exp": "1900000000"}),
    "exp-true": ({}, {"exp": True}),
    "expired": ({}, {"exp": 1_700_000_000}),
    "no-iat": ({}, {"iat": ...}),
    "old": ({}, {"iat": 1_800_000_000 - MAX_AGE - 31}),
    "future": ({}, {"iat": 1_800_000_000 + 31}),
    "at_hash": ({}, {"at_hash": at_hash(token="another")}),
    "at_hash-whole": ({}, {"at_hash": at_hash(hashlib.sha512)}),
    "at_hash-no-text": ({}, {"at_hash": 1}),
    "events": ({}, {"events": {LOGOUT_EVENT: {}}}),
    "access-token": ({"typ": "at+jwt"}, {}),
    "logout-token": ({"typ": "logout+jwt"}, {}),
    "none": ({"alg": "none"}, {}),
    "another-algorithm": ({"alg": "RS512"}, {}),
    "hmac": ({"alg": "HS256"}, {}),
    "crit": ({"crit": ["x"], "x": 1}, {}),
    "kid": ({"kid": "nobody"}, {}),
}


@pytest.mark.parametrize("name", WRONG_ID)
def test_D6_a_wrong_id_token_signs_nobody_in(
    asked: Callable[..., Asked], run: Any, name: str
) -> None:
    header, changes = WRONG_ID[name]
    one = asked()
    with pytest.raises(TokenRefused) as refused:
        run(one.id_token(header, **changes))
    for given in (NONCE, "alice", "elsewhere"):
        assert given not in str(refused.value)


def test_D6_another_key_signs_nobody_in(asked: Callable[..., Asked], keys: Keys, run: Any) -> None:
    with pytest.raises(TokenRefused, match="signature"):
        run(asked().id_token(key=keys.rsa_2.named("rsa-1")))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "x" * 9000])
def test_what_is_no_token_is_refused(asked: Callable[..., Asked], run: Any, token: str) -> None:
    one = asked()
    with pytest.raises(TokenRefused):
        run(one.verifier.id_token(token, NONCE, ACCESS, one.clock.now))
    with pytest.raises(TokenRefused):
        run(one.verifier.logout_token(token, one.clock.now))


def test_F3_without_keys_nobody_can_say(
    asked: Callable[..., Asked], provider: Provider, run: Any
) -> None:
    provider.fault = "fault_500"
    with pytest.raises(TokenUndecided):
        run(asked().id_token())


def test_a_right_logout_token_says_whom(asked: Callable[..., Asked], run: Any) -> None:
    one = asked()
    ends = one.clock.now + 300
    assert run(one.logout()) == Logout("alice", "", "j", ends)
    assert run(one.logout(sub=..., sid="s")) == Logout("", "s", "j", ends)
    assert run(one.logout({"typ": "JWT"}, sid="s")).sid == "s"


WRONG_LOGOUT = {
    "no-events": ({}, {"events": ...}),
    "other-event": ({}, {"events": {"http://example.org/": {}}}),
    "event-no-object": ({}, {"events": {LOGOUT_EVENT: []}}),
    "events-list": ({}, {"events": [LOGOUT_EVENT]}),
    "nonce": ({}, {"nonce": NONCE}),
    "nonce-null": ({}, {"nonce": None}),
    "nobody": ({}, {"sub": ...}),
    "no-jti": ({}, {"jti": ...}),
    "audience": ({}, {"aud": "other"}),
    "issuer": ({}, {"iss": "https://elsewhere.example"}),
    "no-exp": ({}, {"exp": ...}),
    "expired": ({}, {"exp": 1_700_000_000}),
    "old": ({}, {"iat": 1_800_000_000 - MAX_AGE - 31}),
    "access-token": ({"typ": "at+jwt"}, {}),
    "none": ({"alg": "none"}, {}),
}


@pytest.mark.parametrize("name", WRONG_LOGOUT)
def test_J12_a_wrong_logout_token_signs_nobody_out(
    asked: Callable[..., Asked], run: Any, name: str
) -> None:
    header, changes = WRONG_LOGOUT[name]
    with pytest.raises(TokenRefused):
        run(asked().logout(header, **changes))
