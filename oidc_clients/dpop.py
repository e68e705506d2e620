"""DPoP proofs (RFC 9449): whether one holds, and the nonces that are asked for in them. Pure.

A proof brings its own key: that is the only place where a key of a header is used, and it proves
nothing but that the caller holds it. Whether it is the key that the token is bound to, and what
the proof is for, is asked in ``policies.core.sender``.

The key is admitted by the rules for a provider's (``oidc_clients.jwks``). A client sends the
same header with every proof, so headers that were read are remembered.
"""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from oidc_clients.bounded import Bounded
from oidc_clients.compact import parse
from oidc_clients.jose import verifies
from oidc_clients.jwks import Key, KeySet
from oidc_clients.strict import NotStrict, base64url, json_object
from policies.core.callers import Proof

TYPE = "dpop+jwt"
MAX_ID = 256
MAX_URI = 4096
MAX_HEADERS = 2048
"""Headers of proofs that a worker remembers."""
NONCE_SECONDS = 300
"""A nonce is given out so long, and accepted for as long again."""

_MAX_TIME = 2**53
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_THUMBPRINT = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


class _Holder(NamedTuple):
    """A key that proofs are made with."""

    key: Key
    thumbprint: str


class DpopProofs:
    """``policies.core.callers.Proofs``."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` makes nonces: the same for all workers, known to nobody else."""
        self._secret = secret
        self._holders: Bounded[bytes, _Holder] = Bounded(MAX_HEADERS)

    def read(self, value: bytes) -> Proof | None:
        """See ``policies.core.callers.Proofs``."""
        try:
            parts = parse(value)
            if parts.typ != TYPE:
                return None
            holder = self._holder(value.partition(b".")[0], parts.algorithm)
            if holder is None or not verifies(
                parts.algorithm, parts.signing_input, holder.key.material, parts.signature
            ):
                return None
            return _proof(holder.thumbprint, json_object(parts.payload))
        except NotStrict:
            return None

    def nonce(self, now: float) -> str:
        """See ``policies.core.callers.Proofs``."""
        return self._nonce(int(now // NONCE_SECONDS))

    def takes_nonce(self, nonce: str, now: float) -> bool:
        """See ``policies.core.callers.Proofs``."""
        period = int(now // NONCE_SECONDS)
        given_out = [self._nonce(each) for each in (period, period - 1)]
        return nonce.isascii() and any(hmac.compare_digest(nonce, each) for each in given_out)

    def _nonce(self, period: int) -> str:
        made = hmac.digest(self._secret, f"dpop nonce {period}".encode(), "sha256")
        return urlsafe_b64encode(made[:24]).decode()

    def _holder(self, header: bytes, algorithm: str) -> _Holder | None:
        """Whose key a header (base64url) holds, if it may verify with the header's algorithm."""
        holder = self._holders.get(header)
        if holder is None:
            holder = _read_holder(json_object(base64url(header)), algorithm)
            if holder is not None:
                self._holders.put(header, holder)
        return holder


def _read_holder(header: Mapping[str, Any], algorithm: str) -> _Holder | None:
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        return None
    key = KeySet.parse({"keys": [jwk]}).entries[0].key  # none that holds a private member
    if key is None or algorithm not in key.algorithms:
        return None
    return _Holder(key, thumbprint(jwk))


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The JWK Thumbprint with SHA-256 (RFC 7638 3)."""
    members = {name: jwk[name] for name in _THUMBPRINT[jwk["kty"]]}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _proof(thumbprint: str, claims: Mapping[str, Any]) -> Proof | None:
    """What a proof claims (RFC 9449 4.2), if it claims all it must."""
    method, uri = _text(claims, "htm", MAX_ID), _text(claims, "htu", MAX_URI)
    identifier, token_hash = _text(claims, "jti", MAX_ID), _text(claims, "ath", MAX_ID)
    issued_at: Any = claims.get("iat")
    nonce = claims.get("nonce")
    if not (method and uri and identifier and token_hash):
        return None
    if type(issued_at) not in (int, float) or not 0 <= issued_at < _MAX_TIME:
        return None
    if nonce is not None and not isinstance(nonce, str):
        return None
    return Proof(thumbprint, method, uri, identifier, float(issued_at), token_hash, nonce)


def _text(claims: Mapping[str, Any], name: str, size: int) -> str:
    """A claim of printable ASCII without blanks; empty for one that is anything else."""
    value = claims.get(name)
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value) or len(value) > size:
        return ""
    return value
