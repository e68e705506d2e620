"""Media types: which declared one a content has, and which a client accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.http.media_types import MediaType
from policies.openapi.media import Declared, accepts

JSON, TEXT = "application/json", "text/plain"


@pytest.mark.parametrize(
    ("essence", "found"),
    [
        ("application/json", "exact"),
        ("application/xml", "any application"),
        ("text/plain", "anything"),
        ("application/problem+json", "any application"),
    ],
)
def test_the_most_specific_declaration_counts(essence: str, found: str) -> None:
    declared = Declared({"*/*": "anything", "application/*": "any application", JSON: "exact"})
    assert declared.find(MediaType(essence)) == found


def test_what_is_not_declared_is_not_found() -> None:
    assert Declared({JSON: 1, "image/*": 2}).find(MediaType("text/html")) is None


@pytest.mark.parametrize(
    ("accept", "acceptable"),
    [
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("*/*", True),
        ("application/*", True),
        ("text/html, application/json;q=0.5", True),
        ("text/html;level=1, */*;q=0.1", True),
        ("text/html", False),
        ("text/*", False),
        ("application/json;q=0", False),
        ("application/json; q=0.000", False),
        ("application/json;q=0.001", True),
        ("*/*;q=0", False),
        ("application/json;q=0, */*", False),
        ("*/*;q=0, application/json", True),
        ("", False),
        ("json", False),
        ("application", False),
        (",,", False),
    ],
)
def test_accept_is_understood(accept: str, acceptable: bool) -> None:
    assert accepts(accept.encode(), (JSON,)) is acceptable


def test_one_of_several_suffices() -> None:
    assert accepts(b"text/plain", (JSON, TEXT))
    assert not accepts(b"text/html", (JSON, TEXT))
    assert accepts(b"text/html", (JSON, "text/*"))


@given(st.binary(max_size=60))
def test_no_accept_is_too_strange(line: bytes) -> None:
    assert accepts(line, (JSON,)) in (True, False)
