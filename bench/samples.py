"""A realistic sample of every policy kind: how it is configured, and the call it judges.

A kind without a sample stops the measurement: whoever adds a kind adds a sample here, and in
``World`` what its ``Services`` need beyond that.
"""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.tokens import AUDIENCE, ISSUER, Mint
from oidc_clients.keystore import KeyStore
from oidc_clients.provider import ProviderSpec, key_document
from oidc_clients.tokens import ProviderTokens
from policies.core.services import ClientKey, NoClients, ServedApi, Services
from policies.core.values import Call, Field, Headers, Identity, Request
from policies.gateway_keys import GatewayKey, GatewaySigner, make_private_key
from policies.http.components import Component, RequestMessage, signature_base
from policies.http.digests import digest_field
from policies.http.signatures import Parameters, signature_fields
from policies.stores.memory import MemoryState

ORDER = json.dumps(
    {
        "order": {
            "customer": "c-204711",
            "currency": "EUR",
            "lines": [
                {"sku": f"sku-{number}", "quantity": number, "price": 1.5 * number, "note": "gift"}
                for number in range(1, 15)
            ],
        }
    }
).encode()  # about 1 KB

_LINE = {
    "type": "object",
    "required": ["sku", "quantity", "price"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "quantity": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "note": {"type": "string", "maxLength": 100},
    },
}
DESCRIBED = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "1"},
        "paths": {
            "/items/{id}": {
                "post": {
                    "parameters": [
                        {
                            "name": "id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "integer", "minimum": 1},
                        },
                        {"name": "expand", "in": "query", "schema": {"enum": ["lines"]}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["order"],
                                    "properties": {
                                        "order": {
                                            "type": "object",
                                            "required": ["customer", "currency", "lines"],
                                            "properties": {
                                                "customer": {"type": "string"},
                                                "currency": {"enum": ["EUR", "USD"]},
                                                "lines": {"type": "array", "items": _LINE},
                                            },
                                        }
                                    },
                                }
                            }
                        },
                    },
                    "responses": {
                        "200": {"description": "ok", "content": {"application/json": {}}}
                    },
                }
            }
        },
    }
)

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
    """What samples share: a provider with one key, a caller it vouches for, state in memory."""

    def __init__(self) -> None:
        mint = Mint()
        state = MemoryState()
        tokens = ProviderTokens(KeyStore(state, time.time))
        spec = ProviderSpec(
            "bench",
            ISSUER,
            frozenset({AUDIENCE}),
            frozenset({"RS256"}),
            static_keys=key_document([mint.jwk]),
        )
        tokens.replace((spec,))
        signer = GatewaySigner("https://gateway.example")
        signer.replace([GatewayKey("bench", 0.0, make_private_key())])
        self.client = SigningClient()
        self.services = Services(
            state,
            tokens,
            time.time,
            MemoryState(),
            api=ServedApi("orders", "/", DESCRIBED),
            clients=self.client,
            signer=signer,
        )
        self.token = mint.token(1)
        claims = {"sub": "subject-1", "client_id": "client-1", "team": "checkout"}
        self.identity = Identity(
            kind="jwt",
            subject="subject-1",
            issuer=ISSUER,
            provider="bench",
            client="client-1",
            scopes=frozenset({"read", "write"}),
            claims=MappingProxyType(claims),
        )

    def call(self, *fields: Field, method: str = "GET", length: int = 0) -> Call:
        """A call by the known caller over TLS."""
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
        return Call(request, "orders GET /items/{id}", time.time(), self.identity)

    def upload(self, *fields: Field) -> Call:
        """A call with ``ORDER`` as its body."""
        line = (b"content-type", b"application/json")
        return self.call(line, *fields, method="POST", length=len(ORDER))


