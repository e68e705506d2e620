"""What a provider says about itself, and how far it is believed (D1)."""

from typing import Any

import pytest

from oidc_clients import fetch
from oidc_clients.discovery import Metadata, discover, fetch_keys
from oidc_clients.fetch import FetchError, Reach
from tests.oidc_clients.conftest import Provider

LOOPBACK = Reach(("127.0.0.0/8",), insecure_http=True)


def test_D1_the_metadata_of_an_issuer(provider: Provider) -> None:
    assert discover(provider.issuer, LOOPBACK) == Metadata(
        issuer=provider.issuer,
        jwks_uri=provider.url("/jwks"),
        token_endpoint=provider.url("/token"),
    )
    assert provider.hits == {"metadata": 1}


@pytest.mark.parametrize("suffix", ["/", "x", "/tenant", "\u200b"])
def test_D1_another_issuer_is_not_believed(provider: Provider, suffix: str) -> None:
    provider.metadata = {"issuer": provider.issuer + suffix}
    with pytest.raises(FetchError, match="another issuer"):
        discover(provider.issuer, LOOPBACK)


@pytest.mark.parametrize("issuer", [None, 7, [], {}])
def test_D1_an_issuer_must_be_named(provider: Provider, issuer: Any) -> None:
    provider.metadata = {"issuer": issuer}
    with pytest.raises(FetchError, match="another issuer"):
        discover(provider.issuer, LOOPBACK)


def test_D1_a_slash_at_the_end_belongs_to_the_issuer(provider: Provider) -> None:
    """RFC 8414 3.1: it is taken off for the address, never for the comparison."""
    with pytest.raises(FetchError, match="another issuer"):
        discover(provider.issuer + "/", LOOPBACK)
    provider.metadata = {"issuer": provider.issuer + "/"}
    assert discover(provider.issuer + "/", LOOPBACK).issuer == provider.issuer + "/"
    assert {path for path, _, _ in provider.seen} == {"/.well-known/openid-configuration"}


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://user@op.example/jwks",
        "https://op.example/#jwks",
        "file:///etc/passwd",
        "/jwks",
        "",
        7,
        ["https://op.example/jwks"],
    ],
)
@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "introspection_endpoint"])
def test_D1_endpoints_obey_the_rules_of_every_url(
    provider: Provider, name: str, endpoint: Any
) -> None:
    provider.metadata = {name: endpoint}
    with pytest.raises(FetchError, match=name):
        discover(provider.issuer, LOOPBACK)


def test_D1_an_issuer_over_https_has_no_endpoints_over_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = {"issuer": "https://op.example", "jwks_uri": "http://op.example/jwks"}
    monkeypatch.setattr(
        "oidc_clients.discovery.get_json", lambda *arguments: fetch.Response(200, document, {})
    )
    with pytest.raises(FetchError, match="jwks_uri cannot be used: the URL must begin with https"):
        discover("https://op.example", Reach())


@pytest.mark.parametrize(
    "fault", ["down", "error", "html", "garbage", "twice", "redirect", "compressed", "huge"]
)
def test_D1_metadata_and_keys_of_a_provider_that_fails(provider: Provider, fault: str) -> None:
    provider.fault = fault
    with pytest.raises(FetchError):
        discover(provider.issuer, LOOPBACK)
    with pytest.raises(FetchError):
        fetch_keys(provider.spec())
    with pytest.raises(FetchError):
        fetch_keys(provider.spec(jwks_uri=provider.url("/jwks")))
    assert provider.hits["elsewhere"] == 0


def test_D1_keys_are_found_through_discovery_or_where_they_are_said_to_be(
    provider: Provider,
) -> None:
    assert len(fetch_keys(provider.spec()).keys.keys) == 2
    assert provider.hits == {"metadata": 1, "jwks": 1}
    found = fetch_keys(provider.spec(jwks_uri=provider.url("/jwks?tenant=7")))
    assert [key.kid for key in found.keys.keys] == ["rsa-1", "ec-1"]
    assert provider.hits == {"metadata": 1, "jwks": 2}


def test_D1_metadata_without_jwks_uri_and_documents_without_keys(provider: Provider) -> None:
    provider.metadata = {"jwks_uri": None}
    with pytest.raises(FetchError, match="no jwks_uri"):
        fetch_keys(provider.spec())
    with pytest.raises(FetchError, match="no list of keys"):
        fetch_keys(provider.spec(jwks_uri=provider.url("/elsewhere")))


def test_D1_discovery_and_keys_together_end_in_the_time_of_one_exchange(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def get_json(url: str, reach: Reach, timeout: float) -> Any:
        given.append(timeout)
        return fetch.get_json(url, reach, timeout)

    monkeypatch.setattr("oidc_clients.discovery.get_json", get_json)
    fetch_keys(provider.spec(), timeout=3.0)
    assert given[0] == 3.0
    assert given[1] < 3.0


def test_J8_a_provider_may_withdraw_all_its_keys(provider: Provider) -> None:
    provider.keys = []
    assert fetch_keys(provider.spec()).keys.keys == ()


@pytest.mark.parametrize(
    ("cache_control", "max_age"),
    [
        ("", None),
        ("public", None),
        ("max-age=600", 600),
        ("public, MAX-AGE=600, must-revalidate", 600),
        ('max-age="600"', 600),
        ("s-maxage=60", None),
        ("max-age=x", None),
        ("max-age=-5", None),
        ("no-store", 0),
        ("no-cache, max-age=600", 0),
    ],
)
def test_J8_how_long_a_key_set_may_be_kept(
    provider: Provider, cache_control: str, max_age: int | None
) -> None:
    provider.cache_control = cache_control
    assert fetch_keys(provider.spec()).max_age == max_age
