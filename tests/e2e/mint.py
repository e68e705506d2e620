"""Tokens made by hand: right ones with one thing changed, and the classic wrong ones.

``Mint`` holds the provider's private keys, so that what is wrong with a token is exactly what
its name says. Anything can be said in header and claims, also what no library would sign.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.e2e.provider import AUDIENCE


@dataclass(frozen=True)
class Wrong:
    """A token that must be refused with ``code``, and what is wrong with it."""

    name: str
    token: str
    code: str


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode(header: Mapping[str, Any] | str, claims: Mapping[str, Any] | str, key: Any) -> str:
    """Sign whatever is given; a string is taken as the JSON text itself.

    The kind of ``key`` decides how: RSA, EC, bytes (HMAC), None (an empty signature).
    """
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    content = ".".join(b64(part.encode()) for part in parts)
    return f"{content}.{b64(_sign(key, content.encode()))}"


def _sign(key: Any, content: bytes) -> bytes:
    match key:
        case None:
            return b""
        case bytes():
            return hmac.new(key, content, hashlib.sha256).digest()
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    raise TypeError(type(key).__name__)


class Mint:
    """Mints tokens as the provider would, or nearly so."""

    def __init__(self, issuer: str, private_keys: list[dict[str, Any]]) -> None:
        self.issuer = issuer
        self.jwk = next(key for key in private_keys if key["alg"] == "RS256")
        self.ec_jwk = next(key for key in private_keys if key["alg"] == "ES256")
        self.key = jwt.PyJWK(self.jwk).key
        self.ec_key = jwt.PyJWK(self.ec_jwk).key
        self.stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def header(self, **changes: Any) -> dict[str, Any]:
        return _changed({"alg": "RS256", "typ": "at+jwt", "kid": self.jwk["kid"]}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims as the provider's; a change to None removes the claim."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "carol",
            "client_id": "service",
            "iat": now,
            "exp": now + 300,
            "scope": "read write",
            "jti": "claim-canary-77c2",
        }
        return _changed(claims, changes)

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token with the provider's RSA key; ``header`` and claims changed as given."""
        return encode(self.header(**(header or {})), self.claims(**claims), self.key)

    def es256(self, **claims: Any) -> str:
        header = self.header(alg="ES256", kid=self.ec_jwk["kid"])
        return encode(header, self.claims(**claims), self.ec_key)

    def unknown_kid(self, number: int) -> str:
        """A well-formed token of a key that nobody published."""
        return encode(self.header(kid=f"nobody-{number}"), self.claims(), self.stranger)

    def wrong(self, listener: str) -> Iterator[Wrong]:
        """The table of wrong tokens. ``listener`` is a URL that must never be fetched."""
        yield from self._wrong_algorithm()
        yield from self._wrong_key(listener)
        yield from self._wrong_time()
        yield from self._wrong_party()
        yield from self._wrong_shape()

    def _wrong_algorithm(self) -> Iterator[Wrong]:
        for name in ("none", "None", "nOnE", "NONE"):
            unsigned = encode(self.header(alg=name), self.claims(), None)
            yield Wrong(f"alg-{name}", unsigned, "token_algorithm")
        public = self.key.public_key()
        serialization_of = {
            "spki-pem": _pem(public, serialization.PublicFormat.SubjectPublicKeyInfo),
            "pkcs1-pem": _pem(public, serialization.PublicFormat.PKCS1),
            "spki-der": public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "jwk": json.dumps({k: self.jwk[k] for k in ("kty", "n", "e", "kid")}).encode(),
        }
        for name, text in serialization_of.items():
            for ending, key in (("", text), ("-stripped", text.strip())):
                forged = encode(self.header(alg="HS256"), self.claims(), key)
                yield Wrong(f"hs256-with-{name}{ending}", forged, "token_algorithm")
        relabelled = encode(self.header(alg="PS256"), self.claims(), self.key)
        yield Wrong("ps256-not-configured", relabelled, "token_algorithm")

    def _wrong_key(self, listener: str) -> Iterator[Wrong]:
        stranger = jwt.algorithms.RSAAlgorithm.to_jwk(self.stranger.public_key(), as_dict=True)
        forged = encode(self.header(), self.claims(), self.stranger)
        yield Wrong("another-key", forged, "token_signature")
        embedded = encode(self.header(jwk=stranger), self.claims(), self.stranger)
        yield Wrong("embedded-jwk", embedded, "token_signature")
        jku = self.header(jku=f"{listener}/jwks", kid="theirs")
        yield Wrong("jku", encode(jku, self.claims(), self.stranger), "key_unknown")
        x5u = self.header(x5u=f"{listener}/x5u", kid="theirs")
        yield Wrong("x5u", encode(x5u, self.claims(), self.stranger), "key_unknown")
        yield Wrong("unknown-kid", self.unknown_kid(0), "key_unknown")
        right = self.token()
        flipped = right[:-10] + ("A" if right[-10] != "A" else "B") + right[-9:]
        yield Wrong("flipped-signature", flipped, "token_signature")
        content, signature = right.rsplit(".", 1)
        header, _ = content.split(".")
        other = f"{header}.{b64(json.dumps(self.claims(sub='root')).encode())}.{signature}"
        yield Wrong("other-claims", other, "token_signature")

    def _wrong_time(self) -> Iterator[Wrong]:
        now = int(time.time())
        yield Wrong("expired", self.token(exp=now - 300), "token_expired")
        yield Wrong("not-yet-valid", self.token(nbf=now + 300), "token_not_yet_valid")
        yield Wrong("no-exp", self.token(exp=None), "token_malformed")
        for name, exp in (("string", str(now + 300)), ("bool", True), ("list", [now + 300])):
            yield Wrong(f"exp-{name}", self.token(exp=exp), "token_malformed")

    def _wrong_party(self) -> Iterator[Wrong]:
        yield Wrong("issuer-slash", self.token(iss=self.issuer + "/"), "token_issuer")
        yield Wrong("issuer-part", self.token(iss=self.issuer[:-1]), "token_issuer")
        yield Wrong("issuer-other", self.token(iss="https://elsewhere.example"), "token_issuer")
        yield Wrong("no-audience", self.token(aud=None), "token_audience")
        yield Wrong("audience-other", self.token(aud="urn:other"), "token_audience")
        yield Wrong("audience-prefix", self.token(aud=AUDIENCE + ":v2"), "token_audience")
        yield Wrong("audience-list", self.token(aud=["urn:other", "urn:x"]), "token_audience")
        yield Wrong("id-token", self.token(nonce="n-0S6"), "token_type")
        yield Wrong("id-token-at-hash", self.token(at_hash="abc"), "token_type")
        logout = {"http://schemas.openid.net/event/backchannel-logout": {}}
        yield Wrong("logout-token", self.token(events=logout), "token_type")
        yield Wrong("typ-other", self.token({"typ": "dpop+jwt"}), "token_type")

    def _wrong_shape(self) -> Iterator[Wrong]:
        crit = self.token({"crit": ["x-unheard-of"], "x-unheard-of": 1})
        yield Wrong("crit", crit, "token_malformed")
        yield Wrong("b64-false", self.token({"b64": False, "crit": ["b64"]}), "token_malformed")
        yield Wrong("nine-kib", self.token(padding="x" * 9216), "headers_too_large")
        yield Wrong("two-parts", self.token().rsplit(".", 1)[0], "token_malformed")
        yield Wrong("five-parts", self.token() + ".a.b", "token_malformed")
        yield Wrong("not-base64", "a$.b$.c$", "token_malformed")
        text = json.dumps(self.header())
        twice = text[:-1] + ', "alg": "none"}'
        yield Wrong("alg-twice", encode(twice, self.claims(), self.key), "token_malformed")


def _pem(key: rsa.RSAPublicKey, form: serialization.PublicFormat) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, form)


def _changed(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**values, **changes}.items() if v is not None}