class SigningClient(NoClients):
    """A client that signs with Ed25519, and the registry that knows it."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        identity = Identity(kind="signature", subject="client-1", client="client-1")
        self._key = ClientKey("client-1", "ed25519", self._private.public_key(), identity)

    def signing_key(self, key_id: str) -> ClientKey | None:
        return self._key

    def signed(self, world: World) -> Call:
        """A call with a body, a digest of it, and a signature over the usual components."""
        digest = digest_field(ORDER)
        call = world.upload((b"content-digest", digest))
        names = ("@method", "@path", "@query", "content-digest")
        covered = [Component.parse(name) for name in names]
        given = Parameters(created=int(call.now), keyid="client-1")
        text, member = signature_fields("sig1", covered, given)
        base = signature_base(covered, text, RequestMessage.of(call.request))
        value = base64.b64encode(self._private.sign(base))
        return world.upload(
            (b"content-digest", digest),
            (b"signature-input", member.encode()),
            (b"signature", b"sig1=:%s:" % value),
        )


@dataclass(frozen=True)
class Sample:
    """One kind at work: its options, the call, its body where it has one, and what that shows."""

    about: str
    options: dict[str, Any] = field(default_factory=dict)
    call: Callable[[World], Call] = World.call
    body: bytes = b""
    answer: bytes = b""


def _bearing(world: World) -> Call:
    return world.call((b"authorization", b"Bearer " + world.token.encode()))


SAMPLES: dict[str, Sample] = {
    "body_limit": Sample("a declared length", call=World.upload, body=ORDER),
    "clients": Sample("one of 3 clients", {"allow": ["client-1", "client-2", "client-3"]}),
    "concurrency": Sample(
        "by identity, slots in memory, with the return of the slot", {"limit": 1_000_000}
    ),
    "cors": Sample("a call of an allowed origin", {"origins": ["https://app.example.com"]}),
    "forward_identity": Sample(
        "two claims", {"headers": {"X-Subject": "sub", "X-Client": "client"}}
    ),
    "https_only": Sample("over TLS, with HSTS"),
    "injection": Sample(
        f"path, query, 4 header lines, a body of {len(ORDER)} bytes", call=World.upload, body=ORDER
    ),
    "ip_filter": Sample(
        "an address in one of 4 networks",
        {"allow": ["203.0.113.0/24", "2001:db8::/32"], "deny": ["10.0.0.0/8", "198.51.100.0/24"]},
    ),
    "json_limits": Sample(f"a body of {len(ORDER)} bytes", call=World.upload, body=ORDER),
    "jwt": Sample(
        "a token seen before, one scope", {"providers": ["bench"], "scopes": ["read"]}, _bearing
    ),
    "openapi": Sample(
        f"path, query, Accept and a body of {len(ORDER)} bytes", call=World.upload, body=ORDER
    ),
    "public": Sample("nobody is asked"),
    "quota": Sample(
        "by identity, a month, counters in memory", {"limit": 1_000_000_000_000, "per": "month"}
    ),
    "rate_limit": Sample(
        "by identity, counters in memory", {"limit": 1_000_000_000, "per": 1, "by": "identity"}
    ),
    "request_headers": Sample(
        "two templates, one fixed line",
        {
            "set": {"X-Caller": "{identity.subject}@{identity.client}", "X-Env": "live"},
            "add": {"X-Asked": "{request.method} {request.path}"},
            "remove": ["X-Debug"],
        },
    ),
    "response_headers": Sample(
        "one template, one fixed line, one removed",
        {
            "set": {"Cache-Control": "private"},
            "add": {"X-Call": "{request.id}"},
            "remove": ["ETag"],
        },
    ),
    "security_headers": Sample("7 lines, 1 of them the upstream's"),
    "sign_response": Sample(f"an answer of {len(ORDER)} bytes, bound to its request", answer=ORDER),
    "signature": Sample(
        f"Ed25519 over 4 components, a body of {len(ORDER)} bytes",
        {"nonce": False},
        lambda world: world.client.signed(world),
        body=ORDER,
    ),
    "timestamp": Sample(
        "seconds since the epoch",
        call=lambda world: world.call((b"x-timestamp", b"%d" % time.time())),
    ),
}
