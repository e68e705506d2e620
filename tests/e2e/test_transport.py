"""https_only, ip_filter and cors as a client meets them, behind a trusted proxy and without."""

import ssl
from typing import Any

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

APP = "https://app.example.com"
ALLOW = "access-control-allow-origin"
HTTPS = {"X-Forwarded-Proto": "https"}


def _open(name: str, url: str, *policies: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return api(name, url, [{"public": {}}, *policies], **changes)


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    url = upstream.url
    cors = {"cors": {"origins": [APP], "credentials": True, "methods": ["GET", "PUT"]}}
    return start(
        document(
            provider,
            _open("secure", url, {"https_only": {"hsts": 600}}),
            _open("moved", url, {"https_only": {"redirect": True}}),
            _open(
                "inside", url, {"ip_filter": {"allow": ["203.0.113.0/24"], "deny": ["203.0.113.9"]}}
            ),
            protected("paged", url, cors, routes=[{"path": "/{rest*}", "methods": ["PUT", "GET"]}]),
            _open("anyone", url, {"cors": {"origins": ["*"]}}),
            _open("plain", url),
        ),
        {"GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8"},
    )


@pytest.fixture(autouse=True)
def _forgetful(upstream: Upstream) -> None:
    upstream.clear()


def _refused(answer: Answer, status: int, code: str, upstream: Upstream) -> None:
    assert (answer.status, answer.code) == (status, code)
    assert upstream.counts()["heads"] == 0


# https_only


def test_in_clear_a_route_is_refused_or_sent_on(gateway: Gateway, upstream: Upstream) -> None:
    for fields in ({}, {"X-Forwarded-Proto": "http"}):
        answer = gateway.call("GET", "/secure/a", fields)
        _refused(answer, 403, "https_required", upstream)
        assert answer.get("strict-transport-security") is None
    answer = gateway.call("GET", "/moved/a%2Db/../c?q=1", host="api.example.com:8000")
    assert answer.status == 308
    assert answer.get("location") == "https://api.example.com/moved/c?q=1"
    _refused(gateway.call("POST", "/moved/a", body=b"x"), 403, "https_required", upstream)


def test_A4_over_https_a_route_is_served_with_hsts(gateway: Gateway, upstream: Upstream) -> None:
    theirs = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"
    upstream.script(theirs)
    answer = gateway.call("GET", "/secure/raw", HTTPS)
    assert answer.status == 200
    assert answer.all("strict-transport-security") == ["max-age=600"]
    assert gateway.call("GET", "/moved/a", HTTPS).status == 200


def test_P7_a_client_cannot_say_that_it_came_over_https(
    start: Start, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nobody is trusted here; over its own TLS the route is served."""
    authority = Authority(tmp_path_factory.mktemp("certificates"), "authority")
    certificate, key = authority.issue("server")
    routes = document(None, _open("secure", upstream.url, {"https_only": {}}))
    plain = start(routes, workers=1)
    spoofed = {**HTTPS, "Forwarded": "proto=https", "Front-End-Https": "on"}
    _refused(plain.call("GET", "/secure/a", spoofed), 403, "https_required", upstream)
    environ = {"GATEHOUSE_TLS_CERT": str(certificate), "GATEHOUSE_TLS_KEY": str(key)}
    secure = start(
        routes, environ, workers=1, tls=ssl.create_default_context(cafile=authority.path)
    )
    answer = secure.call("GET", "/secure/a")
    assert answer.status == 200
    assert answer.get("strict-transport-security") == "max-age=31536000"


# ip_filter


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.7", 200),
        ("::ffff:203.0.113.7", 200),
        ("6.6.6.6, 203.0.113.7", 200),
        ("203.0.113.9", 403),
        ("::ffff:203.0.113.9", 403),
        ("203.0.113.7, 6.6.6.6", 403),
        ("2001:db8::1", 403),
        (None, 403),
    ],
)
def test_P7_the_address_is_the_clients_behind_our_own_proxies(
    gateway: Gateway, upstream: Upstream, forwarded: str | None, status: int
) -> None:
    fields = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    answer = gateway.call("GET", "/inside/a", fields)
    assert answer.status == status
    if status == 403:
        _refused(answer, 403, "ip_refused", upstream)


# cors


def _preflight(origin: str = APP, method: str = "PUT") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }


def test_B6_a_preflight_is_answered_without_credentials_and_without_the_upstream(
    gateway: Gateway, upstream: Upstream
) -> None:
    answer = gateway.call("OPTIONS", "/paged/a", _preflight())
    assert (answer.status, answer.body) == (204, b"")
    assert answer.get(ALLOW) == APP
    assert answer.get("access-control-allow-credentials") == "true"
    assert answer.get("access-control-allow-methods") == "GET, PUT"
    assert answer.get("access-control-allow-headers") == "Authorization, Content-Type"
    assert answer.get("access-control-max-age") == "600"
    assert answer.get("vary") == "Origin"
    other = gateway.call("OPTIONS", "/paged/a", _preflight("https://evil.example"))
    assert (other.status, other.get(ALLOW)) == (204, None)
    assert upstream.counts()["heads"] == 0


def test_B6_only_a_preflight_of_the_route_goes_without_credentials(
    gateway: Gateway, upstream: Upstream
) -> None:
    for method, fields in (
        ("OPTIONS", {"Origin": APP}),
        ("OPTIONS", {"Access-Control-Request-Method": "PUT"}),
        ("OPTIONS", _preflight(method="DELETE")),
        ("OPTIONS", _preflight(method="PUT, DELETE")),
        ("PUT", _preflight()),
        ("GET", {**_preflight(), "X-HTTP-Method-Override": "OPTIONS"}),
    ):
        answer = gateway.call(method, "/paged/a", fields)
        assert answer.status in (401, 405), (method, fields)
    assert upstream.counts()["heads"] == 0
    assert gateway.call("OPTIONS", "/plain/a", _preflight()).status == 200  # no cors: carried
    assert upstream.counts()["heads"] == 1


def test_B6_what_the_upstream_says_is_replaced(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    theirs = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n"
        b"Access-Control-Allow-Credentials: true\r\nContent-Length: 0\r\n\r\n"
    )
    for origin, allowed in ((APP, [APP]), ("https://evil.example", [])):
        upstream.script(theirs)
        answer = gateway.call("GET", "/paged/raw", {"Origin": origin, **bearer(mint.token())})
        assert answer.status == 200
        assert answer.all(ALLOW) == allowed
        assert answer.all("access-control-allow-credentials") == ["true"] * len(allowed)
        assert answer.all("vary") == ["Accept", "Origin"]
    upstream.script(theirs)
    star = gateway.call("GET", "/anyone/raw", {"Origin": "https://evil.example"})
    assert star.all(ALLOW) == ["*"]
    assert star.get("access-control-allow-credentials") is None


def test_B6_a_page_can_read_why_it_was_refused(gateway: Gateway, upstream: Upstream) -> None:
    answer = gateway.call("GET", "/paged/a", {"Origin": APP})
    _refused(answer, 401, "credentials_missing", upstream)
    assert answer.get(ALLOW) == APP
