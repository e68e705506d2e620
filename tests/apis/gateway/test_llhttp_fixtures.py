"""The whole of llhttp's own response fixtures, over the wire: read as llhttp reads them or more
strictly, never less, and none hangs."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from apis.gateway.upstream import UpstreamInvalid
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import Visit, call, calling, content_of, serving

FIXTURES = Path(__file__).parents[4] / "shared/vectors/smuggling/llhttp_fixtures.json"

# Where this reader and llhttp differ; everything else is read, or refused, as llhttp does.
STRICTER = {
    "RTSP response": "not HTTP",
    "ICE response": "not HTTP",
    "HTTP version 0.9": "not HTTP/1.x",
    "Response starting with CRLF": "nothing comes before an answer",
    "HTTP 100 first, then 400": "nothing comes between answers",
    "Tabs in `Content-Length` (surrounding)": "a length is digits",
    "`chunked` before other transfer-encoding": "another coding than chunked",
    "multiple transfer-encoding where chunked is not the last one": "two codings",
    "`chunkedchunked` transfer-encoding does not enable chunked enconding": "an unknown coding",
}
ENDS_EARLY = {  # the fixture stops before its answer is complete
    "HTTP 103 first, then 200",
    "Google 301",
    "Chunk extensions quoting",
}
FOLLOWED = {  # an answer that is complete; what llhttp refuses comes behind it
    "HTTP/1.1 with keep-alive disabled and 204 status",
    "HTTP/1.1 with keep-alive disabled, content-length",
}


def wire(text: str) -> bytes:
    """A fixture as bytes: ends of lines are CRLF, other control characters are spelled out."""
    text = text.replace("\n", "\r\n")
    for spelled, meant in {"\\t": "\t", "\\r": "\r", "\\n": "\n", '\\"': '"'}.items():
        text = text.replace(spelled, meant)
    return text.encode("latin-1")


async def outcome(fixture: dict[str, Any]) -> str:
    """``read`` or ``refused`` (any other failure is raised)."""
    raw = wire(fixture["raw_lf"])

    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(raw)
        await visit.writer.drain()
        visit.writer.write_eof()
        await visit.rest()

    method = "HEAD" if "skipBody" in fixture["meta"] else "GET"
    async with serving(script) as server, calling(server, retries=0) as upstream:
        try:
            response = await call(upstream, method, on_interim=lambda status, fields: None)
            await content_of(response)
        except UpstreamInvalid:
            return "refused"
        finally:
            await server.done()
        return "read"


@pytest.mark.skipif(not FIXTURES.exists(), reason="the shared vectors are not beside the checkout")
def test_P13_the_llhttp_fixtures_of_responses():
    fixtures = [f for f in json.loads(FIXTURES.read_text()) if f["type"] == "response"]
    counts: Counter[str] = Counter()

    async def scene() -> None:
        for fixture in fixtures:
            title = fixture["title"]
            refused = title in STRICTER or title in ENDS_EARLY or fixture["error"] is not None
            expected = "refused" if refused and title not in FOLLOWED else "read"
            async with asyncio.timeout(10):
                assert await outcome(fixture) == expected, title
            counts[expected] += 1

    scripted.play(scene())
    assert counts == {"read": 40, "refused": 36}
