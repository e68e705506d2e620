"""Key sets on their way from worker to worker."""

from dataclasses import replace

import pytest

from oidc_clients.provider import ProviderSpec
from oidc_clients.published import Published, Source

SPEC = ProviderSpec("acme", "https://op.example", frozenset({"urn:api"}), frozenset({"RS256"}))
DOCUMENT = {"keys": [{"kid": "é"}]}


def test_a_set_is_read_as_it_was_written_if_it_is_newer() -> None:
    published = Published(DOCUMENT, 1_800_000_000.123456, 3600.0)
    assert Published.decode(published.encode(), 1_800_000_000.0) == published
    assert Published.decode(published.encode(), 1_800_000_000.123456) is None
    assert Published.decode(published.encode(), 1_900_000_000.0) is None


@pytest.mark.parametrize("value", [b"", b"x y\n{}", b"1 2", b"1 2 3\n{}", b"2 1\n[]", b"\xff\n{}"])
def test_anything_else_is_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several kinds of it
        Published.decode(value, 0.0)


@pytest.mark.parametrize("moment", [b"nan", b"0", b"-1"])
def test_a_moment_that_is_none_is_not_newer(moment: bytes) -> None:
    assert Published.decode(moment + b" 1\n{}", 0.0) is None


@pytest.mark.parametrize(
    ("max_age", "life"),
    [(None, 3600.0), (0, 300.0), (60, 300.0), (7200, 7200.0), (10**9, 86400.0)],
)
def test_J8_the_life_of_a_set_is_what_the_provider_says_within_bounds(
    max_age: int | None, life: float
) -> None:
    assert Published.of(DOCUMENT, 1.0, max_age).life == life


def test_J14_sets_of_another_source_have_another_name() -> None:
    others = [
        replace(SPEC, name="other"),
        replace(SPEC, issuer="https://op.example/"),
        replace(SPEC, jwks_uri="https://op.example/jwks"),
        replace(SPEC, static_keys='{"keys": []}'),
        replace(SPEC, insecure_http=True),
        replace(SPEC, algorithms=frozenset({"HS256"}), shared_secrets=(b"x" * 32,)),
    ]
    sources = {Source.of(one) for one in (SPEC, *others)}
    assert len(sources) == len(others) + 1
    assert Source.of(replace(SPEC, leeway=0, scope_claim="scp")) == Source.of(SPEC)
    source = Source.of(SPEC)
    assert len({source.keys, source.lease, source.failed, source.cooldown}) == 4


def test_A1_a_shared_secret_is_not_part_of_the_name() -> None:
    spec = replace(SPEC, algorithms=frozenset({"HS256"}), shared_secrets=(b"canary" * 6,))
    assert "canary" not in repr(Source.of(spec)) + Source.of(spec).keys + repr(spec)
    assert b"canary".hex() not in Source.of(spec).keys
