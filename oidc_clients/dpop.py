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
from oidc_clients.jwks import PUBLIC_ALGORITHMS, Key, KeySet
from oidc_clients.strict import NotStrict, base64url, json_object
from policies.core.services import Proof

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


class _Header(NamedTuple):
    algorithm: str
    key: Key
    thumbprint: str


class DpopProofs:
    """``policies.core.services.Proofs``."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` makes nonces: the same for all workers, known to nobody else."""
        self._secret = secret
        self._headers: Bounded[bytes, _Header] = Bounded(MAX_HEADERS)

    def read(self, value: bytes) -> Proof | None:
        """See ``policies.core.services.Proofs``."""
        try:
            parts = parse(value)
            if parts.typ != TYPE:
                return None
            header = self._header(value.partition(b".")[0])
            if header is None or parts.algorithm != header.algorithm:
                return None
            if not verifies(
                header.algorithm, parts.signing_input, header.key.material, parts.signature
            ):
                return None
            return _proof(header.thumbprint, json_object(parts.payload))
        except NotStrict:
            return None

    def nonce(self, now: float) -> str:
        """See ``policies.core.services.Proofs``."""
        return self._nonce(int(now // NONCE_SECONDS))

    def takes_nonce(self, nonce: str, now: float) -> bool:
        """See ``policies.core.services.Proofs``."""
        period = int(now // NONCE_SECONDS)
        given_out = [self._nonce(each) for each in (period, period - 1)]
        return nonce.isascii() and any(hmac.compare_digest(nonce, each) for each in given_out)

    def _nonce(self, period: int) -> str:
        made = hmac.digest(self._secret, f"dpop nonce {period}".encode(), "sha256")
        return urlsafe_b64encode(made[:24]).decode()

    def _header(self, encoded: bytes) -> _Header | None:
        header = self._headers.get(encoded)
        if header is None:
            header = _read_header(json_object(base64url(encoded)))
            if header is not None:
                self._headers.put(encoded, header)
        return header


def _read_header(header: Mapping[str, Any]) -> _Header | None:
    """The algorithm and the key of a proof, if it may be verified with them."""
    jwk, algorithm = header.get("jwk"), header.get("alg")
    if not isinstance(jwk, dict) or algorithm not in PUBLIC_ALGORITHMS:
        return None
    key = KeySet.parse({"keys": [jwk]}).entries[0].key  # none that holds a private member
    if key is None or algorithm not in key.algorithms:
        return None
    return _Header(str(algorithm), key, thumbprint(jwk))


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
