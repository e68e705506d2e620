"""Templates: what they say of a call, and what no value can ever do to a line."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.core.values import ANONYMOUS, Call, Headers, Identity, Request
from policies.http.templates import Template
from tests.policies.unfit import UNFIT

ALICE = Identity(
    kind="jwt",
    subject="alice",
    issuer="https://op",
    provider="acme",
    client="web",
    scopes=frozenset({"write", "read"}),
    claims={"email": "a@example.org", "age": 7, "groups": ["a"], "client": "as claimed"},
)


def call(identity: Identity | None = ALICE, *fields: tuple[bytes, bytes], **request: Any) -> Call:
    members: dict[str, Any] = {
        "method": "GET",
        "host": "api.example",
        "path": "/items/7",
        "query": b"a=1",
        "headers": Headers(list(fields)),
        "client": "192.0.2.7",
        "secure": True,
        "id": "abc",
        **request,
    }
    return Call(Request(**members), "orders GET /items/{id}", 0.0, identity)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fixed", b"fixed"),
        ("{{literal}}", b"{literal}"),
        ("{identity.subject}", b"alice"),
        ("{identity.issuer}", b"https://op"),
        ("{identity.client}", b"web"),
        ("{identity.scopes}", b"read write"),
        ("{identity.kind}", b"jwt"),
        ("{identity.provider}", b"acme"),
        ("{identity.claims.email}", b"a@example.org"),
        ("{identity.claims.age}", b"7"),
        ("{identity.claims.groups}", b'["a"]'),
        ("{identity.claims.client}", b"as claimed"),
        ("{request.id}", b"abc"),
        ("{request.method} {request.scheme}://{request.host}", b"GET https://api.example"),
        ("{request.path}?{request.query}", b"/items/7?a=1"),
        ("{request.client}", b"192.0.2.7"),
        ("{request.route}", b"orders GET /items/{id}"),
        ("v={request.headers.X-Version}; of {identity.subject}", b"v=2; of alice"),
    ],
)
def test_a_value(text: str, value: bytes) -> None:
    assert Template(text).value(call(ALICE, (b"x-version", b"2"))) == value


def test_lines_of_one_name_are_joined() -> None:
    twice = call(None, (b"x-a", b"1"), (b"x-b", b"0"), (b"x-a", b"2"))
    assert Template("{request.headers.x-a}").value(twice) == b"1, 2"


@pytest.mark.parametrize(
    "text",
    [
        "{identity.subject}",
        "by {identity.client}",
        "{identity.claims.email}",
        "{request.headers.x-absent}",
        "{request.query}",
        "{request.client}",
        "{request.id}",
    ],
)
@pytest.mark.parametrize("identity", [None, ANONYMOUS])
def test_a_value_that_lacks_a_part_is_none(text: str, identity: Identity | None) -> None:
    assert Template(text).value(call(identity, query=None, client="", id="")) is None


@pytest.mark.parametrize("value", [*UNFIT, {"a": "x" * 4096}])
def test_P13_a_value_that_cannot_stand_in_a_line_is_none(value: Any) -> None:
    odd = replace(ALICE, claims={"team": value})
    assert Template("{identity.claims.team}").value(call(odd)) is None


@given(
    st.one_of(st.text(), st.recursive(st.integers() | st.text() | st.none(), st.lists)),
    st.binary(max_size=40),
)
def test_P13_no_value_breaks_a_line(claim: Any, header: bytes) -> None:
    odd = call(replace(ALICE, claims={"team": claim}), (b"x-a", header))
    for text in ("{identity.claims.team}", "{request.headers.x-a}", "a {request.headers.x-a} b"):
        value = Template(text).value(odd)
        if value is not None:
            assert all(0x20 <= byte < 0x7F for byte in value)
            assert value == value.strip()
            assert value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must not be empty"),
        (" a", "without blanks"),
        ("a ", "without blanks"),
        ("a\r\nb", "printable ASCII"),
        ("a\nb{request.id}", "printable ASCII"),
        ("tab\t", "printable ASCII"),
        ("ü", "printable ASCII"),
        ("x" * 4097, "at most 4096"),
        ("{", "single brace"),
        ("a } b", "single brace"),
        ("{}", "known are"),
        ("{identity}", "known are"),
        ("{identity.claims.}", "known are"),
        ("{identity.password}", "known are"),
        ("{request.headers.}", "letters, digits and hyphens"),
        ("{request.headers.x_y}", "letters, digits and hyphens"),
        ("{request.headers.Authorization}", "not passed on"),
        ("{request.headers.cookie}", "not passed on"),
        ("{request.headers.X-Forwarded-For}", "not passed on"),
        ("{request.headers.x-real-ip}", "not passed on"),
        ("{request.headers.connection}", "not passed on"),
        ("{request.__class__}", "known are"),
        ("{0}", "known are"),
    ],
)
def test_P2_what_is_no_template_is_refused_when_it_is_made(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Template(text)


def test_a_template_says_whether_it_tells_who_calls() -> None:
    assert Template("{identity.subject}").tells_identity
    assert Template("a {identity.claims.b}").tells_identity
    assert not Template("{request.client}").tells_identity
    assert not Template("{{identity.subject}}").tells_identity
