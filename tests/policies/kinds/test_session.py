"""``session``: whom a cookie proves, and when a browser is sent to sign in instead."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.errors import StateUnavailable
from policies.core.services import Services
from policies.core.values import PASS, Answer, Call, Decision, Deny, Identity
from policies.kinds.jwt import Jwt, JwtConfig
from policies.kinds.session import Session, SessionConfig
from tests.policies.kinds.jwt_route import MakeCall, Tokens, identity

COOKIE = (b"cookie", b"theme=dark; __Host-gatehouse_session=abc; x=y")
SAME = (b"sec-fetch-site", b"same-origin")
PAGE = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]


@dataclass
class Sessions:
    """Sessions that say what the test wants."""

    answer: bytes | Deny | Exception = b"the.access.token"
    asked: Any = None

    def signs_in(self, provider: str) -> bool:
        return provider == "acme"

    async def token(self, provider: str, cookie: bytes, now: float) -> bytes | Deny:
        self.asked = (provider, cookie)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Route:
    """A route whose only policy is ``session``, or with ``jwt`` beside it."""

    def __init__(
        self,
        answer: bytes | Deny | Exception = b"the.access.token",
        verdict: Identity | Deny | None = None,
        beside_jwt: bool = False,
        mode: Any = "enforce",
        **options: Any,
    ) -> None:
        self.sessions = Sessions(answer)
        self.tokens = Tokens(verdict or identity(subject="alice"))
        given: Any = None
        services = Services(given, self.tokens, lambda: 0.0, given, sessions=self.sessions)
        self.policy = Session(SessionConfig(**{"provider": "acme", **options}), services)
        attached = [Attached(self.policy, "session", mode)]
        if beside_jwt:
            attached.insert(0, Attached(Jwt(JwtConfig(providers=("acme",)), services), "jwt"))
        self.reported: list[str] = []
        self.chain = compile_chain(attached, lambda name, call, deny: self.reported.append(name))

    def run(self, call: Call) -> Decision:
        return asyncio.run(self.chain.run(call))

    def code(self, call: Call) -> str:
        decision = self.run(call)
        assert isinstance(decision, Deny), decision
        return decision.code


@pytest.fixture
def visit(make_call: MakeCall) -> MakeCall:
    """A call over HTTPS with the session's cookie, and further lines."""

    def make(*fields: tuple[bytes, bytes], cookie: Any = COOKIE, **request: Any) -> Call:
        lines = [(b"host", b"api.example"), *([cookie] if cookie else []), *fields]
        return make_call(fields=lines, **{"secure": True, **request})

    return make


def test_the_token_behind_the_cookie_is_verified(visit: MakeCall) -> None:
    route = Route()
    call = visit()
    assert route.run(call) is PASS
    assert call.identity is not None
    assert call.identity.subject == "alice"
    assert route.sessions.asked == ("acme", b"abc")
    assert route.tokens.asked == [(("acme",), b"the.access.token", call.now)]
    assert call.token == b"the.access.token"
    assert call.upstream_fields == []


def test_P2_the_token_goes_upstream_only_where_the_route_says_so(visit: MakeCall) -> None:
    route = Route(forward_token=True)
    call = visit()
    assert route.run(call) is PASS
    assert call.upstream_fields == [(b"authorization", b"Bearer the.access.token")]
    assert route.policy.writes == route.policy.drops == {b"authorization"}
    assert Route().policy.writes == frozenset()


@pytest.mark.parametrize(
    ("verdict", "code", "status"),
    [
        (Deny("token_expired", "Gone."), "session_invalid", 401),
        (Deny("token_revoked", "Gone."), "session_invalid", 401),
        (Deny("token_issuer", "Off."), "session_invalid", 401),
        (Deny("provider_unavailable", "Later."), "provider_unavailable", 503),
    ],
)
def test_a_token_that_is_refused_is_no_session(
    visit: MakeCall, verdict: Deny, code: str, status: int
) -> None:
    decision = Route(verdict=verdict).run(visit())
    assert isinstance(decision, Deny)
    assert (decision.code, decision.refusal.status) == (code, status)


