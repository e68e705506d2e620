"""A person signs in through the gateway; the token stays there, and opens the routes for them."""

from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import sessions
from tests.e2e.gateway import Gateway
from tests.e2e.person import COOKIE, NAVIGATION, Person, code_of, query_of
from tests.e2e.provider import Provider
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    environ = {**backend(), "GATEHOUSE_RELAY_RATE": "10000/m"}
    installation = start(sessions(provider, upstream), environ, only=None)
    provider.serve_browsers(f"http://127.0.0.1:{installation.port}")
    return installation


@pytest.fixture
def person(gateway: Gateway, provider: Provider, upstream: Upstream) -> Iterator[Person]:
    provider.lifetime(600)
    upstream.clear()
    someone = Person(gateway)
    yield someone
    someone.http.close()


def test_D6_a_person_signs_in_and_comes_back_to_the_page(
    person: Person, provider: Provider, upstream: Upstream
) -> None:
    answer = person.sign_in("/pages/items/7?q=%2F&q=a+b")
    assert answer.status_code == 200, answer.text
    (seen,) = upstream.seen()
    assert seen.target == "/items/7?q=%2F&q=a+b"
    assert seen.all("x-subject") == ["alice"]


def test_D6_the_request_to_the_provider_is_bound_in_every_way(
    person: Person, provider: Provider
) -> None:
    first = person.follow(person.open("/pages/x"), until=provider.issuer)
    asked = query_of(first.headers["Location"])
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    assert asked["redirect_uri"] == f"{person.origin}/auth/acme/callback"
    assert asked["scope"].split() == ["openid", "read", "write"]
    assert first.headers["Referrer-Policy"] == "no-referrer"
    assert first.headers["Cache-Control"] == "no-store"


def test_P14_the_browser_gets_a_name_and_no_token(person: Person, upstream: Upstream) -> None:
    callback = person.begin("/pages/x")
    answer = person.open(callback)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/", "Lax", "")
    assert cookie["httponly"]
    assert len(cookie.value) == 43
    assert "." not in cookie.value
    assert "ey" not in answer.headers["Location"]
    assert person.follow(answer).status_code == 200
    # No upstream sees the cookie, on no route; others of the browser stay as they are.
    person.http.cookies.set("theme", "dark", domain="127.0.0.1", path="/")
    assert person.get("/open/x").status_code == 200
    for seen in upstream.seen():
        assert COOKIE not in str(seen.fields)
        assert cookie.value not in str(seen.fields)
    assert upstream.seen()[-1].get("cookie").endswith("theme=dark")


def test_P2_the_token_goes_upstream_where_the_route_says_so(
    person: Person, provider: Provider, upstream: Upstream
) -> None:
    person.sign_in("/pages/x")
    assert person.get("/api/x").status_code == 200
    without, with_token = upstream.seen()
    assert without.all("authorization") == []
    (line,) = with_token.all("authorization")
    assert line.startswith("Bearer ey")
    upstream.clear()
    # The client's own line never goes in its place, nor beside it.
    assert person.get("/api/x", Authorization="Bearer of-the-client").status_code == 200
    assert upstream.seen()[0].all("authorization") == [line]


def test_who_may_not_see_a_page_is_refused_and_not_sent_round(
    person: Person, upstream: Upstream
) -> None:
    person.sign_in("/pages/x")
    upstream.clear()
    answer = person.open("/api/admin")
    assert (answer.status_code, code_of(answer)) == (403, "insufficient_scope")
    assert upstream.seen() == []


@pytest.mark.parametrize("cookie", [None, "made-up", "x" * 5000, "a.b.c"])
def test_without_a_session_calls_are_refused_and_pages_lead_to_sign_in(
    person: Person, upstream: Upstream, cookie: str | None
) -> None:
    if cookie is not None:
        person.http.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/")
    code = "credentials_missing" if cookie is None else "session_invalid"
    for answer in (person.get("/pages/x"), person.get("/api/x"), person.open("/api/x")):
        assert (answer.status_code, code_of(answer)) == (401, code)
        assert answer.headers["WWW-Authenticate"]
    answer = person.post("/pages/x")
    assert (answer.status_code, code_of(answer)) == (401, code)
    answer = person.open("/pages/x?a=1&b=2")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/auth/acme/login?next=/pages/x%3Fa%3D1%26b%3D2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert upstream.seen() == []


