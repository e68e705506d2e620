"""A realistic sample of every policy kind: how it is configured, and the call it judges.

A kind without a sample stops the measurement: whoever adds a kind adds a sample here, and in
``bench.world`` what its ``Services`` need beyond that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.order import ORDER
from bench.world import World
from policies.core.values import Call


@dataclass(frozen=True)
class Sample:
    """One kind at work: its options, the call, its body where it has one, and what that shows."""

    about: str
    options: dict[str, Any] = field(default_factory=dict)
    call: Callable[[World], Call] = World.call
    body: bytes = b""
    answer: bytes = b""


SAMPLES: dict[str, Sample] = {
    "api_key": Sample("a key in its header, one scope", {"scopes": ["read"]}, World.with_api_key),
    "body_limit": Sample("a declared length", call=World.upload, body=ORDER),
    "client_certificate": Sample(
        "a certificate seen before, known by its fingerprint", call=World.with_certificate
    ),
    "client_credentials": Sample("a token that is held", {"provider": "bench", "scopes": ["read"]}),
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
    "introspection": Sample(
        "an answer remembered, one scope",
        {"provider": "bench", "scopes": ["read"], "cache": 60},
        lambda world: world.bearing(b"opaque-1"),
    ),
    "ip_filter": Sample(
        "an address in one of 4 networks",
        {"allow": ["203.0.113.0/24", "2001:db8::/32"], "deny": ["10.0.0.0/8", "198.51.100.0/24"]},
    ),
    "json_limits": Sample(f"a body of {len(ORDER)} bytes", call=World.upload, body=ORDER),
    "jwt": Sample(
        "a token seen before, one scope",
        {"providers": ["bench"], "scopes": ["read"]},
        World.bearing,
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
    "session": Sample(
        "a session read within the second, its token seen before, one scope",
        {"provider": "bench", "scopes": ["read"]},
        World.of_browser,
    ),
    "sign_response": Sample(f"an answer of {len(ORDER)} bytes, bound to its request", answer=ORDER),
    "signature": Sample(
        f"Ed25519 over 4 components, a body of {len(ORDER)} bytes",
        {"nonce": False},
        World.signed,
        body=ORDER,
    ),
    "timestamp": Sample(
        "seconds since the epoch",
        call=lambda world: world.call((b"x-timestamp", b"%d" % time.time())),
    ),
    "token_exchange": Sample(
        "an exchanged token that is held",
        {"provider": "bench", "audiences": ["urn:bench:upstream"]},
    ),
}
