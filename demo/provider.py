"""A small OpenID provider: discovery, keys, tokens and a sign-in page. ``python -m demo.provider``.

DEMO ONLY, never for production: it speaks plain HTTP (so it listens on loopback alone), its
clients, person and passwords stand in this file, its keys and refresh tokens live as long as
the process, it offers the password grant, which RFC 9700 (2.4) forbids, and it throttles
nobody.

Access tokens are JWTs in the profile of RFC 9068 (``typ: at+jwt``), signed with a fresh
RSA key. Refresh tokens rotate; using one twice revokes the whole family (RFC 9700 4.14.2).
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from demo.server import JsonHandler, LoopbackServer, port_argument, run
from demo.sign_in import SignInError, SignIns

AUDIENCE = "urn:gatehouse:demo"
LIFETIME = 600
"""Seconds an access token is good for."""
MAX_REFRESH_TOKENS = 10_000

SCOPES = ("read", "write")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Registered:
    """A registered client, or the one person: a secret and what it may ask for."""

    secret: str
    scopes: tuple[str, ...] = SCOPES
    grants: tuple[str, ...] = ()


CLIENTS = {
    # The gateway's own: serves people who sign in through the relay.
    "gatehouse": Registered(
        "gatehouse-demo-secret", grants=("password", "refresh_token", "authorization_code")
    ),
    # A program that calls the orders API in its own name.
    "demo-client": Registered("demo-client-secret", grants=("client_credentials",)),
    "demo-reader": Registered("demo-reader-secret", ("read",), ("client_credentials",)),
}
PEOPLE = {"demo": Registered("demo-password")}


class TokenError(Exception):
    """An error answer of the token endpoint (RFC 6749 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.status = status
        self.content = {"error": error, "error_description": description}


@dataclass
class Grant:
    """What one refresh token stands for. ``used`` ones are kept to notice a second use."""

    family: str
    client: str
    subject: str
    scopes: tuple[str, ...]
    used: bool = False


def same(given: str, expected: str) -> bool:
    """Equality in a time that does not depend on where the texts differ, nor on their length."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(expected.encode()).digest()
    )


class Provider:
    """The provider itself, without HTTP around it. Safe to use from several threads."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        members = {name: public[name] for name in ("e", "kty", "n")}
        thumbprint = json.dumps(members, separators=(",", ":"), sort_keys=True)  # RFC 7638
        digest = hashlib.sha256(thumbprint.encode()).digest()
        self._kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.jwks = {"keys": [{**members, "kid": self._kid, "use": "sig", "alg": "RS256"}]}
        self.sign_ins = SignIns(issuer)
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    @property
    def metadata(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 1.0, RFC 8414)."""
        return {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "authorization_response_iss_parameter_supported": True,
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": [
                *("client_credentials", "password", "refresh_token", "authorization_code")
            ],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, form: list[tuple[str, str]], authorization: str | None) -> dict[str, Any]:
        """The answer of the token endpoint. Raises ``TokenError``."""
        parameters = dict(form)
        if len(parameters) != len(form):
            raise TokenError("invalid_request", "a parameter is repeated")
        client = self._client(parameters, authorization)
        grant_type = parameters.get("grant_type", "")
        if not grant_type:
            raise TokenError("invalid_request", "grant_type is missing")
        if grant_type not in self.metadata["grant_types_supported"]:
            raise TokenError("unsupported_grant_type", "this grant type is not offered")
        if grant_type not in CLIENTS[client].grants:
            raise TokenError("unauthorized_client", "the client may not use this grant type")
        if grant_type == "client_credentials":
            scopes = self._scopes(parameters, CLIENTS[client].scopes)
            return self._access_token(client, client, scopes)
        if grant_type == "password":
            return self._password(client, parameters)
        if grant_type == "authorization_code":
            return self._code(client, parameters)
        return self._refresh(client, parameters)

    def _client(self, parameters: dict[str, str], authorization: str | None) -> str:
        """The authenticated client's id (RFC 6749 2.3.1)."""
        client, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
        if authorization is not None:
            if "client_secret" in parameters:
                raise TokenError("invalid_request", "two client authentications were given")
            client, secret = self._basic(authorization)
        known = CLIENTS.get(client)
        # An unknown client costs the same comparison as a known one.
        if not same(secret, known.secret if known else secrets.token_hex()) or known is None:
            raise TokenError("invalid_client", "client authentication failed", 401)
        return client

    @staticmethod
    def _basic(authorization: str) -> tuple[str, str]:
        scheme, _, value = authorization.partition(" ")
        try:
            if scheme.lower() != "basic":
                raise ValueError("another scheme")
            decoded = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise TokenError("invalid_client", "use HTTP Basic", 401) from error
        client, _, secret = decoded.partition(":")
        return unquote_plus(client), unquote_plus(secret)

    @staticmethod
    def _scopes(parameters: dict[str, str], allowed: tuple[str, ...]) -> tuple[str, ...]:
        """The scopes asked for; all that are allowed when none is named (RFC 6749 3.3)."""
        asked = tuple(parameters.get("scope", "").split())
        if not set(asked) <= set(allowed):
            raise TokenError("invalid_scope", "a scope is unknown or not allowed")
        return asked or allowed

    def person(self, username: str, password: str) -> Registered | None:
        """The person of that name and password. An unknown name costs the same comparison."""
        person = PEOPLE.get(username)
        expected = person.secret if person else secrets.token_hex()
        return person if same(password, expected) else None

    def _code(self, client: str, parameters: dict[str, str]) -> dict[str, Any]:
        given = [parameters.get(name, "") for name in ("code", "redirect_uri", "code_verifier")]
        code = self.sign_ins.redeem(*given)
        if code is None:
            raise TokenError("invalid_grant", "the code is not valid")
        scopes = tuple(item for item in code.scopes.split() if item in SCOPES)
        answer = self._access_token(code.subject, client, scopes)
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": code.subject, "aud": client, "nonce": code.nonce}
        times = {"iat": now, "exp": now + LIFETIME}
        id_token = jwt.encode(
            claims | times, self._key, algorithm="RS256", headers={"kid": self._kid}
        )
        grant = Grant(secrets.token_hex(), client, code.subject, scopes)
        return {**answer, "id_token": id_token, "refresh_token": self._remember(grant)}

    def _password(self, client: str, parameters: dict[str, str]) -> dict[str, Any]:
        username, password = parameters.get("username"), parameters.get("password")
        if not username or not password:
            raise TokenError("invalid_request", "username or password is missing")
        person = self.person(username, password)
        if person is None:
            raise TokenError("invalid_grant", "username or password is wrong")
        scopes = self._scopes(parameters, person.scopes)
        answer = self._access_token(username, client, scopes)
        grant = Grant(secrets.token_hex(), client, username, scopes)
        return {**answer, "refresh_token": self._remember(grant)}

    def _refresh(self, client: str, parameters: dict[str, str]) -> dict[str, Any]:
        token = parameters.get("refresh_token")
        if not token:
            raise TokenError("invalid_request", "refresh_token is missing")
        with self._lock:
            # Found by its digest: a look-up by the token itself would tell its prefix by timing.
            grant = self._grants.get(hashlib.sha256(token.encode()).hexdigest())
            if grant is None or grant.client != client:
                raise TokenError("invalid_grant", "the refresh token is not valid")
            if grant.used:
                self._revoke(grant.family)
                raise TokenError("invalid_grant", "the refresh token was used before")
            scopes = self._scopes(parameters, grant.scopes)
            grant.used = True
        answer = self._access_token(grant.subject, client, scopes)
        successor = Grant(grant.family, client, grant.subject, grant.scopes)
        return {**answer, "refresh_token": self._remember(successor)}

    def _revoke(self, family: str) -> None:
        """Forget a family; the caller holds the lock."""
        for digest, grant in list(self._grants.items()):
            if grant.family == family:
                del self._grants[digest]

    def _remember(self, grant: Grant) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            if len(self._grants) >= MAX_REFRESH_TOKENS:
                del self._grants[next(iter(self._grants))]
            self._grants[hashlib.sha256(token.encode()).hexdigest()] = grant
        return token

    def _access_token(self, subject: str, client: str, scopes: tuple[str, ...]) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": AUDIENCE,
            "client_id": client,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + LIFETIME,
            "jti": secrets.token_urlsafe(16),
        }
        headers = {"typ": "at+jwt", "kid": self._kid}
        return {
            "access_token": jwt.encode(claims, self._key, algorithm="RS256", headers=headers),
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": " ".join(scopes),
        }


