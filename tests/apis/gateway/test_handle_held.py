"""Bodies and answers that policies must see whole: what is held, refused, and streamed on.

Drives ``handle`` itself with policies made for the purpose; the upstream is a raw one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from apis.gateway.balance import Upstream
from apis.gateway.handle import Gateway, handle
from apis.gateway.observe import AccessLog, Metrics, Observer
from apis.gateway.request_body import RequestBody
from apis.live import Live
from apis.routing import Route, RoutingTable, Target, UpstreamSpec
from policies.core.chain import HELD_BODY, Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.policy import Policy
from policies.core.values import PASS, Answer, Call, Decision, Deny, Field, Headers, Request
from policies.kinds.public import Public
from tests.apis.gateway.scripted import LOOPBACK, OK, Server, Visit, answering, serving

PUBLIC = Public(PolicyConfig(), None)  # type: ignore[arg-type]
TOO_SHORT = Deny("request_invalid", "The body is too short.")


class Sees(Policy):
    """Wants the whole body and the whole answer, and keeps what it saw."""

    kind = "sees"
    phase = Phase.VALIDATE

    def __init__(self, **said: Any) -> None:
        self.body: Any = said.get("body", PASS)
        self.answer: Deny | None = said.get("answer")
        self.bound: int = said.get("bound", 0)
        self.body_bound = said.get("body_bound")
        self.seen: list[bytes] = []

    def holds_body(self, call: Call) -> bool:
        return True

    def check_body(self, call: Call, content: bytes) -> Decision:
        self.seen.append(content)
        decision: Decision = self.body
        return decision

    def holds_answer(self, call: Call, status: int, fields: list[Field]) -> int:
        return self.bound

    def check_answer(
        self, call: Call, status: int, fields: list[Field], content: bytes
    ) -> Deny | None:
        self.seen.append(content)
        return self.answer

    def seal(self, call: Call, status: int, fields: list[Field], content: bytes) -> list[Field]:
        return [*fields, (b"x-seal", b"%d" % len(content))]


class Client:
    """An exchange that remembers its answer."""

    def __init__(self, method: str, chunks: tuple[bytes, ...], fields: list[Field]) -> None:
        length = None if chunks else 0
        self.request = Request(
            method, "h", "/x", None, Headers(fields), "127.0.0.1", body_length=length
        )
        self.body = RequestBody(lambda: None)
        self.body.length = length
        for chunk in chunks:
            self.body.feed(chunk)
        self.body.end()
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.content = b""
        self.ended = ""

    def respond(self, status: int, fields: list[Field], content: bytes, length: int | None) -> None:
        self.start(status, fields, length)
        self.content = content
        self.ended = "whole"

    def inform(self, status: int, fields: list[Field]) -> None: ...

    def start(self, status: int, fields: list[Field], length: int | None) -> None:
        self.status, self.fields = status, dict(fields)

    async def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> None:
        self.ended = "streamed"

    def abort(self) -> None:
        self.ended = "aborted"

    def upgrade(self, fields: list[Field]) -> Any:
        raise AssertionError("nothing is upgraded here")

    @property
    def code(self) -> str:
        return str(json.loads(self.content)["code"])


class World:
    """A gateway with one route."""

    def __init__(self, policy: Policy, mode: Any, server: Server) -> None:
        self.metrics = Metrics()
        observer = Observer(AccessLog("off"), self.metrics, lambda: 0.0)
        spec = UpstreamSpec((Target("127.0.0.1", server.port),), private_networks=LOOPBACK)
        self.upstream = Upstream(spec)
        chain = compile_chain(
            [Attached(PUBLIC, "public"), Attached(policy, "sees", mode)],
            lambda name, call, deny: observer.reported(name, call, deny.code),
        )
        route = Route(
            "r", "a", "/", "/{rest*}", frozenset(("GET", "POST")), chain, self.upstream,
            preflight=chain.answers_preflight,
        )  # fmt: skip
        live = Live()
        live.swap(RoutingTable([(("*",), route)], 1))
        self.gateway = Gateway(live, observer, lambda: 1000.0)

    async def call(
        self, *chunks: bytes, method: str = "POST", fields: tuple[Field, ...] = ()
    ) -> Client:
        client = Client(method, chunks, [(b"host", b"h"), *fields])
        await handle(self.gateway, client)
        return client


@asynccontextmanager
async def world(
    policy: Policy, script: Any = None, mode: str = "enforce"
) -> AsyncIterator[tuple[World, Server]]:
    async with serving(script or answering(OK)) as server:
        made = World(policy, mode, server)
        try:
            yield made, server
        finally:
            made.upstream.abort()


Play = Callable[..., None]


def test_a_body_reaches_the_upstream_after_it_was_seen_whole(play: Play) -> None:
    async def scene() -> None:
        heads: list[bytes] = []

        async def script(visit: Visit) -> None:
            heads.append(await visit.head() + await visit.read(6))
            visit.send(OK)

        sees = Sees()
        async with world(sees, script) as (made, _):
            client = await made.call(b"abc", b"def")
        assert (client.status, sees.seen) == (200, [b"abcdef"])
        assert b"content-length: 6\r\n" in heads[0]
        assert heads[0].endswith(b"abcdef")

    play(scene())


@pytest.mark.parametrize("says", [TOO_SHORT, Answer(303, ((b"location", b"/"),))])
def test_a_body_that_is_refused_reaches_nobody(play: Play, says: Any) -> None:
    async def scene() -> None:
        async with world(Sees(body=says)) as (made, server):
            client = await made.call(b"abc")
            assert client.status == (400 if says is TOO_SHORT else 303)
            assert server.visits == []

    play(scene())


def test_a_body_beyond_the_bound_is_refused_before_it_is_seen(play: Play) -> None:
    async def scene() -> None:
        sees = Sees(body_bound=4)
        async with world(sees) as (made, server):
            client = await made.call(b"abc", b"de")
            assert (client.status, client.code) == (413, "body_too_large")
            assert (server.visits, sees.seen) == ([], [])

    play(scene())


@pytest.mark.parametrize("declared", [True, False])
def test_in_report_mode_a_body_beyond_the_bound_streams_on_unseen(
    play: Play, declared: bool
) -> None:
    size = HELD_BODY + 1

    async def scene() -> None:
        bodies: list[bytes] = []

        async def script(visit: Visit) -> None:
            await visit.head()
            content = b""
            while not content.endswith(b"z" if declared else b"\r\n0\r\n\r\n"):
                content += await visit.reader.read(65536)
            bodies.append(content)
            visit.send(OK)

        sees = Sees()
        async with world(sees, script, "report") as (made, _):
            client = Client("POST", (b"a" * HELD_BODY, b"z"), [(b"host", b"h")])
            if declared:
                client.body.length = client.request.body_length = size
            await handle(made.gateway, client)
            assert client.status == 200
            assert made.metrics.reported == {("r", "sees", "body_too_large"): 1}
        assert sees.seen == []
        (content,) = bodies
        assert b"a" * HELD_BODY + b"z" in content

    play(scene())


def test_a_policy_in_report_mode_sees_the_body_and_lets_it_pass(play: Play) -> None:
    async def scene() -> None:
        async with world(Sees(body=TOO_SHORT), mode="report") as (made, _):
            client = await made.call(b"abc")
            assert client.status == 200
            assert made.metrics.reported == {("r", "sees", "request_invalid"): 1}

    play(scene())


def slowly(content: bytes) -> Any:
    """A script whose answer comes byte after byte."""

    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for byte in content:
            visit.send(b"1\r\n%c\r\n" % byte)
            await visit.writer.drain()
        visit.send(b"0\r\n\r\n")
        await visit.rest()

    return script


def test_an_answer_is_sent_after_it_was_seen_whole_and_is_sealed_last(play: Play) -> None:
    async def scene() -> None:
        sees = Sees(bound=100)
        async with world(sees, slowly(b"answer")) as (made, _):
            client = await made.call(method="GET")
        assert (client.status, client.content, client.ended) == (200, b"answer", "whole")
        assert sees.seen == [b"answer"]
        assert client.fields[b"x-seal"] == b"6"
        assert b"x-request-id" in client.fields

    play(scene())


def test_an_answer_that_is_refused_is_not_sent(play: Play) -> None:
    async def scene() -> None:
        sees = Sees(bound=100, answer=Deny("upstream_invalid", "Not as described."))
        async with world(sees, slowly(b"secret")) as (made, _):
            client = await made.call(method="GET")
        assert (client.status, client.code) == (502, "upstream_invalid")
        assert b"secret" not in client.content
        assert client.fields[b"x-seal"] == b"%d" % len(client.content)

    play(scene())


@pytest.mark.parametrize("mode", ["enforce", "report"])
def test_an_answer_beyond_the_bound(play: Play, mode: str) -> None:
    async def scene() -> None:
        async with world(Sees(bound=3), slowly(b"answer"), mode) as (made, _):
            client = await made.call(method="GET")
            if mode == "enforce":
                assert (client.status, client.code) == (502, "upstream_invalid")
            else:
                assert (client.status, client.content) == (200, b"answer")
                assert client.ended in ("whole", "streamed")  # whole if it came in one piece
                assert made.metrics.reported == {("r", "sees", "upstream_invalid"): 1}

    play(scene())


def test_an_answer_nobody_asked_for_is_streamed(play: Play) -> None:
    async def scene() -> None:
        sees = Sees(bound=0)
        async with world(sees, slowly(b"answer")) as (made, _):
            client = await made.call(method="GET")
        assert (client.content, sees.seen) == (b"answer", [])
        assert b"x-seal" not in client.fields

    play(scene())


class Ends(Policy):
    """Learns when calls end, and refuses if it is told to."""

    kind = "ends"
    phase = Phase.LIMIT

    def __init__(self, says: Decision = PASS, breaks: bool = False) -> None:
        self.says, self.breaks = says, breaks
        self.under_way = 0

    def check(self, call: Call) -> Decision:
        self.under_way += 1
        call.ending.append(self._end)
        return self.says

    def _end(self) -> None:
        self.under_way -= 1
        if self.breaks:
            raise ZeroDivisionError


@pytest.mark.parametrize("says", [PASS, Deny("rate_limited", "Too many.")])
@pytest.mark.parametrize("breaks", [False, True])
def test_a_policy_learns_that_a_call_has_ended(play: Play, says: Any, breaks: bool) -> None:
    async def scene() -> None:
        ends = Ends(says, breaks)
        async with world(ends) as (made, _):
            client = await made.call(method="GET")
        assert client.status == (200 if says is PASS else 429)
        assert ends.under_way == 0

    play(scene())


class Preflight(Policy):
    kind = "preflight"
    phase = Phase.ADMIT
    answers_preflight = True

    def __init__(self) -> None: ...

    def check(self, call: Call) -> Decision:
        return Answer(204, ((b"x-route", call.route.encode()),))


def test_B6_a_preflight_is_answered_by_the_route_it_asks_about(play: Play) -> None:
    async def scene() -> None:
        async with world(Preflight()) as (made, server):
            asked = ((b"origin", b"https://a"), (b"access-control-request-method", b"POST"))
            preflight = await made.call(method="OPTIONS", fields=asked)
            assert (preflight.status, preflight.fields[b"x-route"]) == (204, b"r")
            other = await made.call(method="OPTIONS", fields=(asked[0], (asked[1][0], b"DELETE")))
            plain = await made.call(method="OPTIONS")
            assert (other.status, plain.status) == (405, 405)
            assert server.visits == []

    play(scene())


def test_what_was_held_in_vain_is_streamed_with_the_rest(play: Play) -> None:
    async def scene() -> None:
        rest_wanted = asyncio.Event()

        async def script(visit: Visit) -> None:
            await visit.head()
            visit.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nansw\r\n")
            await rest_wanted.wait()
            visit.send(b"2\r\ner\r\n0\r\n\r\n")

        async with world(Sees(bound=3), script, "report") as (made, _):
            call = asyncio.ensure_future(made.call(method="GET"))
            while not made.metrics.reported:  # noqa: ASYNC110 - counters tell nobody
                await asyncio.sleep(0)
            rest_wanted.set()
            client = await call
        assert (client.status, client.content, client.ended) == (200, b"answer", "streamed")

    play(scene())
