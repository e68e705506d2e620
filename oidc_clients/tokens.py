"""Verification of provider tokens: the one place where a JWT turns into an identity.

Theory of operation. A token is taken apart strictly, its unverified ``iss`` picks the one
provider of the route that it may come from, and from there on only that provider's
description decides: which algorithms, which key, which claims. Rules:

1. The algorithm must be one of the provider's, and fit the key's type, curve and own ``alg``;
   the token's header alone decides nothing (RFC 8725 3.1).
2. Cheap refusals come first; there is one signature verification per token and key set.
3. A verified token is remembered under the hash of the whole token, inside the provider that
   verified it, for as long as it is valid; so nothing is shared between providers. The memory
   is empty again when the provider's description or key set changes.
4. Nothing of an unverified token is logged, or remembered beyond its hash and the verdict.
5. What was taken back is looked up when a token is verified, never when one is recalled: new
   revocations drop from the memory what they cover.

The signatures are verified by PyJWT, through ``oidc_clients.jose``.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from oidc_clients import claims as rules
from oidc_clients.bounded import Bounded
from oidc_clients.compact import MAX_TOKEN_BYTES, Compact, parse
from oidc_clients.jose import verifies
from oidc_clients.jwks import Key, KeySet
from oidc_clients.keystore import KeySlot, KeyStore
from oidc_clients.provider import ProviderSpec
from oidc_clients.revocation import NOTHING_REVOKED, RevocationBook, Revoked
from oidc_clients.strict import NotStrict, json_object
from policies.core.values import Deny, Identity

MAX_ACCEPTED = 20_000
"""Verified tokens remembered for each provider and worker."""
MAX_REFUSED = 4096
REFUSED_SECONDS = 5.0
"""How long a refusal is remembered."""


class ProviderTokens:
    """``policies.core.callers.Tokens`` over a key store."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: dict[str, _Provider] = {}
        self._enabled: dict[str, _Provider] = {}
        self._book = NOTHING_REVOKED

    @property
    def specs(self) -> tuple[ProviderSpec, ...]:
        """The providers in force, switched off ones included."""
        return tuple(provider.spec for provider in self._known.values())

    def replace(self, specs: Iterable[ProviderSpec]) -> None:
        """Put another set of providers in force, from the next token on.

        Unchanged providers keep their key sets and what they remember. Callable from any thread,
        by one at a time.
        """
        known = {}
        for spec in specs:
            former = self._known.get(spec.name)
            if former is None or former.spec != spec:
                former = _Provider(spec, self._store.slot(spec), self._book.of(spec.issuer))
            known[spec.name] = former
        self._known = known
        self._enabled = {name: item for name, item in known.items() if item.spec.enabled}
        self._store.retain(set(known))

    def revoke(self, book: RevocationBook) -> None:
        """Put what was taken back in force, from the next token on: the whole of it, each time.

        To be called in the event loop, between two steps of verification.
        """
        self._book = book
        for provider in self._known.values():
            provider.revoke(book.of(provider.spec.issuer))

    def provider(self, name: str) -> ProviderSpec | None:
        """See ``policies.core.callers.Tokens``."""
        spec = self._known[name].spec
        return spec if spec.enabled else None

    def recall(
        self, providers: tuple[str, ...], token: bytes, now: float
    ) -> Identity | Deny | None:
        """See ``policies.core.callers.Tokens``."""
        if len(token) > MAX_TOKEN_BYTES:
            return rules.TOO_LARGE
        digest = sha256(token).digest()
        for name in providers:
            provider = self._enabled.get(name)
            if provider is not None and now < provider.slot.due:
                verdict = provider.recall(digest, now)
                if verdict is not None:
                    return verdict
        return None

    async def verify(self, providers: tuple[str, ...], token: bytes, now: float) -> Identity | Deny:
        """See ``policies.core.callers.Tokens``."""
        if len(token) > MAX_TOKEN_BYTES:
            return rules.TOO_LARGE
        digest = sha256(token).digest()
        enabled = self._enabled
        for name in providers:
            provider = enabled.get(name)
            if provider is not None:
                verdict = provider.recall(digest, now)
                if verdict is not None and (
                    now < provider.slot.due or await self._still_holds(provider, now)
                ):
                    return verdict
        try:
            parts = parse(token)
            claims = json_object(parts.payload)
        except NotStrict:
            return rules.MALFORMED
        issuer = claims.get("iss")
        for name in providers:
            provider = enabled.get(name)
            if provider is not None and provider.spec.issuer == issuer:
                return await self._decide(provider, parts, claims, digest, now)
        return rules.ISSUER

    async def _still_holds(self, provider: "_Provider", now: float) -> bool:
        """Whether the keys behind what is remembered are in force, now that they are due."""
        return await self._store.ready(provider.slot, now) is provider.keys

    async def _decide(
        self,
        provider: "_Provider",
        parts: Compact,
        claims: dict[str, Any],
        digest: bytes,
        now: float,
    ) -> Identity | Deny:
        spec, slot = provider.spec, provider.slot
        if parts.algorithm not in spec.algorithms:
            return rules.ALGORITHM
        refusal = rules.type_refusal(spec, parts, claims)
        if refusal is not None:
            return refusal
        keys = await keys_for(self._store, slot, parts, now)
        if isinstance(keys, Deny):
            return keys
        if self._enabled.get(spec.name) is not provider:
            return rules.ISSUER  # replaced while we waited
        refusal = signed_refusal(spec, parts, keys)
        if refusal is rules.KEY_UNKNOWN or refusal is rules.ALGORITHM:
            return refusal
        verdict = refusal or rules.accept(spec, claims, now)
        if isinstance(verdict, rules.Accepted) and provider.revoked.covers(verdict.identity):
            verdict = rules.REVOKED
        return provider.remember(keys, digest, verdict, now)


