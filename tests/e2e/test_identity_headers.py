"""P1, P2, P7: only the gateway says who calls and from where, on every kind of route."""

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, protected, standard
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.upstream import Seen, Upstream

pytestmark = pytest.mark.e2e

FORGED = "forged-by-client"
# What the gateway itself says to upstreams, or what upstreams believe about identity.
NAMES = [
    "X-Subject",
    "X-Client",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Real-IP",
    "Forwarded",
    "X-Request-Id",
    "Client-Cert",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
]


def _spellings(name: str) -> list[str]:
    return [
        name,
        name.lower(),
        name.upper(),
        name.swapcase(),
        name.replace("-", "_"),
        name.replace("-", "."),
        name.replace("-", "_", 1),
        name.replace("-", ".", 1),
    ]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    document = standard(provider, upstream)
    absent = {"forward_identity": {"headers": {"X-Team": "team", "X-Subject": "sub"}}}
    document["apis"] += [
        protected("absent", upstream.url, absent),
        protected("plain", upstream.url),
        api("public", upstream.url, [{"public": {}}, absent]),
    ]
    return start(document)


def _no_forgery(seen: Seen) -> None:
    for name, value in seen.fields:
        assert FORGED not in value, (name, value)


@pytest.mark.parametrize("path", ["/orders/a", "/open/a", "/plain/a", "/public/a"])
def test_P2_no_spelling_of_a_reserved_name_reaches_the_upstream(
    gateway: Gateway, upstream: Upstream, mint: Mint, path: str
) -> None:
    upstream.clear()
    token, arrived = mint.token(), 0
    with Client(gateway.address) as first:
        client = first
        for name in NAMES:
            for spelling in _spellings(name):
                client.request("GET", path, [(spelling, FORGED), *bearer(token).items()])
                answer = client.answer()
                assert answer.status in (200, 400), (spelling, answer.body)
                arrived += answer.status == 200
                if answer.status == 400:
                    assert "_" in spelling, spelling
                    client.close()
                    client = Client(gateway.address)
        client.close()
    requests = upstream.seen()
    assert len(requests) == arrived > 0
    for seen in requests:
        _no_forgery(seen)


def test_P2_a_claim_that_is_absent_leaves_no_line(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    fields = [("X-Team", FORGED), ("X-Subject", FORGED), *bearer(mint.token()).items()]
    assert gateway.call("GET", "/absent/a", fields).status == 200
    (seen,) = upstream.seen()
    assert seen.all("x-team") == []
    assert seen.all("x-subject") == ["carol"]


def test_P2_trailers_do_not_become_headers(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    with Client(gateway.address) as client:
        head = b"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        client.send(head + b"Trailer: X-Subject\r\n\r\n1\r\nx\r\n", "POST")
        client.send(b"0\r\nX-Subject: forged-by-client\r\n\r\n")
        assert client.answer().status == 200
    (seen,) = upstream.seen()
    _no_forgery(seen)
    assert seen.all("trailer") == []


@pytest.mark.parametrize(
    "connection",
    [
        "close, X-Subject, Authorization, X-Real-IP, x-forwarded-for",
        "CLOSE, x-subject, aUTHORIZATION, x-real-ip, X-FORWARDED-FOR",
        "keep-alive, X-Client, X-Request-Id, Forwarded, Via, Host, Content-Length",
    ],
)
def test_P1_connection_cannot_remove_what_the_gateway_says(
    gateway: Gateway, upstream: Upstream, mint: Mint, connection: str
) -> None:
    upstream.clear()
    fields = [("Connection", connection), ("X-Custom", "1"), *bearer(mint.token()).items()]
    answer = gateway.call("POST", "/orders/a", fields, b"hello")
    assert answer.status == 200, answer.body
    (seen,) = upstream.seen()
    assert seen.all("x-subject") == ["carol"]
    assert seen.all("x-client") == ["service"]
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert seen.all("x-request-id") == [answer.get("x-request-id")]
    assert len(seen.all("forwarded")) == len(seen.all("via")) == 1
    assert seen.body == "hello"
    assert seen.all("x-custom") == ["1"]


def test_P1_hop_by_hop_fields_go_no_further(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    fields = [
        ("Connection", "X-Mine, keep-alive"),
        ("X-Mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("X-Kept", "1"),
    ]
    assert gateway.call("GET", "/open/a", fields).status == 200
    (seen,) = upstream.seen()
    names = {name.lower() for name, _ in seen.fields}
    assert names.isdisjoint({"x-mine", "keep-alive", "proxy-authorization", "proxy-connection"})
    assert "x-kept" in names


def test_P1_hop_by_hop_fields_of_the_answer_go_no_further(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.script(
        b"HTTP/1.1 200 OK\r\nConnection: X-Private, close\r\nX-Private: 1\r\nX-Kept: 1\r\n"
        b"Proxy-Authenticate: Basic\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = gateway.call("GET", "/open/raw")
    assert answer.status == 200
    assert answer.get("x-private") is None
    assert answer.get("proxy-authenticate") is None
    assert answer.get("x-kept") == "1"
    assert len(answer.all("x-request-id")) == 1
    assert answer.get("x-request-id") != "theirs"


def test_P7_nobody_is_believed_by_default(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    fields = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6;proto=https;host=evil.example",
        "X-Request-Id": "chosen-by-client",
    }
    answer = gateway.call("GET", "/open/a", fields)
    (seen,) = upstream.seen()
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert seen.all("x-forwarded-proto") == ["http"]
    assert seen.all("x-forwarded-host") == ["gateway.test"]
    assert seen.all("forwarded") == ['for=127.0.0.1;host="gateway.test";proto=http']
    assert answer.get("x-request-id") != "chosen-by-client"


def test_P7_a_trusted_proxy_is_believed_from_the_right(
    start: Start, provider: Provider, upstream: Upstream
) -> None:
    trusting = start(
        standard(provider, upstream), {"GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}
    )
    upstream.clear()
    fields = {
        "X-Forwarded-For": "6.6.6.6, 203.0.113.7, ::ffff:10.1.2.3",
        "X-Forwarded-Proto": "https",
        "X-Request-Id": "from-our-edge",
    }
    answer = trusting.call("GET", "/open/a", fields)
    assert answer.get("x-request-id") == "from-our-edge"
    (seen,) = upstream.seen()
    assert seen.all("x-forwarded-for") == ["203.0.113.7, 10.1.2.3, 127.0.0.1"]
    assert seen.all("x-forwarded-proto") == ["https"]
    assert "6.6.6.6" not in str(seen.fields)


def test_P8_via_is_added_and_a_loop_is_refused(
    gateway: Gateway, start: Start, upstream: Upstream
) -> None:
    upstream.clear()
    assert gateway.call("GET", "/open/a", {"Via": "1.0 fred"}).status == 200
    (seen,) = upstream.seen()
    via = ", ".join(seen.all("via"))
    assert via.startswith("1.0 fred, 1.1 ")
    upstream.clear()
    answer = gateway.call("GET", "/open/a", {"Via": via})
    assert (answer.status, answer.code) == (503, "misconfigured")
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "HEAD", "DELETE"])
def test_P2_holds_for_every_method(
    gateway: Gateway, upstream: Upstream, mint: Mint, method: str
) -> None:
    upstream.clear()
    fields = [("X-Subject", FORGED), *bearer(mint.token()).items()]
    assert gateway.call(method, "/orders/a", fields).status == 200
    (seen,) = upstream.seen()
    assert seen.method == method
    assert seen.all("x-subject") == ["carol"]
