"""No database query is made on the request path: counted over every connection and thread."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from jwt.algorithms import ECAlgorithm

from apis.config import Document
from apis.gateway.handle import Gateway
from apis.gateway.http1 import Http1Protocol
from gatewaysite.wiring import World
from policies.models import Generation
from policies.stores.memory import MemoryState

ISSUER = "https://op.example.org"
KEY = ec.generate_private_key(ec.SECP256R1())


def document(port: int) -> Document:
    """An API that uses every policy of this version."""
    jwk = json.loads(ECAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k", "alg": "ES256"}
    provider = {"name": "acme", "issuer": ISSUER, "audiences": ["urn:a"], "keys": [jwk]}
    policies = [
        {"jwt": {"providers": ["acme"], "scopes": ["read"]}},
        {"rate_limit": {"limit": 3, "per": 60}},
        {"quota": {"limit": 1000, "per": "month"}},
        {"concurrency": {"limit": 1000}},
        {"body_limit": {"max_bytes": 100}},
        {"forward_identity": {"headers": {"X-Subject": "sub"}}},
        {"security_headers": {}},
    ]
    api = {
        "name": "items",
        "base_path": "/items",
        "upstream": {"targets": [{"url": f"http://127.0.0.1:{port}"}]},
        "policies": policies,
        "routes": [{"path": "/{id}"}, {"path": "/open", "policies": [{"public": {}}]}],
    }
    return Document.model_validate(
        {"format": 1, "providers": [provider | {"algorithms": ["ES256"]}], "apis": [api]}
    )


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request without content."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def statuses(world: World, targets: list[tuple[str, str]]) -> list[int]:
    """What a door over this world answers to ``(target, token)``, one after the other."""
    origin = await asyncio.start_server(upstream, "127.0.0.1", 0)
    world.install(world.build(document(origin.sockets[0].getsockname()[1]), 1))
    config = SimpleNamespace(loaded_app=Gateway(**world.gateway_arguments()))
    state = SimpleNamespace(connections=set(), tasks=set())
    loop = asyncio.get_running_loop()
    door = await loop.create_server(lambda: Http1Protocol(config, state), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*door.sockets[0].getsockname())
    found = []
    for target, token in targets:
        head = f"GET {target} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer.lower().split("content-length: ")[1].split("\r\n")[0])
        await reader.readexactly(length)
        found.append(int(answer.split()[1]))
    writer.close()
    door.close()
    origin.close()
    await world.upstreams.close()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return found


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that Django sends to a database, whatever the thread."""
    seen: list[str] = []
    execute = CursorWrapper.execute

    def counted(self: Any, sql: str, params: Any = None) -> Any:
        seen.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", counted)
    return seen


@pytest.mark.django_db
def test_a_query_would_be_counted(queries: list[str]) -> None:
    Generation.all_values()
    assert len(queries) == 1
    assert connection.vendor


def test_no_request_asks_the_database(
    queries: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    environment = settings.ENVIRONMENT.model_copy(
        update={
            "allow_private_upstreams": ("127.0.0.0/8",),
            "access_log": str(tmp_path / "access.log"),
        }
    )
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "urn:a", "sub": "s", "iat": now, "exp": now + 60}
    header = {"kid": "k", "typ": "at+jwt"}
    good = jwt.encode(claims | {"scope": "read"}, KEY, "ES256", header)
    poor = jwt.encode(claims, KEY, "ES256", header)
    targets = [("/items/1", good)] * 4
    targets += [("/items/1", poor), ("/items/1", "x.y.z"), ("/items/open", "ignored")]
    targets += [("/nowhere", good), ("/-/ready", "")]
    world = World(environment, MemoryState())
    assert asyncio.run(statuses(world, targets)) == [200, 200, 200, 429, 403, 401, 200, 404, 200]
    assert queries == []
