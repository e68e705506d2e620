"""What stands before Django on the private listener, driven as an ASGI server drives it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gatewaysite.private import MAX_IN_FLIGHT, PrivateApplication, Receive, Scope, Send
from oidc_clients.token_request import MAX_BODY

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/auth/demo/token",
    "scheme": "http",
    "client": None,
    "headers": [(b"x-forwarded-for", b"192.0.2.1"), (b"x-request-id", b"abc42")],
}
WHOLE = {"type": "http.request", "body": b"", "more_body": False}
LEFT = {"type": "http.disconnect"}


class Django:
    """Records the bodies it is asked with; answers when it is released."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.scopes: list[Scope] = []
        self.released = asyncio.Event()
        self.full = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        self.scopes.append(scope)
        if len(self.bodies) == MAX_IN_FLIGHT:
            self.full.set()
        await self.released.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def ask(
    application: PrivateApplication, *messages: Mapping[str, Any], scope: Scope = SCOPE
) -> list[Any]:
    """What is sent back for these messages; [] when nothing is."""
    coming = iter(messages)
    sent: list[Any] = []

    async def receive() -> Mapping[str, Any]:
        return next(coming, LEFT)

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(application({**scope}, receive, send), 10)
    return sent


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_is_put_together() -> None:
    async def traffic() -> None:
        django = Django()
        django.released.set()
        application = PrivateApplication(django)
        sent = await ask(application, part(b"a" * (MAX_BODY - 1)), part(b"b", more=False))
        assert django.bodies == [b"a" * (MAX_BODY - 1) + b"b"]
        assert django.scopes[0]["client"] == ("192.0.2.1", 0)
        assert sent[0]["status"] == 200

    asyncio.run(traffic())


def test_a_body_that_does_not_end_is_refused_at_its_bound() -> None:
    async def traffic() -> None:
        django = Django()
        sent = await ask(PrivateApplication(django), *[part(b"a" * 1024)] * 1000)
        assert sent[0]["status"] == 413
        assert json.loads(sent[1]["body"])["request_id"] == "abc42"
        assert django.bodies == []

    asyncio.run(traffic())


def test_half_a_request_never_reaches_django() -> None:
    async def traffic() -> None:
        django = Django()
        django.released.set()
        assert await ask(PrivateApplication(django), part(b"grant_type="), LEFT) == []
        assert django.bodies == []

    asyncio.run(traffic())


def test_requests_beyond_the_bound_are_told_to_come_again() -> None:
    async def traffic() -> None:
        django = Django()
        application = PrivateApplication(django)
        running = [asyncio.create_task(ask(application, WHOLE)) for _ in range(MAX_IN_FLIGHT)]
        await django.full.wait()
        sent = await ask(application, WHOLE)
        assert sent[0]["status"] == 429
        assert (b"retry-after", b"1") in sent[0]["headers"]
        assert json.loads(sent[1]["body"])["code"] == "too_many_concurrent"
        django.released.set()
        assert [answer[0]["status"] for answer in await asyncio.gather(*running)] == [200] * 100
        assert (await ask(application, WHOLE))[0]["status"] == 200

    asyncio.run(traffic())


def test_a_client_told_twice_is_not_the_proxys() -> None:
    async def traffic() -> None:
        django = Django()
        django.released.set()
        scope = {**SCOPE, "headers": [(b"x-forwarded-for", b"192.0.2.1")] * 2}
        sent = await ask(PrivateApplication(django), WHOLE, scope=scope)
        assert sent[0]["status"] == 400
        assert django.bodies == []

    asyncio.run(traffic())