def test_two_sessions_are_none(person: Person, upstream: Upstream) -> None:
    person.sign_in("/pages/x")
    upstream.clear()
    cookies = f"{COOKIE}={person.cookie}; {COOKIE}=other"
    person.http.cookies.clear()
    answer = person.get("/pages/x", Cookie=cookies)
    assert (answer.status_code, code_of(answer)) == (400, "credentials_ambiguous")
    assert upstream.seen() == []


CROSS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "SELF"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "SELF.evil.example"},
    {},
]


@pytest.mark.parametrize("said", CROSS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_D6_what_can_change_something_needs_a_page_of_this_origin(
    person: Person, upstream: Upstream, method: str, said: dict[str, str]
) -> None:
    person.sign_in("/pages/x")
    upstream.clear()
    headers = {name: value.replace("SELF", person.origin) for name, value in said.items()}
    answer = requests.request(
        method,
        f"{person.origin}/pages/x",
        headers={**headers, "Cookie": f"{COOKIE}={person.cookie}"},
        timeout=30,
        allow_redirects=False,
    )
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")
    assert upstream.seen() == []


@pytest.mark.parametrize("said", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "SELF"}])
def test_D6_a_page_of_this_origin_may(
    person: Person, upstream: Upstream, said: dict[str, str]
) -> None:
    person.sign_in("/pages/x")
    headers = {name: value.replace("SELF", person.origin) for name, value in said.items()}
    answer = requests.post(
        f"{person.origin}/pages/x",
        headers={**headers, "Cookie": f"{COOKIE}={person.cookie}"},
        timeout=30,
    )
    assert answer.status_code == 200


def test_a_session_in_report_mode_lets_pass_and_says_so(
    person: Person, gateway: Gateway, upstream: Upstream
) -> None:
    answer = person.open("/api/watched")
    assert answer.status_code == 200
    assert len(upstream.seen()) == 1
    line = gateway.logged(answer.headers["X-Request-Id"])
    assert line["reported"] == ["session: credentials_missing"]
    counted = ("api ANY /watched", "session", "credentials_missing")
    until(lambda: gateway.reported().get(counted) == 1, 20, "the counter")


EVIL = ["//evil.example", "/\\evil.example", "https://evil.example/", "/\t/evil.example",
        "/%09/evil.example\n", "\\\\evil.example", "evil.example", "", "javascript:alert(1)",
        "/" + "x" * 5000, "///evil.example", "/\\/evil.example", " //evil.example",
        "/auth/acme/login"]  # fmt: skip


@pytest.mark.parametrize("target", EVIL)
def test_D6_next_leads_nowhere_else(person: Person, target: str) -> None:
    callback = person.begin("/auth/acme/login?" + urlencode({"next": target}))
    answer = person.open(callback)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"


def test_D6_a_callback_is_good_once_and_in_its_browser_alone(
    gateway: Gateway, person: Person, provider: Provider
) -> None:
    other = Person(gateway, "mallory")
    callback = person.begin("/pages/x")
    before = provider.hits("/token")
    stolen = other.get(callback)  # the victim's callback in the attacker's browser
    assert (stolen.status_code, code_of(stolen)) == (400, "request_invalid")
    own = other.begin("/pages/x")
    forced = person.get(own)  # the attacker's callback in the victim's browser: login CSRF
    assert (forced.status_code, code_of(forced)) == (400, "request_invalid")
    assert provider.hits("/token") == before
    assert other.cookie is person.cookie is None
    assert person.open(callback).status_code == 302
    again = person.get(callback)
    assert (again.status_code, code_of(again)) == (400, "request_invalid")
    other.http.close()


