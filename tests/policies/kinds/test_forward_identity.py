"""``forward_identity``: what the upstream is told, and what it can never be told."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.values import ANONYMOUS, PASS, Deny, Identity
from policies.kinds.forward_identity import ForwardIdentity, ForwardIdentityConfig
from tests.policies.unfit import UNFIT

ALICE = Identity(
    kind="jwt",
    subject="alice",
    issuer="https://op",
    client="web",
    scopes=frozenset({"write", "read"}),
    claims={
        "sub": "alice",
        "email": "a@example.org",
        "admin": True,
        "age": 7,
        "groups": ["a", "b"],
    },
)


def policy(headers: dict[str, str] | None = None, **options: Any) -> ForwardIdentity:
    given_headers = {} if headers is None else {"headers": headers}
    return ForwardIdentity(ForwardIdentityConfig(**given_headers, **options), None)


def told(call: Any, **headers: str) -> Any:
    """The lines for the upstream, or the refusal."""
    names = {name.replace("_", "-"): claim for name, claim in headers.items()}
    decision = policy(names).check(call)
    return call.upstream_fields if decision is PASS else decision


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", b"alice"),
        ("subject", b"alice"),
        ("iss", b"https://op"),
        ("issuer", b"https://op"),
        ("client", b"web"),
        ("scopes", b"read write"),
        ("email", b"a@example.org"),
        ("admin", b"true"),
        ("age", b"7"),
        ("groups", b'["a","b"]'),
    ],
)
def test_the_upstream_is_told_the_claim(make_call: Any, claim: str, value: bytes) -> None:
    assert told(make_call(identity=ALICE), X_Value=claim) == [(b"x-value", value)]


def test_by_default_the_subject_is_told_and_authorization_is_stripped(make_call: Any) -> None:
    call = make_call(identity=ALICE)
    assert policy().check(call) is PASS
    assert call.upstream_fields == [(b"x-subject", b"alice")]
    assert policy().passes == frozenset()
    assert policy().describe(call) == "the upstream is told x-subject"


def test_P14_authorization_passes_only_where_the_route_says_so() -> None:
    assert policy(authorization="pass").passes == {b"authorization"}


@pytest.mark.parametrize("identity", [None, ANONYMOUS, replace(ALICE, claims={"team": None})])
def test_P2_a_claim_that_is_absent_makes_no_line_but_keeps_its_name_reserved(
    make_call: Any, identity: Identity | None
) -> None:
    teller = policy({"X-Team": "team", "X-Mail": "email"})
    call = make_call(identity=identity)
    assert teller.check(call) is PASS
    assert call.upstream_fields == []
    assert teller.sets == {b"x-team", b"x-mail"}
    assert teller.describe(call) == "nothing to tell the upstream"


@pytest.mark.parametrize("value", [*UNFIT, ["x" * 4096]])
def test_P13_a_value_that_cannot_stand_in_a_line_is_refused_and_not_repeated(
    make_call: Any, value: Any
) -> None:
    call = make_call(identity=replace(ALICE, claims={"team": value}))
    refused = told(call, X_Team="team")
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("claim_refused", 403)
    assert call.upstream_fields == []
    assert str(value) not in refused.detail


@given(st.one_of(st.text(), st.recursive(st.integers() | st.text() | st.none(), st.lists)))
def test_P13_every_line_is_printable_ascii(value: Any) -> None:
    from policies.core.values import Call, Headers, Request

    request = Request("GET", "h", "/", None, Headers([]), "192.0.2.1")
    call = Call(request, "r", 0.0, replace(ALICE, claims={"team": value}))
    policy({"X-Team": "team"}).check(call)
    for _, line in call.upstream_fields:
        assert all(0x20 <= byte < 0x7F for byte in line)
        assert line == line.strip()
        assert line


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("X_Subject", "letters, digits and hyphens"),
        ("X Subject", "letters, digits and hyphens"),
        ("X-Subject:", "letters, digits and hyphens"),
        ("", "letters, digits and hyphens"),
        ("Authorization", "a meaning of its own"),
        ("host", "a meaning of its own"),
        ("Content-Length", "a meaning of its own"),
        ("X-Forwarded-For", "a meaning of its own"),
        ("X-Request-Id", "a meaning of its own"),
        ("Proxy-Authorization", "a meaning of its own"),
    ],
)
def test_names_that_mean_something_else_are_refused(name: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ForwardIdentityConfig(headers={name: "sub"})


def test_one_name_in_two_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        policy({"X-Subject": "sub", "x-subject": "email"})