@pytest.mark.parametrize("bound", [{"jkt": "x"}, {"x5t#S256": "x"}, {}])
def test_D4_a_bound_token_is_not_borne_for_anybody(visit: MakeCall, bound: Any) -> None:
    route = Route(verdict=identity(claims={"cnf": bound}), forward_token=True)
    call = visit()
    assert route.code(call) == "session_invalid"
    assert call.upstream_fields == []


def test_J13_scopes_are_required(visit: MakeCall) -> None:
    assert Route(scopes=("read",)).run(visit()) is PASS
    assert Route(scopes=("read", "write")).code(visit(*PAGE)) == "insufficient_scope"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (StateUnavailable("down"), "state_unavailable"),
        (Deny("provider_unavailable", "Later."), "provider_unavailable"),
    ],
)
def test_F2_what_is_down_is_a_503_and_never_a_way_round(
    visit: MakeCall, answer: Any, code: str
) -> None:
    """A redirect to sign-in would come back, and round again."""
    decision = Route(answer, redirect=True).run(visit(*PAGE))
    assert isinstance(decision, Deny)
    assert (decision.code, decision.refusal.status) == (code, 503)


@pytest.mark.parametrize("cookie", [COOKIE, None])
def test_a_page_is_led_to_the_sign_in(visit: MakeCall, cookie: Any) -> None:
    route = Route(Deny("session_invalid", "Over."), redirect=True)
    call = visit(*PAGE, cookie=cookie, path="/a%2Fb", query=b"q=1&r=%20")
    decision = route.run(call)
    assert isinstance(decision, Answer)
    assert decision.status == 302
    fields = dict(decision.fields)
    assert fields[b"location"] == b"/auth/acme/login?next=/a%252Fb%3Fq%3D1%26r%3D%2520"
    assert fields[b"cache-control"] == b"no-store"


