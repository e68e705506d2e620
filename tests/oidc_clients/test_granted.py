"""Tokens that providers grant for upstreams: which are used, how long, and what names them."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.granted import DEFAULT_LIFE, MAX_LIFE, Granted, NotUsable, state_name

NOW = 1_800_000_000.0


def granted(**members: Any) -> Granted:
    usual = {"access_token": "abc.def", "token_type": "Bearer", "expires_in": 600}
    content = {k: v for k, v in (usual | members).items() if v is not ...}
    return Granted.of(content, NOW)


def test_a_token_is_renewed_and_given_up_before_it_ends() -> None:
    token = granted()
    assert token.value == b"Bearer abc.def"
    assert NOW + 400 < token.renew_at < token.ends_at < NOW + 600


@pytest.mark.parametrize(
    ("expires_in", "most"),
    [(..., DEFAULT_LIFE), (10**12, MAX_LIFE), ("3600", 3600), (1, 1), (0.5, 0.5)],
)
def test_a_life_is_bounded(expires_in: Any, most: float) -> None:
    life = granted(expires_in=expires_in).life
    assert 0.9 * most <= life < most


@pytest.mark.parametrize("expires_in", [0, -1, "soon", None, True, [1], "-5", "٣"])
def test_a_life_that_is_none_is_not_used(expires_in: Any) -> None:
    with pytest.raises(NotUsable):
        granted(expires_in=expires_in)


@pytest.mark.parametrize("kind", [..., None, "N_A", "DPoP", "mac", ["Bearer"]])
def test_only_bearer_tokens_are_used(kind: Any) -> None:
    with pytest.raises(NotUsable):
        granted(token_type=kind)
    assert granted(token_type="bearer").value


@pytest.mark.parametrize("token", ["a\r\nX: y", "a b", "a,b", "é", "=", "a" * 9000, "a\n"])
def test_P13_a_token_that_cannot_stand_in_a_line_is_not_used(token: str) -> None:
    with pytest.raises(NotUsable) as caught:
        granted(access_token=token)
    assert token not in str(caught.value)


def test_what_is_handed_on_comes_back_and_shows_nothing() -> None:
    token = granted(access_token="canary")
    assert Granted.decode(token.encode()) == token
    assert "canary" not in repr(token)


def test_D3_no_two_wanted_tokens_have_one_name() -> None:
    """CVE-2026-71326: delimiters inside a part do not shift the parts."""
    wanted = [
        ("a", ("b", "c"), ()),
        ("a", ("b c",), ()),
        ("a", ("b,c",), ()),
        ("a", ("b",), ("c",)),
        ("a", (), ("b", "c")),
        ('a","b', ("c",), ()),
        ("a:b", ("c",), ()),
        ("a", ("b:c",), ()),
        ("a", ("",), ()),
        ("a", (), ()),
        ("a", None, ()),
        ("a", "None", ()),
    ]
    for one, other in combinations(wanted, 2):
        assert state_name(*one) != state_name(*other), (one, other)


parts = st.recursive(st.text() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(parts, parts)
def test_D3_names_are_equal_only_for_equal_parts(one: Any, other: Any) -> None:
    assert (state_name(one) == state_name(other)) == (one == other)
