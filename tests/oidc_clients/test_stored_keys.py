"""Key sets in the database."""

from typing import Any

import pytest

from oidc_clients.jwks import KeySet
from oidc_clients.models import Provider as ProviderRow
from oidc_clients.models import ProviderKey
from oidc_clients.stored_keys import StoredSet, store_keys, stored_sets
from policies.models import Generation
from tests.oidc_clients.conftest import ALGORITHMS, Keys

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000.25


def row(name: str = "acme", **changes: Any) -> ProviderRow:
    usual: dict[str, Any] = {
        "issuer": f"https://{name}.example",
        "audiences": ["urn:test:api"],
        "algorithms": ["RS256"],
    }
    return ProviderRow.objects.create(name=name, **usual | changes)


def generation() -> int:
    return Generation.all_values().get(Generation.KEYS, 0)


def test_a_stored_set_is_read_as_it_was_admitted(keys: Keys) -> None:
    found = KeySet.parse({"keys": [keys.rsa.jwk, keys.p256.jwk | {"use": "enc"}, keys.ed.jwk]})
    assert store_keys(row(), "source", found, NOW)
    (stored,) = stored_sets()
    assert stored == StoredSet("acme", "source", found.document, NOW)
    assert KeySet.parse(stored.document) == found
    shown = [(key.kid, key.admitted, key.reason) for key in ProviderKey.objects.order_by("id")]
    assert shown == [
        ("rsa-1", True, ""),
        ("ec-1", False, "its use is not sig"),
        ("ed-1", True, ""),
    ]


def test_the_generation_rises_only_with_a_change(keys: Keys) -> None:
    provider = row()
    found = KeySet.parse({"keys": [keys.rsa.jwk]})
    assert store_keys(provider, "source", found, NOW)
    assert generation() == 1
    assert not store_keys(provider, "source", found, NOW + 60)
    assert generation() == 1
    assert [stored.fetched_at for stored in stored_sets()] == [NOW + 60]
    assert store_keys(provider, "another source", found, NOW + 120)
    assert store_keys(provider, "another source", KeySet(()), NOW + 180)
    assert generation() == 3
    assert list(stored_sets()) == []


def test_J6_refused_keys_never_come_back_as_admitted_ones(keys: Keys) -> None:
    """What made them refused may be what is not stored of them."""
    private = dict(ALGORITHMS["RS256"].to_jwk(keys.rsa.private, as_dict=True)) | {"kid": "leaked"}
    strange = keys.p256.jwk | {"use": ["enc"]}
    found = KeySet.parse({"keys": [private, strange, {"kty": "oct", "k": "canary"}]})
    store_keys(row(), "source", found, NOW)
    assert list(stored_sets()) == []
    texts = [str(key.jwk) for key in ProviderKey.objects.all()]
    assert len(texts) == 3
    assert not any(word in text for text in texts for word in ("canary", "'d'", "'p'"))


def test_each_provider_has_its_own_set_and_a_deleted_one_none(keys: Keys) -> None:
    one, two = row("one"), row("two")
    store_keys(one, "1", KeySet.parse({"keys": [keys.rsa.jwk]}), NOW)
    store_keys(two, "2", KeySet.parse({"keys": [keys.ed.jwk]}), NOW)
    assert {stored.provider: stored.source for stored in stored_sets()} == {"one": "1", "two": "2"}
    ProviderRow.objects.filter(name="one").delete()
    assert not store_keys(one, "1", KeySet.parse({"keys": [keys.rsa.jwk]}), NOW + 1)
    assert [stored.provider for stored in stored_sets()] == ["two"]
