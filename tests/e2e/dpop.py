"""A client that holds a key and makes DPoP proofs with it (RFC 9449 4)."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Holder:
    """A P-256 key and its proofs."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def proof(self, method: str, url: str, token: str | None = None, **claims: Any) -> str:
        """A proof for one request; further claims replace those of a good one."""
        said: dict[str, Any] = {"htm": method, "htu": url, "jti": uuid.uuid4().hex}
        said["iat"] = int(time.time())
        if token is not None:
            said["ath"] = b64(hashlib.sha256(token.encode()).digest())
        return self.signed({**said, **claims})

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk, **header}
        content = ".".join(b64(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self._key.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{content}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
