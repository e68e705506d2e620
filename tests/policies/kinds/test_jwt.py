"""``jwt``: what a route asks of a token beyond being genuine, and how it refuses."""

from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.config import problems_of
from policies.core.values import Deny, Identity
from policies.kinds.jwt import JwtConfig
from tests.policies.kinds.jwt_route import TOKEN, Make, MakeCall, challenge, identity


def test_B1_a_genuine_token_is_the_callers_identity(route: Make, bearing: MakeCall) -> None:
    one = route(providers=("acme", "off"))
    call = bearing(b"Bearer " + TOKEN)
    assert one.run(call) is one.tokens.verdict
    assert one.tokens.asked == [(("acme", "off"), TOKEN, call.now)]


def test_B1_without_credentials_the_challenge_names_no_error(
    route: Make, make_call: MakeCall
) -> None:
    deny = route().refusal(make_call())
    assert (deny.code, deny.refusal.status) == ("credentials_missing", 401)
    assert challenge(deny) == b'Bearer realm="gatehouse"'


@pytest.mark.parametrize(
    "code", ["token_malformed", "token_signature", "token_expired", "key_unknown", "token_issuer"]
)
def test_B1_a_token_that_is_refused_is_invalid(route: Make, bearing: MakeCall, code: str) -> None:
    deny = route(Deny(code, "Our own words.")).refusal(bearing(b"Bearer " + TOKEN))
    assert (deny.code, deny.detail, deny.refusal.status) == (code, "Our own words.", 401)
    assert challenge(deny) == (
        b'Bearer realm="gatehouse", error="invalid_token", error_description="Our own words."'
    )


def test_B1_a_provider_that_cannot_answer_is_no_fault_of_the_caller(
    route: Make, bearing: MakeCall
) -> None:
    deny = route(Deny("provider_unavailable", "Later.")).refusal(bearing(b"Bearer " + TOKEN))
    assert deny.refusal.status == 503
    assert deny.fields == ()


def test_B1_missing_scopes_are_named_as_configured(route: Make, bearing: MakeCall) -> None:
    one = route(scopes=("read", "write"), any_scope=("a", "b"))
    deny = one.refusal(bearing(b"Bearer " + TOKEN))
    assert (deny.code, deny.refusal.status) == ("insufficient_scope", 403)
    assert challenge(deny) == (
        b'Bearer realm="gatehouse", error="insufficient_scope", scope="read write a b"'
    )


@pytest.mark.parametrize("hostile", [b'a"b', b"a\\b", b"\xff\x00", b"canary", b"x" * 9000])
def test_B1_nothing_of_the_request_stands_in_the_answer(
    route: Make, bearing: MakeCall, hostile: bytes
) -> None:
    refusing = route(Deny("token_malformed", "Our own words."))
    for deny in (
        refusing.refusal(bearing(b"Bearer " + hostile)),
        refusing.refusal(bearing(b"Bearer " + hostile, b"Bearer " + hostile)),
        refusing.refusal(bearing(b"Basic " + hostile, query=hostile)),
        route(scopes=("write",)).refusal(bearing(b"Bearer " + hostile)),
    ):
        text = deny.detail.encode() + b"".join(value for _, value in deny.fields)
        assert hostile not in text


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"scopes": ("read",)}, True),
        ({"scopes": ("read", "write")}, True),
        ({"scopes": ("read", "delete")}, False),
        ({"scopes": ("rea",)}, False),
        ({"scopes": ("Read",)}, False),
        ({"scopes": ("reader",)}, False),
        ({"any_scope": ("delete", "write")}, True),
        ({"any_scope": ("delete", "admin")}, False),
        ({"any_scope": ("administrator",)}, False),
        ({"scopes": ("read",), "any_scope": ("delete",)}, False),
    ],
)
def test_J13_scopes_are_compared_exactly(
    route: Make, bearing: MakeCall, options: dict[str, Any], passes: bool
) -> None:
    verdict = identity(scopes=frozenset({"read", "write"}))
    found = route(verdict, **options).run(bearing(b"Bearer " + TOKEN))
    assert (found is verdict) == passes
    if isinstance(found, Deny):
        assert found.code == "insufficient_scope"