class ProviderHandler(JsonHandler):
    """The provider's four addresses."""

    server: "ProviderServer"
    documents: ClassVar[dict[str, str]] = {
        "/.well-known/openid-configuration": "metadata",
        "/jwks": "jwks",
    }

    def answer(self, path: str, body: bytes) -> None:
        if self.command == "POST" and path == "/token":
            self._token(body)
        elif path == "/authorize":
            self._authorize(body)
        elif self.command != "POST" and path in self.documents:
            self.send_json(200, getattr(self.server.provider, self.documents[path]))
        else:
            self.send_json(404, {"error": "not_found"})

    def _authorize(self, body: bytes) -> None:
        """The sign-in page, and what is typed into it."""
        provider = self.server.provider
        try:
            posted = self.command == "POST"
            text = body.decode() if posted else self.path.partition("?")[2]
            asked = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=32))
            username = asked.get("username", "")
            if posted and provider.person(username, asked.get("password", "")) is not None:
                self.send_redirect(provider.sign_ins.answer(asked, username))
            else:
                said = "That is not the password." if posted else ""
                self.send_html(provider.sign_ins.page(asked, said))
        except (SignInError, ValueError) as error:
            self.send_json(400, {"error": "invalid_request", "error_description": str(error)})

    def _token(self, body: bytes) -> None:
        try:
            form = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=32)
            content = self.server.provider.token(form, self.headers.get("Authorization"))
        except TokenError as error:
            fields = {"WWW-Authenticate": 'Basic realm="demo"'} if error.status == 401 else {}
            self.send_json(error.status, error.content, {**NO_STORE, **fields})
        except ValueError:  # not UTF-8, or too many fields
            self.send_json(400, {"error": "invalid_request"}, NO_STORE)
        else:
            self.send_json(200, content, NO_STORE)


class ProviderServer(LoopbackServer):
    """The provider on a loopback port; its issuer is its own address."""

    def __init__(self, port: int) -> None:
        super().__init__(port, ProviderHandler)
        self.provider = Provider(self.url)


if __name__ == "__main__":
    run(ProviderServer(port_argument("The demo OpenID provider", 9101)))
