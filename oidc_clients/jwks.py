"""Key sets: which keys of a provider are admitted, and which one a token may use. Pure.

Rules of this file:
1. A key is admitted only if every member that speaks about its use agrees with verifying
   signatures; everything else about it is refused with a reason, never repaired.
2. What a key can verify follows from its type and curve, narrowed by its own ``alg``; the
   token never adds to that (RFC 8725 3.1).
3. A ``kid`` is compared, never interpreted. Two keys with one ``kid`` are both refused,
   because nobody can say which of them a token means.
4. A shared secret is never part of a key set: ``KeySet.of_secrets`` makes a set of its own.

Sources: RFC 7517, RFC 7518 6, RFC 8037. Which RSA keys are strong enough: ``policies.rsa``.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from oidc_clients.strict import NotStrict, base64url
from policies import rsa

MAX_KEYS = 100
MAX_KID_BYTES = 256

RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The least length of a shared secret for each algorithm (RFC 7518 3.2)."""
PUBLIC_ALGORITHMS = RSA_ALGORITHMS | {"ES256", "ES384", "ES512", "EdDSA"}
ALGORITHMS = PUBLIC_ALGORITHMS | SECRET_BYTES.keys()

_PUBLIC_MEMBERS = ("kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

VerificationKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | bytes


class _Curve(NamedTuple):
    curve: EllipticCurve
    size: int  # octets of one coordinate
    algorithms: frozenset[str]


_CURVES = {
    "P-256": _Curve(SECP256R1(), 32, frozenset({"ES256"})),
    "P-384": _Curve(SECP384R1(), 48, frozenset({"ES384"})),
    "P-521": _Curve(SECP521R1(), 66, frozenset({"ES512"})),
}
_EDWARDS = frozenset({"EdDSA"})


class KeyRefused(ValueError):
    """Why a key is not admitted; the message holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class Key:
    """An admitted key. ``algorithms`` are those it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    material: VerificationKey = field(repr=False)


class Refused(NamedTuple):
    """A key of the document that is not used, and why."""

    kid: str | None
    reason: str


class Entry(NamedTuple):
    """One key of the document in its order: what may be shown of it, and what became of it."""

    jwk: Mapping[str, Any]
    kid: str | None
    key: Key | None
    reason: str


class KeySet:
    """The keys of one provider. Immutable; equal sets admit the same keys."""

    __slots__ = ("_by_kid", "digest", "entries", "keys")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.keys = tuple(entry.key for entry in entries if entry.key is not None)
        self._by_kid = {key.kid: key for key in self.keys if key.kid is not None}
        canonical = json.dumps(self.document, sort_keys=True, separators=(",", ":"))
        self.digest = hashlib.sha256(canonical.encode()).digest()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "KeySet":
        """Admit what may be admitted of a JWK Set (RFC 7517 5).

        Raises ``ValueError`` when it is no key set or has more than ``MAX_KEYS`` keys.
        """
        members = document.get("keys")
        if not isinstance(members, list):
            raise ValueError("the document has no list of keys")
        if len(members) > MAX_KEYS:
            raise ValueError(f"the document has more than {MAX_KEYS} keys")
        kids = Counter(_kid(member) for member in members)
        return cls(tuple(_entry(member, kids) for member in members))

    @classmethod
    def of_secrets(cls, secrets: Iterable[bytes]) -> "KeySet":
        """The set made of shared secrets alone. Raises ``ValueError`` when one is too short."""
        return cls(tuple(map(_shared, secrets)))

    @property
    def document(self) -> dict[str, Any]:
        """The admitted keys as a JWK Set, which parses to an equal set."""
        return {"keys": [dict(entry.jwk) for entry in self.entries if entry.key is not None]}

    @property
    def refused(self) -> tuple[Refused, ...]:
        return tuple(Refused(e.kid, e.reason) for e in self.entries if e.key is None)

    def knows(self, kid: str) -> bool:
        """Whether an admitted key has this ``kid``."""
        return kid in self._by_kid

    def select(self, kid: str | None, algorithm: str) -> Key | None:
        """The published key that must verify a token with this header, or None.

        Without a ``kid`` that is the only admitted key which fits the algorithm.
        """
        if kid is not None:
            key = self._by_kid.get(kid)
            return key if key is not None and algorithm in key.algorithms else None
        fitting = self.fitting(algorithm)
        return fitting[0] if len(fitting) == 1 else None

    def fitting(self, algorithm: str) -> tuple[Key, ...]:
        """Every key that can verify the algorithm: of shared secrets each may be the one."""
        return tuple(key for key in self.keys if algorithm in key.algorithms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySet) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _shared(secret: bytes) -> Entry:
    fits = frozenset(name for name, least in SECRET_BYTES.items() if len(secret) >= least)
    if not fits:
        raise ValueError(f"the shared secret has fewer than {min(SECRET_BYTES.values())} bytes")
    jwk = {"kty": "oct", "digest": hashlib.sha256(secret).hexdigest()}
    return Entry(jwk, None, Key(None, fits, secret), "")


def _kid(member: Any) -> Any:
    """What duplicates are counted by; None for a member without a usable kid."""
    kid = member.get("kid") if isinstance(member, dict) else None
    return kid if isinstance(kid, str) else None


def _is_kid(kid: Any) -> bool:
    return isinstance(kid, str) and kid.isprintable() and len(kid.encode()) <= MAX_KID_BYTES


def _entry(member: Any, kids: Counter[Any]) -> Entry:
    kid = _kid(member)
    try:
        if not isinstance(member, dict):
            raise KeyRefused("not a JSON object")
        if kid is not None and kids[kid] > 1:
            raise KeyRefused("its kid stands on more than one key of the set")
        return Entry(_public(member), kid, _admit(member), "")
    except KeyRefused as refusal:
        jwk = _public(member) if isinstance(member, dict) else {}
        return Entry(jwk, kid if _is_kid(kid) else None, None, str(refusal))


def _public(member: Mapping[str, Any]) -> dict[str, Any]:
    """The members that may be stored and shown: a published private key is not kept as well."""
    return {name: member[name] for name in _PUBLIC_MEMBERS if _is_plain(member.get(name))}


def _is_plain(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) and item.isprintable() for item in values)