@pytest.mark.parametrize(
    ("rule", "claims", "passes"),
    [
        ({"tenant": "a"}, {"tenant": "a"}, True),
        ({"tenant": "a"}, {"tenant": "ab"}, False),
        ({"tenant": "a"}, {"tenant": "A"}, False),
        ({"tenant": "a"}, {}, False),
        ({"tenant": "a"}, {"tenant": None}, False),
        ({"tenant": ("a", "b")}, {"tenant": "b"}, True),
        ({"tenant": ("a", "b")}, {"tenant": "c"}, False),
        ({"groups": "admin"}, {"groups": ["x", "admin"]}, True),
        ({"groups": "admin"}, {"groups": ["administrator"]}, False),
        ({"groups": "admin"}, {"groups": [["admin"]]}, False),
        ({"groups": "admin"}, {"groups": {"admin": True}}, False),
        ({"groups": "admin"}, {"groups": "x admin"}, False),
        ({"groups": ("a", "b")}, {"groups": ["c", "b"]}, True),
        ({"mail": "good@evil"}, {"mail": "a@good@evil"}, False),
        ({"level": 1}, {"level": 1}, True),
        ({"level": 1}, {"level": True}, False),
        ({"level": 1}, {"level": "1"}, False),
        ({"level": 1}, {"level": 1.0}, False),
        ({"verified": True}, {"verified": True}, True),
        ({"verified": True}, {"verified": 1}, False),
        ({"verified": True}, {"verified": "true"}, False),
        ({"name": "\u212a"}, {"name": "K"}, False),
        ({"a": "1", "b": "2"}, {"a": "1"}, False),
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, True),
    ],
)
def test_J13_claims_are_compared_exactly(
    route: Make, bearing: MakeCall, rule: dict[str, Any], claims: dict[str, Any], passes: bool
) -> None:
    verdict = identity(claims=claims)
    found = route(verdict, claims=rule).run(bearing(b"Bearer " + TOKEN))
    assert (found is verdict) == passes
    if isinstance(found, Deny):
        assert (found.code, found.refusal.status) == ("claim_refused", 403)


@pytest.mark.parametrize(
    ("audiences", "passes"),
    [
        ((), True),
        (("urn:api",), True),
        (("urn:other", "urn:api"), True),
        (("urn:other",), False),
        (("urn:ap",), False),
    ],
)
def test_J10_a_route_may_narrow_the_audiences(
    route: Make, bearing: MakeCall, audiences: tuple[str, ...], passes: bool
) -> None:
    verdict = identity(audiences=frozenset({"urn:api", "urn:more"}))
    found = route(verdict, audiences=audiences).run(bearing(b"Bearer " + TOKEN))
    assert (found is verdict) == passes
    if isinstance(found, Deny):
        assert found.code == "token_audience"
        assert b'error="invalid_token"' in challenge(found)


@pytest.mark.parametrize(
    ("claims", "passes"),
    [
        ({"iat": 700, "exp": 1000}, True),
        ({"iat": 699.5, "exp": 1000}, False),
        ({"iat": 699, "exp": 1000}, False),
        ({"exp": 1000}, False),
        ({"exp": 200}, False),
    ],
)
def test_J11_a_longest_lifetime(
    route: Make, bearing: MakeCall, claims: dict[str, Any], passes: bool
) -> None:
    verdict = Identity(kind="jwt", subject="u", claims=MappingProxyType(claims))
    found = route(verdict, max_lifetime=300).run(bearing(b"Bearer " + TOKEN))
    assert (found is verdict) == passes
    if isinstance(found, Deny):
        assert found.code == "claim_refused"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"scopes": ("write",)}, "insufficient_scope"),
        ({"any_scope": ("a", "b")}, "insufficient_scope"),
        ({"claims": {"team": "blue"}}, "claim_refused"),
        ({"audiences": ("urn:other",)}, "token_audience"),
        ({"max_lifetime": 299}, "claim_refused"),
        ({"sender_constraint": "required"}, "token_type"),
    ],
)
def test_J13_each_route_judges_a_remembered_token_for_itself(
    route: Make, bearing: MakeCall, options: dict[str, Any], code: str
) -> None:
    one = identity()
    takes, refuses = route(one), route(one, **options)
    for _ in range(2):
        assert takes.run(bearing(b"Bearer " + TOKEN)) is one
        assert refuses.refusal(bearing(b"Bearer " + TOKEN)).code == code


def test_a_provider_that_is_not_registered_breaks_the_route(route: Make) -> None:
    with pytest.raises(ValueError, match="provider 'nobody' is not registered"):
        route(providers=("acme", "nobody"))
    route(providers=("off",))  # switched off: it may stay referenced


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"providers": ()}, "providers"),
        ({"providers": ("",)}, "providers[0]"),
        ({"scopes": ("a b",)}, "scopes[0]"),
        ({"scopes": ('a"',)}, "scopes[0]"),
        ({"any_scope": ("é",)}, "any_scope[0]"),
        ({"claims": {"a": None}}, "claims.a"),
        ({"claims": {"a": 1.5}}, "claims.a"),
        ({"claims": {"a": {"b": 1}}}, "claims.a"),
        ({"claims": {"a": [["b"]]}}, "claims.a"),
        ({"header": ""}, "header"),
        ({"header": "X Token"}, "header"),
        ({"header": "X_Token"}, "header"),
        ({"header": "X-Token\r\n"}, "header"),
        ({"scheme": "Bearer token"}, "scheme"),
        ({"cookie": ""}, "cookie"),
        ({"cookie": "a;b"}, "cookie"),
        ({"max_lifetime": 0}, "max_lifetime"),
        ({"realm": "x"}, "realm"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        JwtConfig(**{"providers": ("acme",)} | options)
    (problem,) = problems_of(caught.value)
    assert problem.path == place
