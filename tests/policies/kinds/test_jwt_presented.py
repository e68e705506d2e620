"""``jwt``: how a token is presented (RFC 6750 2, RFC 9110 11)."""

import pytest

from policies.core.policy import IdentityPolicy
from policies.core.values import Headers, Identity
from tests.policies.kinds.jwt_route import TOKEN, Make, MakeCall, challenge


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_B3_the_scheme_is_case_insensitive(route: Make, bearing: MakeCall, scheme: bytes) -> None:
    assert route().token(bearing(scheme + b" " + TOKEN)) == TOKEN


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer", b""),
        (b"Bearer ", b""),
        (b"Bearer  " + TOKEN, b" " + TOKEN),
        (b"Bearer " + TOKEN + b" ", TOKEN + b" "),
        (b"Bearer " + TOKEN + b", Bearer x", TOKEN + b", Bearer x"),
        (b"Bearer\t" + TOKEN, b""),
        (b"Bearer," + TOKEN, b""),
        (b"Bearer=" + TOKEN, b""),
        (b"Bearer\x00" + TOKEN, b""),
        (b'Bearer "' + TOKEN + b'"', b'"' + TOKEN + b'"'),
        (b"Bearer " + TOKEN + b"\x0b", TOKEN + b"\x0b"),
    ],
)
def test_B3_anything_but_scheme_space_token_reaches_the_verifier_malformed(
    route: Make, bearing: MakeCall, value: bytes, token: bytes
) -> None:
    """It is presented, so it is an invalid token (401) and not a missing one."""
    assert route().token(bearing(value)) == token
    assert token != TOKEN


@pytest.mark.parametrize(
    "value", [b"", b"Basic dTpw", b"Bearerx " + TOKEN, b"Bear " + TOKEN, b"DPoPx " + TOKEN, TOKEN]
)
def test_B3_another_scheme_is_no_token(route: Make, bearing: MakeCall, value: bytes) -> None:
    one = route()
    assert one.refusal(bearing(value)).code == "credentials_missing"
    assert one.tokens.asked == []


def test_B2_two_authorization_headers_are_ambiguous(route: Make, bearing: MakeCall) -> None:
    one = route()
    for second in (b"Bearer " + TOKEN, b"Bearer x", b"Basic dTpw", b""):
        deny = one.refusal(bearing(b"Bearer " + TOKEN, second))
        assert (deny.code, deny.refusal.status) == ("credentials_ambiguous", 400)
        assert challenge(deny) == b'Bearer realm="gatehouse", error="invalid_request"'
    assert one.tokens.asked == []


@pytest.mark.parametrize(
    "query",
    [
        b"access_token=" + TOKEN,
        b"a=1&access_token=x",
        b"a=1;access_token=x",
        b"access_token",
        b"access%5Ftoken=x",
        b"%61ccess_token=x",
        b"%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x",
    ],
)
def test_B2_a_token_in_the_query_is_never_accepted(
    route: Make, bearing: MakeCall, make_call: MakeCall, query: bytes
) -> None:
    one = route(cookie="session")
    assert one.refusal(make_call(query=query)).code == "credentials_missing"
    assert one.refusal(bearing(b"Bearer " + TOKEN, query=query)).code == "credentials_ambiguous"
    in_cookie = make_call(fields=[(b"cookie", b"session=" + TOKEN)], query=query)
    assert one.refusal(in_cookie).code == "credentials_ambiguous"
    assert one.tokens.asked == []


@pytest.mark.parametrize(
    "query", [b"", b"a=access_token", b"access_tokens=x", b"Access_Token=x", b"x=%41", b"%zz"]
)
def test_B2_other_parameters_are_none_of_our_business(
    route: Make, bearing: MakeCall, query: bytes
) -> None:
    assert isinstance(route().run(bearing(b"Bearer " + TOKEN, query=query)), Identity)


def test_a_cookie_may_carry_the_token_where_the_route_says_so(
    route: Make, make_call: MakeCall
) -> None:
    call = make_call(fields=[(b"cookie", b"a=b; session=" + TOKEN + b"; c=d")])
    assert route(cookie="session").token(call) == TOKEN
    assert route().refusal(call).code == "credentials_missing"
    assert route(cookie="SESSION").refusal(call).code == "credentials_missing"
    assert route(cookie="a").token(call) == b"b"


@pytest.mark.parametrize(
    "lines",
    [
        [b"session=x; session=x"],
        [b"session=x", b"session=y"],
        [b"session=; session=x"],
    ],
)
def test_B2_two_cookies_of_the_name_are_ambiguous(
    route: Make, make_call: MakeCall, lines: list[bytes]
) -> None:
    call = make_call(fields=[(b"cookie", line) for line in lines])
    assert route(cookie="session").refusal(call).code == "credentials_ambiguous"


def test_B2_header_and_cookie_are_ambiguous(route: Make, make_call: MakeCall) -> None:
    fields = [(b"authorization", b"Bearer " + TOKEN), (b"cookie", b"session=" + TOKEN)]
    assert route(cookie="session").refusal(make_call(fields=fields)).code == "credentials_ambiguous"
    basic = [(b"authorization", b"Basic dTpw"), (b"cookie", b"session=" + TOKEN)]
    assert route(cookie="session").token(make_call(fields=basic)) == TOKEN
    assert isinstance(route().run(make_call(fields=fields)), Identity)  # an unrelated cookie


def test_another_header_and_another_scheme(route: Make, make_call: MakeCall) -> None:
    one = route(header="X-Token", scheme="Token")
    assert one.token(make_call(fields=[(b"x-token", b"token " + TOKEN)])) == TOKEN
    bare = route(header="X-Token", scheme="")
    assert bare.token(make_call(fields=[(b"x-token", TOKEN)])) == TOKEN
    assert bare.refusal(make_call(fields=[(b"x-token", b"")])).code == "credentials_missing"
    elsewhere = make_call(fields=[(b"authorization", b"Bearer " + TOKEN)])
    assert bare.refusal(elsewhere).code == "credentials_missing"


def test_P14_what_carries_the_token_is_not_forwarded(route: Make) -> None:
    policy = route(header="X-Token", cookie="session").policy
    assert isinstance(policy, IdentityPolicy)
    assert (policy.consumes, policy.cookies) == ({b"x-token", b"dpop"}, {"session"})
    plain = route().policy
    assert (plain.consumes, plain.cookies) == ({b"authorization", b"dpop"}, frozenset())


def test_headers_are_looked_at_as_lines(route: Make, make_call: MakeCall) -> None:
    """A name that stands twice elsewhere is no matter."""
    fields = [(b"authorization", b"Bearer " + TOKEN), (b"accept", b"a"), (b"accept", b"b")]
    call = make_call(fields=fields)
    assert isinstance(call.request.headers, Headers)
    assert route().token(call) == TOKEN
