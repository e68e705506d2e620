"""What samples share: a provider, a client, a caller whom both vouch for, state in memory."""

import time
from dataclasses import replace
from types import MappingProxyType

from bench.browser import Browser
from bench.client import ApiClient, digest
from bench.order import DESCRIBED, ORDER
from bench.provider import LIFE, NAME, OWN_CLIENT, AnsweringEndpoints, spec_of
from bench.tokens import ISSUER, Mint
from oidc_clients.introspection import Introspector, NextIntrospection
from oidc_clients.keystore import KeyStore
from oidc_clients.own_clients import OwnClients
from oidc_clients.tokens import ProviderTokens
from oidc_clients.upstream_tokens import TokenStore, WantedTokens
from policies.core.services import ServedApi, Services
from policies.core.values import Call, Field, Headers, Identity, Request
from policies.gateway_keys import GatewayKey, GatewaySigner, make_private_key
from policies.secrets import Keyring
from policies.stores.memory import MemoryState

_SECRET_KEYS = ["the installation's secret key"]
_BROWSER: tuple[Field, ...] = (
    (b"host", b"api.example.com"),
    (b"accept", b"application/json"),
    (b"user-agent", b"client/1.0"),
    (b"origin", b"https://app.example.com"),
)
ANSWER: tuple[Field, ...] = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"max-age=60"),
    (b"date", b"Tue, 24 Nov 2026 10:00:00 GMT"),
    (b"etag", b'"7f3a"'),
)


class World:
    """The services of the policies, and calls by the known caller over TLS.

    It must be made outside of an event loop.
    """

    def __init__(self) -> None:
        mint = Mint()
        spec = spec_of(mint)
        state = MemoryState()
        tokens = ProviderTokens(KeyStore(state, time.time))
        tokens.replace((spec,))
        signer = GatewaySigner("https://gateway.example")
        signer.replace([GatewayKey("bench", 0.0, make_private_key())])
        endpoints = AnsweringEndpoints(int(time.time()) + LIFE)
        own = OwnClients()
        own.add(spec, OWN_CLIENT)
        store = TokenStore(state, time.time, endpoints, Keyring(_SECRET_KEYS))
        token = mint.token(1)
        self._browser = Browser(state, Keyring(_SECRET_KEYS), token)
        self._client = ApiClient("client-1", _SECRET_KEYS)
        self.services = Services(
            state,
            tokens,
            time.time,
            MemoryState(),
            api=ServedApi("orders", "/", DESCRIBED),
            clients=self._client.known,
            signer=signer,
            sessions=self._browser.sessions,
            introspection=NextIntrospection(Introspector(endpoints, time.time), own),
            upstream_tokens=WantedTokens(store, own),
        )
        self._token = token.encode()
        claims = {"sub": "subject-1", "client_id": "client-1", "team": "checkout"}
        self._identity = Identity(
            kind="jwt",
            subject="subject-1",
            issuer=ISSUER,
            provider=NAME,
            client="client-1",
            scopes=frozenset({"read", "write"}),
            claims=MappingProxyType(claims),
        )

    def call(self, *fields: Field, method: str = "GET", length: int = 0) -> Call:
        """A call with these header lines beside the usual ones."""
        request = Request(
            method=method,
            host="api.example.com",
            path="/items/4711",
            query=b"expand=lines",
            headers=Headers([*_BROWSER, *fields]),
            client="203.0.113.7",
            peer="203.0.113.7",
            secure=True,
            id="1f0c9ab200000000a7",
            body_length=length,
        )
        call = Call(request, "orders GET /items/{id}", time.time(), self._identity)
        call.token = self._token
        return call

    def upload(self, *fields: Field) -> Call:
        """A call with ``ORDER`` as its body."""
        line = (b"content-type", b"application/json")
        return self.call(line, *fields, method="POST", length=len(ORDER))

    def signed(self) -> Call:
        """An upload with a digest of its body, and the client's signature."""
        line = digest(ORDER)
        call = self.upload(line)
        return self.upload(line, *self._client.signature(call.request, int(call.now)))

    def bearing(self, token: bytes = b"") -> Call:
        """A call with a bearer token: the caller's own unless another is given."""
        return self.call((b"authorization", b"Bearer " + (token or self._token)))

    def with_api_key(self) -> Call:
        """A call with the client's API key."""
        return self.call((b"x-api-key", self._client.api_key.encode()))

    def of_browser(self) -> Call:
        """A call with the cookie of the browser's session."""
        return self.call(self._browser.cookie)

    def with_certificate(self) -> Call:
        """A call over a connection with the client's certificate."""
        call = self.call()
        call.request = replace(call.request, certificate=self._client.certificate)
        return call
