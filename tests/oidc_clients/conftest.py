"""What the tests of token verification share: keys, a mint, a provider on loopback, a clock."""

import asyncio
import base64
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from oidc_clients import fetch
from oidc_clients.keystore import KeyStore
from oidc_clients.provider import ProviderSpec
from oidc_clients.tokens import ProviderTokens
from policies.core.state import State
from policies.core.values import Deny, Identity
from policies.stores.batching import BatchingState
from policies.stores.database import DatabaseBackend
from policies.stores.memory import MemoryBackend, MemoryState
from tests.oidc_clients.loopback import AUDIENCE, Provider

ALGORITHMS = get_default_algorithms()


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class SigningKey:
    """A private key with the kid under which its provider publishes it."""

    def __init__(self, kid: str | None, algorithm: str, private: Any) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.private = private

    @property
    def jwk(self) -> dict[str, Any]:
        jwk = dict(ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True))
        jwk.pop("key_ops", None)
        named = {} if self.kid is None else {"kid": self.kid}
        return jwk | named | {"alg": self.algorithm, "use": "sig"}

    def named(self, kid: str | None) -> "SigningKey":
        return SigningKey(kid, self.algorithm, self.private)

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        return ALGORITHMS[algorithm or self.algorithm].sign(data, self.private)

    def mint(self, claims: dict[str, Any] | bytes, header: dict[str, Any] | bytes = b"") -> bytes:
        """A token; bytes are taken as the very JSON, a dict is added to the usual header."""
        if isinstance(header, dict) or not header:
            usual: dict[str, Any] = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.kid}
            members = usual | dict(header or {})
            header = json.dumps({k: v for k, v in members.items() if v is not None}).encode()
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signing_input = b64(header) + b"." + b64(payload)
        return signing_input + b"." + b64(self.sign(signing_input))


@dataclass
class Clock:
    """Time stands still until a test moves it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Keys:
    """Real keys, made once."""

    rsa: SigningKey = field(
        default_factory=lambda: SigningKey(
            "rsa-1", "RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
    )
    rsa_2: SigningKey = field(
        default_factory=lambda: SigningKey(
            "rsa-2", "RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
    )
    p256: SigningKey = field(
        default_factory=lambda: SigningKey("ec-1", "ES256", ec.generate_private_key(ec.SECP256R1()))
    )
    p384: SigningKey = field(
        default_factory=lambda: SigningKey("ec-2", "ES384", ec.generate_private_key(ec.SECP384R1()))
    )
    p521: SigningKey = field(
        default_factory=lambda: SigningKey("ec-3", "ES512", ec.generate_private_key(ec.SECP521R1()))
    )
    ed: SigningKey = field(
        default_factory=lambda: SigningKey("ed-1", "EdDSA", ed25519.Ed25519PrivateKey.generate())
    )


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run


@pytest.fixture
def provider(keys: Keys) -> Iterator[Provider]:
    made = Provider()
    made.keys = [keys.rsa.jwk, keys.p256.jwk]
    yield made
    made.stop()


@pytest.fixture
def other_provider(keys: Keys) -> Iterator[Provider]:
    made = Provider()
    made.keys = [keys.rsa_2.named("rsa-1").jwk]
    yield made
    made.stop()


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Names resolve to these addresses, another list each time; returns the names asked for."""

    def resolving(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *others: Any, **options: Any) -> list[Any]:
            addresses = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, port)) for address in addresses]

        monkeypatch.setattr(fetch.socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolving


@pytest.fixture(params=["memory", "database"])
def state(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> State:
    """Shared by all workers of a test."""
    if request.param == "memory":
        return MemoryState(MemoryBackend(clock))
    return BatchingState(DatabaseBackend(tmp_path / "state.sqlite3", clock))


class Workers:
    """Several processes as far as key sets go: one store each, one shared state."""

    def __init__(self, state: State, clock: Clock, spec: ProviderSpec, count: int = 1) -> None:
        self.stores = [KeyStore(state, clock) for _ in range(count)]
        self.slots = [store.slot(spec) for store in self.stores]
        self.clock = clock

    async def kids(self, worker: int = 0) -> set[str | None] | None:
        keys = await self.stores[worker].ready(self.slots[worker], self.clock.now)
        return None if keys is None else {key.kid for key in keys.keys}

    async def search(self, kid: str, worker: int = 0) -> bool:
        return await self.stores[worker].search(self.slots[worker], kid)

    def install(self, fetched_at: float, *keys: SigningKey) -> bool:
        """As the wiring does with what the rotation stored."""
        document = {"keys": [key.jwk for key in keys]}
        slot = self.slots[0]
        return self.stores[0].install(slot.spec.name, slot.source.digest, document, fetched_at)

    async def idle(self) -> None:
        """Every renewal in the background has ended."""
        jobs = [slot.job for slot in self.slots if slot.job is not None]
        await asyncio.gather(*jobs)


@pytest.fixture
def workers(state: State, clock: Clock, provider: Provider) -> Callable[..., Workers]:
    return lambda count=1, **changes: Workers(state, clock, provider.spec(**changes), count)


class Verifier:
    """One worker as far as tokens go. Each verdict may run in a loop of its own."""

    def __init__(self, clock: Clock, *specs: ProviderSpec, state: State | None = None) -> None:
        self.clock = clock
        self.store = KeyStore(state or MemoryState(MemoryBackend(clock)), clock)
        self.tokens = ProviderTokens(self.store)
        self.tokens.replace(specs)
        self.issuer = specs[0].issuer

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good token; ``...`` leaves one out."""
        now = int(self.clock.now)
        usual: dict[str, Any] = {"iss": self.issuer, "sub": "user-1", "aud": AUDIENCE}
        usual |= {"scope": "read", "iat": now, "exp": now + 300}
        return {name: value for name, value in (usual | changes).items() if value is not ...}

    def install(self, fetched_at: float, *keys: SigningKey) -> None:
        """As the wiring does with what the rotation stored."""
        (slot,) = map(self.store.slot, self.tokens.specs)
        document = {"keys": [key.jwk for key in keys]}
        assert self.store.install(slot.spec.name, slot.source.digest, document, fetched_at)

    async def verify(self, token: bytes, *providers: str) -> Identity | Deny:
        return await self.tokens.verify(providers or ("acme",), token, self.clock.now)

    def verdict(self, token: bytes, *providers: str) -> Identity | Deny:
        return asyncio.run(self.verify(token, *providers))

    def identity(self, token: bytes, *providers: str) -> Identity:
        verdict = self.verdict(token, *providers)
        assert isinstance(verdict, Identity), verdict
        return verdict

    def code(self, token: bytes, *providers: str) -> str:
        verdict = self.verdict(token, *providers)
        assert isinstance(verdict, Deny), verdict
        return verdict.code


@pytest.fixture
def verifiers(clock: Clock) -> Callable[..., Verifier]:
    return lambda *specs, **options: Verifier(clock, *specs, **options)
