"""S2: nothing in a request decides where the gateway connects to.

The upstream behind the route gets the call under its own address, or nobody gets it; a second
listener, which the requests name in every way, is never connected to.
"""

import socket
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A listener that nobody is registered at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    whole = api("all", upstream.url, base_path="/", policies=[{"public": {}}])
    below = api("below", f"{upstream.url}/inside", base_path="/below", policies=[{"public": {}}])
    return start(document(provider, whole, below))


TARGETS = [
    "//EVIL/x",
    "///EVIL/x",
    "/\\EVIL/x",
    "\\\\EVIL\\x",
    "/@EVIL/x",
    "@EVIL/x",
    "/below@EVIL/x",
    "/below/@EVIL",
    "/below/..//EVIL",
    "/below/%2f%2fEVIL/x",
    "/below/%40EVIL",
    "/http://EVIL/x",
    "/below/http://EVIL/x",
    "/below/http:/EVIL/x",
    "http://EVIL/x",
    "https://EVIL/x",
    "http://HOST@EVIL/x",
    "http://EVIL#@HOST/x",
    "http://EVIL\\@HOST/x",
    "ftp://EVIL/x",
    "file:///etc/passwd",
    "gopher://EVIL/x",
    "unix:/run/x.sock",
    "EVIL",
    "/below/x?url=http://EVIL/",
    "/below/x?//EVIL",
    "/below/.%0d%0aHost:%20EVIL",
    "/below/x%23@EVIL",
]
SPOKEN = [
    {"Host": "EVIL"},
    {"X-Forwarded-Host": "EVIL"},
    {"X-Original-URL": "http://EVIL/x"},
    {"X-Rewrite-URL": "//EVIL/x"},
    {"Forwarded": "host=EVIL"},
    {"Referer": "http://EVIL/"},
    {"Destination": "http://EVIL/x"},
]


def host_of(upstream: Upstream) -> str:
    return upstream.url.removeprefix("http://")


@pytest.mark.parametrize("target", TARGETS)
def test_S2_no_target_leads_anywhere_but_to_the_registered_upstream(
    gateway: Gateway, upstream: Upstream, elsewhere: socket.socket, target: str
) -> None:
    upstream.clear()
    evil = f"127.0.0.1:{elsewhere.getsockname()[1]}"
    asked = target.replace("EVIL", evil).replace("HOST", "{}:{}".format(*gateway.address))
    with Client(gateway.address) as client:
        client.request("GET", asked)
        answer = client.answer()
    assert answer.status in (200, 400, 404), asked
    for seen in upstream.seen():
        assert seen.target.startswith("/"), asked
        assert not seen.target.startswith(("//", "/\\")), asked
        assert [value for name, value in seen.fields if name == "host"] == [host_of(upstream)]
    if answer.status != 200:
        assert upstream.counts()["heads"] == 0
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


@pytest.mark.parametrize("fields", SPOKEN, ids=lambda fields: next(iter(fields)))
def test_S2_no_header_leads_anywhere_but_to_the_registered_upstream(
    gateway: Gateway, upstream: Upstream, elsewhere: socket.socket, fields: dict[str, str]
) -> None:
    upstream.clear()
    evil = f"127.0.0.1:{elsewhere.getsockname()[1]}"
    spoken = {name: value.replace("EVIL", evil) for name, value in fields.items()}
    host = spoken.pop("Host", "gateway.test")
    with Client(gateway.address) as client:
        client.request("GET", "/below/x", spoken.items(), host=host)
        answer = client.answer()
    assert answer.status == 200
    (seen,) = upstream.seen()
    assert seen.target == "/inside/x"
    assert [value for name, value in seen.fields if name == "host"] == [host_of(upstream)]
    with pytest.raises(BlockingIOError):
        elsewhere.accept()
