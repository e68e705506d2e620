"""request_headers, response_headers, json_limits and clients, and report mode, on the wire."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream
from tests.json_cases import COUNT, REFUSED_ON_PURPOSE, json_cases

pytestmark = pytest.mark.e2e

FORGED = "forged-by-client"
JSON = {"Content-Type": "application/json"}
REQUEST = {
    "request_headers": {
        "set": {
            "X-Env": "live",
            "X-Who": "{identity.subject} via {identity.client}",
            "X-Odd": "{identity.claims.odd}",
        },
        "add": {"X-Call": "{request.method} {request.path} {request.headers.x-in}"},
        "remove": ["X-Debug"],
    }
}
RESPONSE = {
    "response_headers": {
        "set": {"Cache-Control": "private", "X-Echo": "{request.headers.x-in}"},
        "add": {"X-Served-By": "gatehouse"},
        "remove": ["X-Runtime"],
    }
}


def _open(name: str, url: str, *policies: dict[str, Any]) -> dict[str, Any]:
    return api(name, url, [{"public": {}}, *policies])


def _report(kind: str, **options: Any) -> dict[str, Any]:
    return {kind: {**options, "mode": "report"}}


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    url = upstream.url
    return start(
        document(
            provider,
            protected("orders", url, REQUEST, RESPONSE),
            _open("plain", url),
            _open("json", url, {"json_limits": {"depth": 3, "members": 5, "string": 20}}),
            _open("anyjson", url, {"json_limits": {"depth": 200}}),
            protected("few", url, {"clients": {"allow": ["service"]}}),
            _open(
                "watched",
                url,
                _report("https_only"),
                _report("ip_filter", deny=["127.0.0.0/8"]),
                _report("clients"),
                _report("json_limits", depth=1),
                _report("request_headers", set={"X-Env": "live"}, remove=["X-Debug"]),
                _report("response_headers", set={"Cache-Control": "private"}),
                _report("security_headers"),
                _report("cors", origins=["*"]),
            ),
        ),
        workers=1,
    )


@pytest.fixture(autouse=True)
def _forgetful(upstream: Upstream) -> None:
    upstream.clear()


def _refused(answer: Answer, status: int, code: str, upstream: Upstream) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert upstream.counts()["heads"] == 0


# request_headers


def test_P1_P2_the_upstream_gets_our_lines_whatever_the_client_sends(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    spellings = ["X-Env", "x-who", "X-WHO", "X.Who", "x.env", "X-Odd", "X-Debug", "X.Debug"]
    fields = [
        ("Connection", "close, X-Env, x-who, X-Call"),
        *((name, FORGED) for name in spellings),
        ("X-Call", "first"),
        ("X-In", "a"),
        *bearer(mint.token()).items(),
    ]
    assert gateway.call("GET", "/orders/a", fields).status == 200
    (seen,) = upstream.seen()
    assert seen.all("x-env") == ["live"]
    assert seen.all("x-who") == ["carol via service"]
    assert seen.all("x-odd") == seen.all("x-debug") == []
    assert seen.all("x-call") == ["GET /orders/a a"]  # Connection took the client's own away
    assert FORGED not in str(seen.fields)
    gateway.call("GET", "/orders/b", [("X-Call", "first"), fields[-2], fields[-1]])
    assert upstream.seen()[1].all("x-call") == ["first", "GET /orders/b a"]


def test_P2_a_name_that_tells_who_calls_cannot_be_forged_on_another_route(
    gateway: Gateway, upstream: Upstream
) -> None:
    fields = [("X-Who", FORGED), ("x.who", FORGED), ("X-Odd", FORGED), ("X-Env", "their own")]
    assert gateway.call("GET", "/plain/a", fields).status == 200
    (seen,) = upstream.seen()
    assert FORGED not in str(seen.fields)
    assert seen.all("x-env") == ["their own"]  # says nothing about the caller


@pytest.mark.parametrize("odd", ["a\r\nX-Admin: yes", "a\nb", "\x00", "ü", " a", "x" * 5000])
def test_P13_no_claim_and_no_header_breaks_a_line(
    gateway: Gateway, upstream: Upstream, mint: Mint, odd: str
) -> None:
    fields = [("X-In", "caf\xe9"), *bearer(mint.token(odd=odd)).items()]
    answer = gateway.call("GET", "/orders/a", fields)
    assert answer.status == 200
    assert answer.get("x-echo") is None
    (seen,) = upstream.seen()
    assert seen.all("x-odd") == seen.all("x-call") == seen.all("x-admin") == []
    assert upstream.counts()["violations"] == []


# response_headers


def test_the_client_gets_our_lines_on_answers_and_on_refusals(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.script(
        b"HTTP/1.1 200 OK\r\nCache-Control: public\r\nX-Runtime: 12\r\nX-Echo: theirs\r\n"
        b"X-Served-By: origin\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    )
    answer = gateway.call("GET", "/orders/raw", {"X-In": "a", **bearer(mint.token())})
    assert answer.status == 200
    assert answer.all("cache-control") == ["private"]
    assert answer.all("x-echo") == ["a"]
    assert answer.all("x-served-by") == ["origin", "gatehouse"]
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("x-runtime") is None
    refused = gateway.call("GET", "/orders/a")
    assert (refused.status, refused.code) == (401, "credentials_missing")
    assert refused.get("x-served-by") == "gatehouse"
    assert refused.get("content-type") == "application/problem+json"
    assert refused.get("www-authenticate")


# json_limits


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b"[[[[]]]]",
        b"[1,2,3,4,5,6]",
        b'{"a":"%s"}' % (b"x" * 21),
        b"[NaN]",
        b"[1e999]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{'a':1}",
        b'\xef\xbb\xbf{"a":1}',
    ],
    ids=lambda content: repr(content[:12]),
)
def test_O1_json_beyond_the_limits_never_reaches_the_upstream(
    gateway: Gateway, upstream: Upstream, content: bytes
) -> None:
    (pid,) = gateway.worker_pids()
    answer = gateway.call("POST", "/json/a", JSON, content)
    _refused(answer, 400, "request_invalid", upstream)
    (error,) = answer.json()["errors"]
    assert error["in"] == "body"
    assert gateway.worker_pids() == [pid]


def test_O1_the_json_parsing_set_on_the_wire(gateway: Gateway, upstream: Upstream) -> None:
    """The one case without content is a request without a body: there is nothing to refuse."""
    cases = [case for case in json_cases() if case.content]
    assert len(cases) == COUNT - 1
    (pid,) = gateway.worker_pids()
    wrong = set()
    for case in cases:
        upstream.clear()
        answer = gateway.call("POST", "/anyjson/a", JSON, case.content)
        hits = upstream.counts()["heads"]
        assert (answer.status, hits) in ((200, 1), (400, 0)), case.name
        if case.expect != "either" and (answer.status == 200) != (case.expect == "accept"):
            wrong.add(case.name)
    assert wrong == REFUSED_ON_PURPOSE
    assert gateway.worker_pids() == [pid]


@pytest.mark.parametrize("chunked", [False, True])
def test_O1_json_within_the_limits_arrives_byte_for_byte(
    gateway: Gateway, upstream: Upstream, chunked: bool
) -> None:
    content = b' {"a" : [ {"b":1.50} , "\\u00e9" ],\n"c":' + b"9" * 60 + b"}\n"
    if chunked:
        with gateway.client() as client:
            head = b"POST /json/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            client.send(head + b"Transfer-Encoding: chunked\r\n\r\n", "POST")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))
            assert client.answer().status == 200
    else:
        assert gateway.call("POST", "/json/a", JSON, content).status == 200
    (seen,) = upstream.seen()
    assert seen.body.encode() == content
    assert seen.complete


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        [("Content-Type", "application/json; charset=utf-16")],
        [("Content-Type", "text/plain"), ("Content-Type", "application/json")],
        [("Content-Type", "application/json; charset=utf-8; charset=utf-7")],
    ],
)
def test_O1_json_that_cannot_be_read_is_an_unsupported_media_type(
    gateway: Gateway, upstream: Upstream, fields: list[tuple[str, str]]
) -> None:
    answer = gateway.call("POST", "/json/a", fields, b"{}")
    _refused(answer, 415, "media_type_unsupported", upstream)


def test_other_bodies_stream_through_unread(gateway: Gateway, upstream: Upstream) -> None:
    answer = gateway.call("POST", "/json/a", {"Content-Type": "text/csv"}, b"[" * 3_000_000)
    assert answer.status == 200
    assert gateway.call("GET", "/json/a", JSON).status == 200
    too_large = gateway.call("POST", "/json/a", JSON, b" " * 1_048_577)
    assert (too_large.status, too_large.code) == (413, "body_too_large")


# clients


def test_only_the_named_clients_may_call(gateway: Gateway, upstream: Upstream, mint: Mint) -> None:
    refused = gateway.call("GET", "/few/a", bearer(mint.token(client_id="another")))
    _refused(refused, 403, "client_refused", upstream)
    assert gateway.call("GET", "/few/a", bearer(mint.token())).status == 200


# mode: report


def test_in_report_mode_the_call_passes_unchanged_and_is_counted_and_logged(
    gateway: Gateway, upstream: Upstream
) -> None:
    content = json.dumps({"a": [[1]]}).encode()
    fields = {**JSON, "Origin": "https://a.example", "X-Debug": "1", "X-Env": "mine"}
    answer = gateway.call("POST", "/watched/a", fields, content)
    assert answer.status == 200
    assert {name.lower() for name, _ in answer.fields}.isdisjoint(
        {"access-control-allow-origin", "cache-control", "x-frame-options"}
    )
    (seen,) = upstream.seen()
    assert (seen.all("x-debug"), seen.all("x-env"), seen.body.encode()) == (
        ["1"],
        ["mine"],
        content,
    )
    would = {
        "https_only": "https_required",
        "ip_filter": "ip_refused",
        "clients": "client_refused",
        "json_limits": "request_invalid",
        "request_headers": "not_applied",
        "response_headers": "not_applied",
        "security_headers": "not_applied",
    }
    logged = gateway.logged(answer.get("x-request-id"))
    assert sorted(logged["reported"]) == sorted(f"{name}: {code}" for name, code in would.items())
    assert "code" not in logged
    large = b'{"a":"%b"}' % (b"x" * 1_200_000)
    assert gateway.call("POST", "/watched/large", JSON, large).status == 200
    assert upstream.seen()[1].length == len(large)
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    assert gateway.call("OPTIONS", "/watched/a", preflight).status == 200
    route = "watched ANY /{rest*}"
    expected = {(route, *item) for item in would.items()}
    expected |= {(route, "cors", "preflight"), (route, "json_limits", "body_too_large")}
    until(lambda: set(gateway.reported()) == expected, 20, "every policy's counter")
    assert gateway.reported()[route, "json_limits", "request_invalid"] == 1