async def keys_for(store: KeyStore, slot: KeySlot, token: Compact, now: float) -> KeySet | Deny:
    """The key set in force, which knows the token's ``kid`` if there is such a key at all."""
    keys = await store.ready(slot, now)
    if keys is None:
        return rules.UNAVAILABLE
    # A shared secret has no kid: it is nobody's to choose.
    if slot.spec.symmetric or token.kid is None or keys.knows(token.kid):
        return keys
    found = await store.search(slot, token.kid)
    if not found or slot.held is None:
        return rules.UNAVAILABLE if slot.blind else rules.KEY_UNKNOWN
    return slot.held.keys


def signed_refusal(spec: ProviderSpec, token: Compact, keys: KeySet) -> Deny | None:
    """Whether no key of the provider's verifies the token."""
    if spec.symmetric:
        return shared_secret_refusal(token, keys)
    return signature_refusal(token, token.kid, keys)


def signature_refusal(parts: Compact, kid: str | None, keys: KeySet) -> Deny | None:
    """Whether a key of the set does not verify the token; ``kid`` is the one to go by."""
    key = keys.select(kid, parts.algorithm)
    if key is None:
        return rules.KEY_UNKNOWN if kid is None or not keys.knows(kid) else rules.ALGORITHM
    return None if _verifies(key, parts) else rules.SIGNATURE


def shared_secret_refusal(parts: Compact, keys: KeySet) -> Deny | None:
    """Whether none of the shared secrets verifies the token; during a rotation there are two."""
    verified = [_verifies(key, parts) for key in keys.fitting(parts.algorithm)]
    return None if any(verified) else rules.SIGNATURE


def _verifies(key: Key, parts: Compact) -> bool:
    return verifies(parts.algorithm, parts.signing_input, key.material, parts.signature)


class _Provider:
    """One provider in force: its description, its keys, what was taken back of its tokens, and
    the tokens it remembers."""

    __slots__ = ("accepted", "keys", "refused", "revoked", "slot", "spec")

    def __init__(self, spec: ProviderSpec, slot: KeySlot, revoked: Revoked) -> None:
        self.spec = spec
        self.slot = slot
        self.revoked = revoked
        self._forget(None)

    def _forget(self, keys: KeySet | None) -> None:
        self.keys = keys
        self.accepted: Bounded[bytes, rules.Accepted] = Bounded(MAX_ACCEPTED)
        self.refused: Bounded[bytes, tuple[Deny, float]] = Bounded(MAX_REFUSED)

    def revoke(self, revoked: Revoked) -> None:
        """Remember no token that is covered, and no refusal: it may not be covered any longer."""
        if revoked == self.revoked:
            return
        self.revoked = revoked
        self.accepted.keep(lambda accepted: not revoked.covers(accepted.identity))
        self.refused = Bounded(MAX_REFUSED)

    def recall(self, digest: bytes, now: float) -> Identity | Deny | None:
        """The verdict on this very token, if it still holds; it holds for one key set only."""
        held = self.slot.held
        if held is None or held.keys is not self.keys:
            return None
        accepted = self.accepted.get(digest)
        if accepted is not None and accepted.begins <= now < accepted.ends:
            return accepted.identity
        refused = self.refused.get(digest)
        if refused is not None and now < refused[1]:
            return refused[0]
        return None

    def remember(
        self, keys: KeySet, digest: bytes, verdict: rules.Accepted | Deny, now: float
    ) -> Identity | Deny:
        if keys is not self.keys:
            self._forget(keys)
        if isinstance(verdict, rules.Accepted):
            self.accepted.put(digest, verdict)
            return verdict.identity
        if verdict is not rules.NOT_YET_VALID:
            self.refused.put(digest, (verdict, now + REFUSED_SECONDS))
        return verdict
