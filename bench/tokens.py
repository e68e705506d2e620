"""One RSA key and the tokens it signed."""

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "urn:bench:api"


class Mint:
    """Signs RS256 access tokens with a key of its own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        self.jwk = {"kty": "RSA", "kid": "bench", "alg": "RS256", "use": "sig"}
        self.jwk |= {"n": public["n"], "e": public["e"]}

    def write(self, directory: Path, count: int) -> Path:
        """``count`` different tokens, one a line, and the public key as PEM beside them."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (directory / "public.pem").write_bytes(public)
        path = directory / "tokens"
        path.write_text("".join(f"{self.token(number)}\n" for number in range(count)))
        return path

    def token(self, number: int) -> str:
        """The token of one of the subjects, good for two hours."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": f"subject-{number}", "scope": "read write"}
        claims |= {"iat": now, "exp": now + 7200, "client_id": f"client-{number % 20}"}
        return jwt.encode(claims, self._key, "RS256", {"kid": "bench", "typ": "at+jwt"})
