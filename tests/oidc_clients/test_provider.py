"""Descriptions of providers that cannot be made, and what is made of the others."""

from typing import Any

import pytest

from oidc_clients.provider import ProviderSpec, key_document
from tests.oidc_clients.conftest import Keys

USUAL: dict[str, Any] = {
    "name": "acme",
    "issuer": "https://op.example",
    "audiences": frozenset({"urn:api"}),
    "algorithms": frozenset({"RS256"}),
}
HMAC: dict[str, Any] = {"algorithms": frozenset({"HS256", "HS512"}), "shared_secrets": (b"x" * 64,)}


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"audiences": frozenset()},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset({"RS256", "ES256K"})},
        {"static_keys": "[]"},
        {"static_keys": "{}"},
        {"static_keys": '{"keys": [], "keys": []}'},
    ],
)
def test_descriptions_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        ProviderSpec(**USUAL | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithms": frozenset({"HS256", "RS256"})},
        {"jwks_uri": "https://op.example/jwks"},
        {"static_keys": '{"keys": []}'},
        {"shared_secrets": ()},
        {"shared_secrets": (b"x" * 63,)},
    ],
)
def test_J1_a_shared_secret_never_stands_beside_published_keys(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="HS algorithms"):
        ProviderSpec(**USUAL | HMAC | changes)


def test_J1_a_shared_secret_alone() -> None:
    spec = ProviderSpec(**USUAL | HMAC)
    assert spec.symmetric
    fixed = spec.fixed_keys()
    assert fixed is not None
    assert fixed.select(None, "HS512") is not None


def test_configured_keys_become_a_key_set(keys: Keys) -> None:
    spec = ProviderSpec(**USUAL, static_keys=key_document([keys.rsa.jwk]))
    fixed = spec.fixed_keys()
    assert fixed is not None
    assert fixed.knows("rsa-1")
    assert key_document([]) == ""
    assert ProviderSpec(**USUAL).fixed_keys() is None
