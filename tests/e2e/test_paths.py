"""P4, P5, P6: one canonical path decides the route, the policy and what the upstream gets."""

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client, call
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

# Ways of writing "out of /files/public, into /files/admin".
SPELLINGS = [
    "/files/public/../admin",
    "/files/public/%2e%2e/admin",
    "/files/public/%2E%2E/admin",
    "/files/public/.%2e/admin",
    "/files/public/%2e./admin",
    "/files/public/./../admin",
    "/files/public/x/../../admin",
    "/files/public/../public/../admin",
    "/files/public/..%2fadmin",
    "/files/public/..%2Fadmin",
    "/files/public%2f..%2fadmin",
    "/files/public/..%5cadmin",
    "/files/public/..\\admin",
    "/files/public\\..\\admin",
    "/files/public/..;/admin",
    "/files/public/..;a=b/admin",
    "/files/public/%2e%2e;/admin",
    "/files/public;/../admin",
    "/files/public/.;/../admin",
    "/files/public//../admin",
    "/files//admin",
    "//files/admin",
    "/files/./admin",
    "/files/%61dmin",
    "/files/%61%64%6d%69%6e",
    "/files/ADMIN/../admin",
    "/files/admin%00",
    "/files/admin%0a",
    "/files/admin%0d%0a",
    "/files/admin%20",
    "/files/admin/",
    "/files/admin/.",
    "/files/admin/x/..",
    "/files/admin;",
    "/files/admin;x=y",
    "/files/public/%252e%252e/admin",
    "/files/public/%c0%ae%c0%ae/admin",
    "/files/public/%e0%80%ae./admin",
    "/files/public/..%c0%afadmin",
    "/files/admin#",
    "/files/admin%23",
    "/files/admin?",
    "/files/public/../../files/admin",
    "/../files/admin",
    "/files/public/%",
    "/files/public/%zz/../../admin",
]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    url = upstream.url
    jwt = {"jwt": {"providers": ["acme"], "scopes": ["read"]}}
    files = [
        {"path": "/public/{rest*}", "policies": [{"public": {}}]},
        {"path": "/health", "methods": ["GET"], "policies": [{"public": {}}]},
        {"path": "/{rest*}", "policies": [jwt]},
    ]
    items = [
        {"path": "/items", "methods": ["GET", "POST"]},
        {"path": "/items/{id}", "methods": ["GET"]},
        {"path": "/items/special", "methods": ["GET"]},
    ]
    return start(
        document(
            provider,
            protected("files", url, routes=files),
            api("shop", url, routes=items),
            api("deep", url, base_path="/shop/deep", strip_base_path=False),
            api("exact", url, hosts=["exact.test"], base_path="/who"),
            api("suffix", url, hosts=["*.wild.test"], base_path="/who", strip_base_path=False),
            api("named", url, hosts=["*"], base_path="/named", upstream={"host": "inner.test"}),
        )
    )


def test_P4_no_spelling_reaches_a_protected_path_without_a_token(
    gateway: Gateway, upstream: Upstream
) -> None:
    assert len(SPELLINGS) > 40
    for spelling in SPELLINGS:
        upstream.clear()
        with Client(gateway.address) as client:
            client.request("GET", spelling)
            answer = client.answer()
        assert answer.status in (200, 400, 401, 404), spelling
        for seen in upstream.seen():  # what was let through was public, and says so
            path = seen.target.partition("?")[0]
            assert path.startswith("/public/"), (spelling, seen.target)
            assert ".." not in path, (spelling, seen.target)


