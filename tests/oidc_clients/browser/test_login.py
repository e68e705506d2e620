"""Where a sign-in may lead, and what its answer must be."""

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.browser.grants import SignIn
from oidc_clients.browser.login import (
    LIFETIME,
    CallbackRefused,
    Logins,
    check_issuer,
    local_target,
    single,
)
from oidc_clients.client_auth import ClientCredentials
from oidc_clients.fetch import Reach
from oidc_clients.metadata import Metadata
from policies.core.state import State
from policies.secrets import Keyring
from tests.oidc_clients.conftest import Clock

ISSUER = "https://id.example.org"
SIGN_IN = SignIn(
    "acme",
    ISSUER,
    ClientCredentials("gw"),
    Reach(),
    scopes=("openid", "read"),
    parameters={"audience": "orders api"},
)


@pytest.mark.parametrize(
    "target",
    ["/", "/orders?a=1&b=%2F", "/a//b", "/a?next=//evil", "/%5Cevil", "/auth/sessions", "/authors"],
)
def test_a_path_of_this_origin_is_kept(target: str) -> None:
    assert local_target(target) == target


@pytest.mark.parametrize(
    "target",
    ["", "orders", "//evil", "///evil", "/\\evil", "/\\/evil", "\\/evil", "/a\\b", "/\tb", "/\nb",
     "/ b", "/b\r\nSet-Cookie: a=b", "http://evil", "javascript:0", "/\x00", "/é", "/\u2028",
     "/auth/acme/login", "/auth/logout", "/auth/sessions?", "/" + "x" * 2000],
)  # fmt: skip
def test_D6_everything_else_leads_to_the_root(target: str) -> None:
    assert local_target(target) == "/"


@given(st.text(alphabet=st.sampled_from("/\\.:@%?#ev\t\n 5c2f"), max_size=12))
def test_D6_no_spelling_leads_to_another_host(text: str) -> None:
    base = "https://gateway.example/auth/acme/callback"
    target = local_target("/" + text)
    # As browsers read it: white space goes, "\" is "/" (WHATWG URL 4.4).
    seen = target.replace("\t", "").replace("\n", "").replace("\\", "/")
    assert urlsplit(urljoin(base, seen)).netloc == "gateway.example"


def test_a_sign_in_is_taken_once_by_its_browser(state: State, clock: Clock, run) -> None:
    logins = Logins(state, Keyring(["one"]))

    async def begin() -> str:
        url = await logins.begin(SIGN_IN, f"{ISSUER}/a?x=1", "https://gw", "/page", "browser-1")
        assert url.startswith(f"{ISSUER}/a?x=1&audience=orders+api&")
        asked = parse_qs(urlsplit(url).query)
        assert asked["scope"] == ["openid read"]
        assert asked["redirect_uri"] == ["https://gw/auth/acme/callback"]
        return asked["state"][0]

    async def play() -> None:
        first = await begin()
        for provider, binding in (("other", "browser-1"), ("acme", "browser-2"), ("acme", "")):
            with pytest.raises(CallbackRefused):
                await logins.take(first, provider, binding)
        begun = await logins.take(first, "acme", "browser-1")
        assert (begun.target, begun.issuer) == ("/page", ISSUER)
        assert begun.redirect_uri == "https://gw/auth/acme/callback"
        assert begun.nonce not in repr(begun)
        assert begun.verifier not in repr(begun)
        second = await begin()
        for spent in (first, "made-up", ""):
            with pytest.raises(CallbackRefused):
                await logins.take(spent, "acme", "browser-1")
        clock.now += LIFETIME + 1
        with pytest.raises(CallbackRefused):
            await logins.take(second, "acme", "browser-1")

    run(play())


def test_the_answers_issuer_is_compared_exactly() -> None:
    silent, named = Metadata(ISSUER), Metadata(ISSUER, issuer_in_response=True)
    check_issuer("", SIGN_IN, silent)
    check_issuer(ISSUER, SIGN_IN, silent)
    check_issuer(ISSUER, SIGN_IN, named)
    for given_issuer, metadata in (
        ("", named),
        (ISSUER + "/", silent),
        ("https://elsewhere", silent),
        (ISSUER.upper(), named),
    ):
        with pytest.raises(CallbackRefused):
            check_issuer(given_issuer, SIGN_IN, metadata)


def test_a_parameter_stands_once() -> None:
    assert single({"a": ["1"]}, "a") == "1"
    assert single({}, "a") == ""
    for values in (["1", "1"], ["x" * 5000]):
        with pytest.raises(CallbackRefused):
            single({"a": values}, "a")