NO_PAGES = {
    "post": ({"method": "POST"}, [*PAGE, SAME]),
    "script": ({}, [(b"sec-fetch-mode", b"cors"), (b"accept", b"text/html")]),
    "frame": ({}, [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")]),
    "client": ({}, [(b"accept", b"application/json")]),
    "silent": ({}, []),
}


@pytest.mark.parametrize("name", NO_PAGES)
def test_everybody_else_is_refused(visit: MakeCall, name: str) -> None:
    request, fields = NO_PAGES[name]
    route = Route(Deny("session_invalid", "Over."), redirect=True)
    assert route.code(visit(*fields, **request)) == "session_invalid"
    assert route.code(visit(*fields, cookie=None, **request)) == "credentials_missing"


def test_an_old_browser_is_known_by_what_it_accepts(visit: MakeCall) -> None:
    route = Route(redirect=True)
    accept = (b"accept", b"text/html,application/xhtml+xml;q=0.9")
    assert isinstance(route.run(visit(accept, cookie=None)), Answer)


def test_without_redirect_a_page_is_refused(visit: MakeCall) -> None:
    assert Route().code(visit(*PAGE, cookie=None)) == "credentials_missing"


def test_beside_jwt_each_credential_is_itself(visit: MakeCall) -> None:
    route = Route(beside_jwt=True, redirect=True)
    bearer = (b"authorization", b"Bearer a.b.c")
    assert route.run(visit(bearer, cookie=None)) is PASS
    assert route.run(visit()) is PASS
    assert route.code(visit(bearer)) == "credentials_ambiguous"
    assert isinstance(route.run(visit(*PAGE, cookie=None)), Answer)
    # A refused token is refused, also to a browser: it did not come with a session.
    refusing = Route(verdict=Deny("token_expired", "Gone."), beside_jwt=True, redirect=True)
    assert refusing.code(visit(bearer, *PAGE, cookie=None)) == "token_expired"


def test_in_report_mode_nobody_is_redirected_and_it_is_counted(visit: MakeCall) -> None:
    services: Any = Services(None, Tokens(identity()), lambda: 0.0, None, sessions=Sessions())  # type: ignore[arg-type]
    watched = Session(SessionConfig(provider="acme", redirect=True), services)
    jwt = Jwt(JwtConfig(providers=("acme",)), services)
    reported: list[str] = []
    chain = compile_chain(
        [Attached(jwt, "jwt"), Attached(watched, "session", "report")],
        lambda name, call, deny: reported.append(f"{name} {deny.code}"),
    )
    call = visit((b"authorization", b"Bearer a.b.c"), *PAGE, cookie=None)
    assert asyncio.run(chain.run(call)) is PASS
    assert reported == ["session credentials_missing"]
    assert call.identity is not None


CROSS = {
    "cross-site": [(b"sec-fetch-site", b"cross-site")],
    "same-site": [(b"sec-fetch-site", b"same-site")],
    "twice": [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")],
    "site-before-origin": [
        (b"sec-fetch-site", b"cross-site"),
        (b"origin", b"https://api.example"),
    ],
    "origin": [(b"origin", b"https://evil.example")],
    "null": [(b"origin", b"null")],
    "scheme": [(b"origin", b"http://api.example")],
    "port": [(b"origin", b"https://api.example:444")],
    "prefix": [(b"origin", b"https://api.example.evil.example")],
    "silent": [],
}


@pytest.mark.parametrize("name", CROSS)
@pytest.mark.parametrize(
    "request_of", [{"method": "POST"}, {"method": "DELETE"}, {"upgrade": True}]
)
def test_D6_a_change_needs_proof_of_its_origin(
    visit: MakeCall, name: str, request_of: dict[str, Any]
) -> None:
    route = Route(redirect=True)
    assert route.code(visit(*CROSS[name], *PAGE, **request_of)) == "session_invalid"
    assert route.sessions.asked is None


@pytest.mark.parametrize(
    "said", [SAME, (b"sec-fetch-site", b"none"), (b"origin", b"https://api.example")]
)
def test_D6_a_page_of_this_origin_may_change_something(visit: MakeCall, said: Any) -> None:
    assert Route().run(visit(said, method="POST")) is PASS


def test_a_page_of_another_site_may_link_here(visit: MakeCall) -> None:
    assert Route().run(visit((b"sec-fetch-site", b"cross-site"))) is PASS


LOOPBACK = (b"cookie", b"gatehouse_session=abc")


@pytest.mark.parametrize(
    ("request_of", "cookie", "found"),
    [
        ({"secure": True}, LOOPBACK, False),
        ({"secure": False}, LOOPBACK, False),
        ({"secure": False, "host": "localhost"}, LOOPBACK, True),
        ({"secure": False, "host": "127.0.0.1"}, LOOPBACK, True),
        ({"secure": True, "host": "localhost"}, LOOPBACK, False),
        ({"secure": False}, COOKIE, True),  # TLS ended before the gateway
    ],
)
def test_the_plain_cookie_is_believed_on_loopback_only(
    visit: MakeCall, request_of: dict[str, Any], cookie: Any, found: bool
) -> None:
    decision = Route().run(visit(cookie=cookie, **request_of))
    assert (decision is PASS) is found


def test_two_session_cookies_are_none(visit: MakeCall) -> None:
    cookie = (b"cookie", b"__Host-gatehouse_session=a; __Host-gatehouse_session=b")
    assert Route(redirect=True).code(visit(*PAGE, cookie=cookie)) == "credentials_ambiguous"


def test_a_provider_without_sign_in_is_refused_when_it_is_built() -> None:
    services: Any = Services(None, Tokens(identity()), lambda: 0.0, None, sessions=Sessions())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not registered"):
        Session(SessionConfig(provider="nobody"), services)
    with pytest.raises(ValueError, match="no client"):
        Session(SessionConfig(provider="off"), services)


@pytest.mark.parametrize("options", [{}, {"provider": ""}, {"provider": "A B"}, {"unheard": 1}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionConfig(**options)