def _admit(jwk: Mapping[str, Any]) -> Key:
    kid = jwk.get("kid")
    if kid is not None and not _is_kid(kid):
        raise KeyRefused(f"its kid is not a printable text of at most {MAX_KID_BYTES} bytes")
    if jwk.get("kty") == "oct":
        raise KeyRefused("a symmetric key does not belong in a published key set")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeyRefused("it holds private members")
    if jwk.get("use", "sig") != "sig":
        raise KeyRefused("its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused("its key_ops do not hold verify")
    algorithms, material = _material(jwk)
    alg = jwk.get("alg")
    if alg is not None:
        if not isinstance(alg, str) or alg not in algorithms:
            raise KeyRefused("its alg does not fit its type and curve")
        algorithms = frozenset({alg})
    return Key(kid, algorithms, material)


def _material(jwk: Mapping[str, Any]) -> tuple[frozenset[str], VerificationKey]:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if kty == "RSA":
        return RSA_ALGORITHMS, _rsa(jwk)
    if kty == "EC" and isinstance(crv, str) and crv in _CURVES:
        return _CURVES[crv].algorithms, _elliptic(jwk, _CURVES[crv])
    if kty == "OKP" and crv == "Ed25519":
        return _EDWARDS, _edwards(jwk)
    raise KeyRefused("its type and curve are not among those admitted")


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise KeyRefused(f"its member {name} is missing")
    try:
        return base64url(value.encode())
    except NotStrict as error:
        raise KeyRefused(f"its member {name} is not base64url") from error


def _rsa(jwk: Mapping[str, Any]) -> RSAPublicKey:
    n, e = (int.from_bytes(_octets(jwk, name)) for name in ("n", "e"))
    weakness = rsa.weakness(n, e)
    if weakness is not None:
        raise KeyRefused(weakness)
    return RSAPublicNumbers(e, n).public_key()


def _elliptic(jwk: Mapping[str, Any], curve: _Curve) -> EllipticCurvePublicKey:
    x, y = (_octets(jwk, name) for name in ("x", "y"))
    if len(x) != curve.size or len(y) != curve.size:
        raise KeyRefused("a coordinate has not the length of its curve")
    numbers = EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve.curve)
    try:
        return numbers.public_key()
    except ValueError as error:
        raise KeyRefused("its point is not on its curve") from error


def _edwards(jwk: Mapping[str, Any]) -> Ed25519PublicKey:
    x = _octets(jwk, "x")
    if len(x) != 32:
        raise KeyRefused("an Ed25519 key has 32 octets")
    return Ed25519PublicKey.from_public_bytes(x)
