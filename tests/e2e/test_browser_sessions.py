"""The life of a browser session: renewed by one for all, ended everywhere within a second."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import sessions
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint, encode
from tests.e2e.person import COOKIE, NAVIGATION, SAME_ORIGIN, Person, code_of
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

EVENT = "http://schemas.openid.net/event/backchannel-logout"
MakePerson = Callable[..., Person]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    environ = {**backend(), "GATEHOUSE_RELAY_RATE": "10000/m"}
    document = sessions(provider, upstream, leeway=0)
    installation = start(document, environ, workers=4, only=None)
    provider.serve_browsers(f"http://127.0.0.1:{installation.port}")
    return installation


@pytest.fixture
def someone(gateway: Gateway, provider: Provider, upstream: Upstream) -> Iterator[MakePerson]:
    """Makes people who have signed in."""
    made = []

    def sign_in(user: str = "alice", agent: str = "Person/1.0", lifetime: int = 600) -> Person:
        provider.lifetime(lifetime)
        person = Person(gateway, user, agent)
        made.append(person)
        assert person.sign_in("/auth/acme/login?next=/api/x").status_code == 200
        return person

    yield sign_in
    for person in made:
        person.http.close()


def token_of(upstream: Upstream) -> str:
    """The token that the last call went upstream with."""
    line = upstream.seen()[-1].get("authorization")
    assert line is not None
    return line.removeprefix("Bearer ")


def await_expiry(token: str) -> None:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    until(lambda: time.time() > claims["exp"], 30, "the token's expiry")


def on_every_worker(clients: list[Client], cookie: str | None, target: str = "/api/x") -> set[int]:
    """The statuses of one call to each worker."""
    found = set()
    for client in clients:
        client.request("GET", target, [("Cookie", f"{COOKIE}={cookie}")], host="127.0.0.1")
        found.add(client.answer().status)
    return found


@pytest.fixture(scope="module")
def workers(gateway: Gateway) -> Iterator[list[Client]]:
    clients = gateway.client_of_each_worker()
    yield clients
    for client in clients:
        client.close()


def test_D6_100_calls_with_an_expired_token_cause_one_renewal_and_no_refusal(
    someone: MakePerson, gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    person = someone(lifetime=2)
    for _ in range(2):  # twice: the provider rotates refresh tokens, and takes none back
        expired = token_of(upstream)
        await_expiry(expired)
        provider.hits(reset=True)
        upstream.clear()
        provider.lifetime(2)

        def call(_: int) -> int:
            fields = [("Cookie", f"{COOKIE}={person.cookie}")]
            return gateway.call("GET", "/api/x", fields, host="127.0.0.1").status

        with ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(call, range(100)))
        assert statuses == [200] * 100
        assert provider.hits("/token") == 1
        assert upstream.counts()["complete"] == 100
        assert token_of(upstream) != expired
        assert expired not in str([seen.fields for seen in upstream.seen()])


def test_F3_a_provider_that_is_down_ends_no_session(
    someone: MakePerson, provider: Provider, upstream: Upstream
) -> None:
    person = someone(lifetime=2)
    await_expiry(token_of(upstream))
    upstream.clear()
    try:
        provider.fault("500", "/token")
        for answer in (person.get("/api/x"), person.open("/pages/x")):
            assert (answer.status_code, code_of(answer)) == (503, "provider_unavailable")
            assert answer.headers["Retry-After"]
    finally:
        provider.fault("none")
    assert upstream.seen() == []
    until(lambda: person.get("/api/x").status_code == 200, 30, "the renewal")


def test_a_refresh_token_that_was_taken_back_ends_the_session(
    someone: MakePerson, provider: Provider, upstream: Upstream
) -> None:
    person = someone(lifetime=2)
    await_expiry(token_of(upstream))
    provider.forget_refresh_tokens()
    upstream.clear()
    answer = person.get("/api/x")
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")
    assert person.open("/pages/x").status_code == 302
    assert upstream.seen() == []


def test_a_sign_out_holds_on_every_worker_within_a_second(
    someone: MakePerson, workers: list[Client], upstream: Upstream
) -> None:
    person = someone()
    cookie = person.cookie
    assert on_every_worker(workers, cookie) == {200}
    answer = person.post("/auth/logout")
    assert answer.status_code == 200
    assert person.cookie is None
    until(lambda: on_every_worker(workers, cookie) == {401}, 1.0, "the end on every worker")
    upstream.clear()
    assert on_every_worker(workers, cookie) == {401}
    assert upstream.seen() == []


@pytest.mark.parametrize(
    "said", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=str
)
@pytest.mark.parametrize("path", ["/auth/logout", "/auth/sessions/end"])
def test_D6_nobody_else_signs_a_person_out(
    someone: MakePerson, path: str, said: dict[str, str]
) -> None:
    person = someone()
    answer = requests.post(
        person.origin + path,
        data={"others": "1"},
        headers={**said, "Cookie": f"{COOKIE}={person.cookie}"},
        timeout=30,
    )
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")
    assert person.get("/auth/session").status_code == 200


def test_a_person_sees_and_ends_their_own_sessions(
    someone: MakePerson, workers: list[Client]
) -> None:
    here, there = someone("carol", "Here/1.0"), someone("carol", "<b>There</b>/2.0")
    stranger = someone("dave", "Elsewhere/3.0")
    listed = here.open("/auth/sessions")
    assert listed.status_code == 200
    assert listed.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'n")
    assert "Here/1.0 (this browser)" in listed.text
    assert "&lt;b&gt;There&lt;/b&gt;/2.0" in listed.text
    assert "Elsewhere" not in listed.text
    assert str(here.cookie) not in listed.text
    keys = _keys(listed.text)
    assert len(keys) == 1
    # A session of somebody else cannot be named.
    (foreign,) = _keys(someone("dave").open("/auth/sessions").text)
    here.post("/auth/sessions/end", {"session": foreign})
    assert stranger.get("/auth/session").status_code == 200
    answer = here.post("/auth/sessions/end", {"session": keys[0]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/auth/sessions")
    until(lambda: on_every_worker(workers, there.cookie) == {401}, 1.0, "the end of the other")
    assert on_every_worker(workers, here.cookie) == {200}
    assert "There" not in here.open("/auth/sessions").text


def _keys(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split('name="session" value="')[1:]]


def test_all_other_sessions_end_at_once(someone: MakePerson) -> None:
    here, *others = [someone("erin") for _ in range(4)]
    here.post("/auth/sessions/end", {"others": "1"})
    assert [item.get("/auth/session").status_code for item in others] == [401] * 3
    assert here.get("/auth/session").status_code == 200


def test_who_is_not_signed_in_sees_no_sessions(gateway: Gateway) -> None:
    person = Person(gateway)
    answer = person.open("/auth/sessions")
    assert answer.status_code == 401
    assert "You are not signed in" in answer.text
    assert person.post("/auth/sessions/end", {"others": "1"}).status_code == 303
    person.http.close()


def test_a_sign_out_goes_on_to_the_provider_and_takes_no_token_along(
    someone: MakePerson, provider: Provider
) -> None:
    person = someone()
    answer = person.post("/auth/logout", **NAVIGATION)
    assert answer.status_code == 303
    target = answer.headers["Location"]
    assert target.startswith(f"{provider.issuer}/session/end?client_id=browser&post_logout")
    assert "ey" not in target.partition("?")[2]
    assert person.open("/auth/signed-out").status_code == 200


def logout_token(mint: Mint, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(time.time())
    usual = {
        "iss": mint.issuer,
        "aud": "browser",
        "iat": now,
        "exp": now + 120,
        "jti": f"logout-{time.monotonic_ns()}",
        "events": {EVENT: {}},
        "sub": "frank",
    }
    content = {k: v for k, v in {**usual, **claims}.items() if v is not None}
    return encode({**mint.header(typ="logout+jwt"), **(header or {})}, content, mint.key)


def _send(gateway: Gateway, *tokens: str) -> requests.Response:
    return requests.post(
        f"http://127.0.0.1:{gateway.port}/auth/acme/backchannel-logout",
        data=[("logout_token", token) for token in tokens],
        timeout=30,
    )


def test_the_provider_ends_every_session_of_a_person(
    someone: MakePerson, gateway: Gateway, mint: Mint, workers: list[Client]
) -> None:
    franks = [someone("frank"), someone("frank")]
    other = someone("grace")
    assert on_every_worker(workers, franks[0].cookie) == {200}
    answer = _send(gateway, token := logout_token(mint))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    until(
        lambda: all(on_every_worker(workers, item.cookie) == {401} for item in franks),
        1.0,
        "the end of both",
    )
    assert on_every_worker(workers, other.cookie) == {200}
    assert _send(gateway, token).status_code == 400  # once


def _wrong(mint: Mint) -> dict[str, str]:
    now = int(time.time())
    good = logout_token(mint)
    return {
        "no-events": logout_token(mint, events=None),
        "other-event": logout_token(mint, events={"http://example.org/other": {}}),
        "event-no-object": logout_token(mint, events={EVENT: True}),
        "nonce": logout_token(mint, nonce="n"),
        "audience": logout_token(mint, aud="another"),
        "audiences": logout_token(mint, aud=["another"]),
        "issuer": logout_token(mint, iss="https://elsewhere.example"),
        "expired": logout_token(mint, exp=now - 300),
        "no-exp": logout_token(mint, exp=None),
        "no-iat": logout_token(mint, iat=None),
        "old": logout_token(mint, iat=now - 4000),
        "future": logout_token(mint, iat=now + 4000),
        "no-jti": logout_token(mint, jti=None),
        "nobody": logout_token(mint, sub=None),
        "sub-no-text": logout_token(mint, sub=["frank"]),
        "type": logout_token(mint, {"typ": "at+jwt"}),
        "none": encode({"alg": "none", "typ": "logout+jwt"}, {"sub": "frank"}, None),
        "stranger": encode(
            mint.header(typ="logout+jwt"), json.loads(_payload(good)), mint.stranger
        ),
        "access-token": mint.token(sub="frank"),
        "garbage": "a.b.c",
        "empty": "",
    }


def _payload(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_J12_only_a_logout_token_ends_sessions(
    someone: MakePerson, gateway: Gateway, mint: Mint
) -> None:
    person = someone("frank")
    for name, token in _wrong(mint).items():
        answer = _send(gateway, token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), name
        assert answer.headers["Cache-Control"] == "no-store"
    for tokens in ((), (logout_token(mint), logout_token(mint))):
        assert _send(gateway, *tokens).status_code == 400
    assert person.get("/auth/session").status_code == 200


def test_J12_a_logout_token_opens_no_route(gateway: Gateway, mint: Mint) -> None:
    answer = requests.get(
        f"http://127.0.0.1:{gateway.port}/api/x",
        headers={"Cookie": f"{COOKIE}={logout_token(mint)}"},
        timeout=30,
    )
    assert (answer.status_code, code_of(answer)) == (401, "session_invalid")


def test_signing_out_at_the_provider_signs_out_here(
    someone: MakePerson, provider: Provider, gateway: Gateway, workers: list[Client]
) -> None:
    person = someone("heidi")
    kept = someone("heidi")  # another browser, another session of the provider
    cookie = person.cookie
    asked = person.open(f"{provider.issuer}/session/end")
    secret = asked.text.partition('name="xsrf" value="')[2].partition('"')[0]
    done = person.http.post(
        f"{provider.issuer}/session/end/confirm",
        data={"xsrf": secret, "logout": "yes"},
        headers=SAME_ORIGIN,
        allow_redirects=False,
        timeout=30,
    )
    assert done.status_code in (302, 303), done.text
    until(lambda: on_every_worker(workers, cookie) == {401}, 20, "the back-channel logout")
    assert on_every_worker(workers, kept.cookie) == {200}


def test_J14_a_provider_that_is_switched_off_ends_its_sessions(
    someone: MakePerson, gateway: Gateway, provider: Provider, upstream: Upstream,
    workers: list[Client],
) -> None:  # fmt: skip
    person = someone()
    assert on_every_worker(workers, person.cookie) == {200}
    try:
        gateway.apply(sessions(provider, upstream, leeway=0, enabled=False))
        until(lambda: on_every_worker(workers, person.cookie) == {401}, 20, "the refusal")
        assert person.open("/auth/acme/login").status_code == 404
    finally:
        gateway.apply(sessions(provider, upstream, leeway=0))
    until(lambda: on_every_worker(workers, person.cookie) == {200}, 20, "the provider is back")


def test_explain_shows_a_session_and_neither_its_token_nor_its_renewal(
    someone: MakePerson, gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    person = someone(lifetime=2)
    token = token_of(upstream)
    asked = ("GET", "http://127.0.0.1/api/x", "-H", f"Cookie: {COOKIE}={person.cookie}")
    told = gateway.quick("explain", *asked).output
    assert "credential of subject 'alice'" in told
    assert "authorization: [redacted]" in told
    await_expiry(token)
    before = provider.hits("/token")
    told += gateway.quick("explain", *asked).output
    assert "refuses session_invalid" in told
    assert provider.hits("/token") == before
    assert token not in told
    assert str(person.cookie) not in told
    assert person.get("/api/x").status_code == 200  # its refresh token was not used up


def test_A7_no_token_and_no_cookie_is_logged(
    someone: MakePerson, gateway: Gateway, upstream: Upstream
) -> None:
    """Runs last: everything above has been logged."""
    person = someone()
    logged = gateway.log(20000) + gateway.access_log()
    token = token_of(upstream)
    for canary in (token, token.split(".")[2], str(person.cookie), "browser-secret-canary"):
        assert canary not in logged
    state = b"".join(path.read_bytes() for path in gateway.folder.rglob("state.sqlite3*"))
    for canary in (token, token.split(".")[1], str(person.cookie)):
        assert canary.encode() not in state
