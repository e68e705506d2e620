"""API keys: made at random, kept as a keyed digest."""

import re

import pytest

from oidc_clients.credentials import Peppers, make_api_key, shown_prefix


def test_B5_a_key_is_random_and_recognisable():
    keys = {make_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"gh_[A-Za-z0-9]{8}_[A-Za-z0-9]{32}", key) for key in keys)
    key = keys.pop()
    assert shown_prefix(key) == key[:11]


@pytest.mark.parametrize("key", ["secret", "gh_short", "x" * 44])
def test_B5_nothing_is_shown_of_a_key_that_was_not_made_here(key):
    assert shown_prefix(key) == ""


def test_B5_a_digest_is_keyed():
    stored = Peppers(["one"]).digest("the key")
    assert Peppers(["one"]).matches(stored, "the key")
    assert not Peppers(["one"]).matches(stored, "the keY")
    assert not Peppers(["two"]).matches(stored, "the key")
    assert "the key" not in stored


def test_B5_keys_digested_under_an_older_secret_key_still_match():
    stored = Peppers(["old"]).digest("the key")
    rotated = Peppers(["new", "old"])
    assert rotated.matches(stored, "the key")
    assert rotated.digest("the key") == Peppers(["new"]).digest("the key")
    assert rotated.candidates("the key") == [
        Peppers(["new"]).digest("the key"),
        stored,
    ]


def test_a_digest_needs_a_secret_key():
    with pytest.raises(ValueError, match="at least one"):
        Peppers([])