def test_P4_whatever_reaches_the_upstream_was_authorised_for_that_path(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    token = mint.token()
    for spelling in SPELLINGS:
        upstream.clear()
        with Client(gateway.address) as client:
            client.request("GET", spelling, bearer(token).items())
            answer = client.answer()
        assert answer.status in (200, 400, 404), spelling
        for seen in upstream.seen():
            upstream.clear()
            again = gateway.call("GET", f"/files{seen.target}", bearer(token))
            assert again.status == 200
            (repeated,) = upstream.seen()
            assert repeated.target == seen.target, spelling


@pytest.mark.parametrize(
    "target",
    [
        "/shop/items/a%2fb",
        "/shop/items/a%5Cb",
        "/shop/items/a\\b",
        "/shop/items/%00",
        "/shop/items/%0a",
        "/shop/items/%7f",
        "/shop//items",
        "//shop/items",
        "/shop/items/..;x/a",
        "/shop/items/;x/a",
        "/shop/items/%ff",
        "/shop/items/%c0%af",
        "/shop/items/%",
        "/shop/items/%4",
        "/shop/items/%zz",
        "/shop/items#a",
        "/shop/items?a#b",
        "/shop/items/\xe9",
        "/shop/items/<a>",
        "/../shop/items",
        "/shop/../../shop/items",
    ],
)
def test_P4_what_servers_are_known_to_read_differently_is_refused(
    gateway: Gateway, upstream: Upstream, target: str
) -> None:
    upstream.clear()
    answer = gateway.call("GET", target)
    assert (answer.status, answer.code) == (400, "request_malformed")
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/shop/items", "/items"),
        ("/shop/items?a=%2F..%2f&b", "/items?a=%2F..%2f&b"),
        ("/shop/items?", "/items?"),
        ("/shop/items/%7e%41", "/items/~A"),
        ("/shop/items/%c3%a9", "/items/%C3%A9"),
        ("/shop/items/a%20b", "/items/a%20b"),
        ("/shop/items/special", "/items/special"),
        ("/shop/deep/x", "/shop/deep/x"),
        ("/shop/deep", "/shop/deep"),
        ("/shop/items/x/../y", "/items/y"),
    ],
)
def test_P4_what_the_upstream_gets(
    gateway: Gateway, upstream: Upstream, asked: str, sent: str
) -> None:
    upstream.clear()
    assert gateway.call("GET", asked).status == 200
    assert [seen.target for seen in upstream.seen()] == [sent]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "route_not_found"),
        ("GET", "/shop", 404, "route_not_found"),
        ("GET", "/shopping/items", 404, "route_not_found"),
        ("GET", "/shop/items/", 404, "route_not_found"),
        ("GET", "/shop/items/a/b", 404, "route_not_found"),
        ("DELETE", "/shop/items", 405, "method_not_allowed"),
        ("POST", "/shop/items/1", 405, "method_not_allowed"),
        ("OPTIONS", "/shop/items", 405, "method_not_allowed"),
        ("GET", "/files/healthx", 401, "credentials_missing"),
        ("GET", "/files/health/", 401, "credentials_missing"),
        ("POST", "/files/health", 401, "credentials_missing"),
        ("GET", "/files/health?x=/files/public/", 200, None),
        ("GET", "/files/admin?/files/public/", 401, "credentials_missing"),
    ],
)
def test_P5_routes_match_whole_segments_and_methods(
    gateway: Gateway, method: str, path: str, status: int, code: str | None
) -> None:
    answer = gateway.call(method, path)
    assert (answer.status, answer.code) == (status, code)
    if status == 405:
        allowed = {"GET", "HEAD", "POST"} if path == "/shop/items" else {"GET", "HEAD"}
        assert set((answer.get("allow") or "").split(", ")) == allowed


def test_P5_neither_user_agent_nor_forwarded_target_opens_a_route(gateway: Gateway) -> None:
    fields = {
        "User-Agent": "kube-probe/1.30",
        "X-Original-URL": "/files/public/a",
        "X-Forwarded-Uri": "/files/public/a",
        "X-HTTP-Method-Override": "OPTIONS",
    }
    assert gateway.call("GET", "/files/admin", fields).code == "credentials_missing"


def test_P6_hosts_choose_the_api_and_the_upstreams_host_is_configured(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    for host in ("exact.test", "EXACT.test:8000", "exact.test."):
        assert call(gateway.address, "GET", "/who/id/1", host=host).body == b"/id/1"
    assert call(gateway.address, "GET", "/who/x", host="a.wild.test").json()["target"] == "/who/x"
    for host in ("wild.test", "evilexact.test", "exact.test.evil", "other.test"):
        assert call(gateway.address, "GET", "/who/x", host=host).status == 404
    upstream.clear()
    call(gateway.address, "GET", "/named/x", host="outer.test")
    call(gateway.address, "GET", "/shop/items", host="outer.test")
    named, plain = upstream.seen()
    assert named.all("host") == ["inner.test"]
    assert named.all("x-forwarded-host") == ["outer.test"]
    assert plain.all("host") == [upstream.url.removeprefix("http://")]


def test_P6_an_absolute_target_must_name_the_host(gateway: Gateway) -> None:
    address = gateway.address
    assert call(address, "GET", "http://a.test/shop/items", host="a.test").status == 200
    assert call(address, "GET", "http://b.test/shop/items", host="a.test").status == 400
    assert call(address, "GET", "http://a.test@b.test/shop/items", host="a.test").status == 400
    assert call(address, "GET", "ftp://a.test/shop/items", host="a.test").status == 400
    assert call(address, "OPTIONS", "*", host="a.test").status in (400, 404)


def test_P6_a_host_that_no_api_is_served_for_is_misdirected(
    start: Start, upstream: Upstream
) -> None:
    only = start(document(None, api("only", upstream.url, hosts=["only.test"])), workers=1)
    assert call(only.address, "GET", "/only/a", host="only.test").status == 200
    answer = call(only.address, "GET", "/only/a", host="other.test")
    assert (answer.status, answer.code) == (421, "host_refused")
    assert call(only.address, "GET", "/-/ready", host="other.test").status == 200
