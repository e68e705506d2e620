"""The values that policies see: what they refuse to be, and what cannot collide."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.core.errors import REFUSALS
from policies.core.values import ANONYMOUS, PASS, Answer, Call, Deny, Headers, Identity, Pass

lines = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"ab"]), st.binary(max_size=3)))


@given(lines)
def test_headers_keep_every_line_in_order(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(fields)
    assert headers.fields == fields
    names = [name for name, _ in fields]
    for name in (b"a", b"b", b"ab", b"absent"):
        values = [value for key, value in fields if key == name]
        assert headers.all(name) == values
        assert headers.get(name) == (values[0] if values else None)
        assert (name in headers) == bool(values)
    assert headers.repeats == (len(names) != len(set(names)))


parts = st.text(max_size=4)


@given(parts, parts, parts, parts, parts, parts)
def test_J14_two_identities_have_one_key_only_if_they_are_one(
    kind: str, issuer: str, subject: str, kind2: str, issuer2: str, subject2: str
) -> None:
    one = Identity(kind=kind, issuer=issuer, subject=subject)
    two = Identity(kind=kind2, issuer=issuer2, subject=subject2)
    assert (one.key == two.key) == ((kind, issuer, subject) == (kind2, issuer2, subject2))


def test_J14_delimiters_in_credentials_do_not_collide() -> None:
    assert Identity("jwt", "1:b", issuer="a").key != Identity("jwt", "b", issuer="a1:").key


def test_A7_claims_stay_out_of_what_is_logged() -> None:
    identity = Identity(kind="jwt", subject="s", claims={"email": "canary@example.org"})
    assert "canary" not in repr(identity)


@pytest.mark.parametrize("value", [ANONYMOUS, Deny("misconfigured", ""), Answer(204), PASS])
def test_values_cannot_be_changed(value: Any) -> None:
    for name in [field.name for field in dataclasses.fields(value)] or ["anything"]:
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            setattr(value, name, "changed")
    with pytest.raises(TypeError):
        ANONYMOUS.claims["admin"] = True  # type: ignore[index]


def test_a_refusal_needs_a_known_code() -> None:
    with pytest.raises(ValueError, match="unknown refusal code 'nope'"):
        Deny("nope", "")
    for code, refusal in REFUSALS.items():
        assert Deny(code, "").refusal is refusal


def test_calls_do_not_share_their_lines(make_call: Any) -> None:
    one: Call = make_call()
    two: Call = make_call()
    one.upstream_fields.append((b"x-subject", b"alice"))
    one.response_fields.append((b"ratelimit", b""))
    assert (two.upstream_fields, two.response_fields) == ([], [])


def test_nobody_is_anonymous_by_default(make_call: Any) -> None:
    assert make_call().identity is None
    assert (ANONYMOUS.kind, ANONYMOUS.subject, ANONYMOUS.scopes) == ("public", "", frozenset())
    assert isinstance(PASS, Pass)