def _changed(callback: str, **changes: str | None) -> str:
    query = query_of(callback) | {k: v for k, v in changes.items() if v is not None}
    query = {k: v for k, v in query.items() if changes.get(k, v) is not None}
    return f"{callback.partition('?')[0]}?{urlencode(query)}"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"state": "made-up"}, 400, "request_invalid"),
        ({"state": None}, 400, "request_invalid"),
        ({"iss": "https://elsewhere.example"}, 400, "request_invalid"),
        ({"iss": None}, 400, "request_invalid"),
        ({"code": None}, 400, "request_invalid"),
        ({"code": "made-up"}, 401, "session_invalid"),
        ({"error": "access_denied"}, 401, "session_invalid"),
    ],
    ids=str,
)
def test_D6_a_callback_that_was_changed_signs_nobody_in(
    person: Person,
    upstream: Upstream,
    changes: dict[str, str | None],
    status: int,
    code: str,
) -> None:
    callback = _changed(person.begin("/pages/x"), **changes)
    answer = person.get(callback)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert person.cookie is None
    assert upstream.seen() == []


def test_D6_a_repeated_parameter_signs_nobody_in(person: Person) -> None:
    callback = person.begin("/pages/x")
    answer = person.get(f"{callback}&code=another")
    assert (answer.status_code, code_of(answer)) == (400, "request_invalid")


def test_a_person_who_declines_reads_why(person: Person) -> None:
    back = person.answer_form(person.to_provider("/pages/x"), "cancel")
    answer = person.open(back.headers["Location"])
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "You were not signed in" in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_signing_in_anew_is_another_session(person: Person) -> None:
    person.sign_in("/pages/x")
    first = person.cookie
    person.sign_in("/auth/acme/login?next=/pages/x")
    assert person.cookie != first
    assert person.get("/pages/x").status_code == 200
    answer = requests.get(
        f"{person.origin}/auth/session", headers={"Cookie": f"{COOKIE}={first}"}, timeout=30
    )
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")


def test_the_session_tells_the_page_who_is_signed_in(person: Person, provider: Provider) -> None:
    nobody = person.get("/auth/session")
    assert (nobody.status_code, code_of(nobody)) == (401, "session_invalid")
    person.sign_in("/pages/x")
    answer = person.get("/auth/session")
    told = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert (told["provider"], told["subject"], told["issuer"]) == ("acme", "alice", provider.issuer)
    assert told["expires"] - told["created"] == 8 * 3600
    assert "token" not in answer.text
    assert "ey" not in answer.text


def test_signing_in_needs_get_and_a_registered_provider(person: Person) -> None:
    assert person.post("/auth/acme/login").status_code == 405
    assert person.get("/auth/nobody/login").status_code == 404
    answer = requests.get(
        f"{person.origin}/auth/acme/login",
        headers={**NAVIGATION, "Host": "api.example.org"},
        timeout=30,
        allow_redirects=False,
    )
    assert answer.status_code == 403  # plain HTTP, and not this machine
    assert code_of(answer) == "https_required"


def test_F3_a_provider_that_is_down_is_told_and_not_blamed_on_the_person(
    person: Person, provider: Provider
) -> None:
    callback = person.begin("/pages/x")
    try:
        provider.fault("500", "/token")
        answer = person.open(callback)
    finally:
        provider.fault("none")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "cannot be reached" in answer.text
    assert person.cookie is None


def test_a_stranger_host_is_no_redirect_uri(person: Person, provider: Provider) -> None:
    answer = requests.get(
        f"{person.origin}/auth/acme/login",
        headers={**NAVIGATION, "Host": f"localhost:{urlsplit(person.origin).port}"},
        timeout=30,
        allow_redirects=False,
    )
    refused = requests.get(answer.headers["Location"], timeout=30)
    assert refused.status_code == 400  # the provider compares redirect URIs exactly
