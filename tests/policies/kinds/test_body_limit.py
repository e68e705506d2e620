"""``body_limit``: by declared length from the head, by counting where none is declared."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import PASS, Deny
from policies.kinds.body_limit import BodyLimit, BodyLimitConfig


@pytest.fixture
def policy(make_services: Any) -> BodyLimit:
    return BodyLimit(BodyLimitConfig(max_bytes=100), make_services())


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_declared_length_within_the_limit_passes_unwatched(
    policy: BodyLimit, make_call: Any, length: int
) -> None:
    call = make_call(body_length=length)
    assert policy.check(call) is PASS
    assert policy.watch(call) is None
    assert policy.describe(call) == f"{length} of at most 100 bytes"


def test_P8_a_larger_declared_length_is_refused_from_the_head(
    policy: BodyLimit, make_call: Any
) -> None:
    refused = policy.check(make_call(body_length=101))
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("body_too_large", 413)
    assert policy.phase is Phase.ADMIT


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_a_body_of_unknown_length_is_refused_at_the_first_byte_too_many(
    chunks: list[bytes],
) -> None:
    watch = BodyLimit(BodyLimitConfig(max_bytes=100), None).watch(_unknown())
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        refused = watch.feed(chunk)
        assert (refused is not None) == (seen > 100)
        if refused is not None:
            assert refused.code == "body_too_large"
            return
    assert watch.end() is None


def _unknown() -> Any:
    from policies.core.values import Call, Headers, Request

    request = Request("POST", "h", "/", None, Headers([]), "192.0.2.1", body_length=None)
    return Call(request, "r", 0.0)


def test_a_body_of_unknown_length_passes_the_head(policy: BodyLimit, make_call: Any) -> None:
    call = make_call(body_length=None)
    assert policy.check(call) is PASS
    assert "unknown length" in policy.describe(call)


def test_two_bodies_are_counted_apart(policy: BodyLimit, make_call: Any) -> None:
    one, two = (policy.watch(make_call(body_length=None)) for _ in range(2))
    assert one.feed(b"x" * 100) is None
    assert two.feed(b"x" * 100) is None


def test_the_default_is_one_mebibyte_and_sizes_are_bounded() -> None:
    assert BodyLimitConfig().max_bytes == 1024 * 1024
    for size in (-1, 2**40 + 1, "1 MB"):
        with pytest.raises(ValidationError):
            BodyLimitConfig(max_bytes=size)
