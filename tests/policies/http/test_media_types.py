"""Media types as clients write them: what is JSON, and what names no type at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.http.media_types import MediaType, media_type


@pytest.mark.parametrize(
    "line",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b"application/json;charset=UTF-8",
        b'application/json ; charset="utf-8" ; v=1',
        b"application/json;",
        b"application/json;;charset=utf-8;",
        b"application/problem+json",
        b"application/vnd.api+json; ext=bulk",
    ],
)
def test_json(line: bytes) -> None:
    kind = media_type(line)
    assert kind is not None
    assert kind.is_json
    assert kind.charset in ("", "utf-8")


@pytest.mark.parametrize(
    "line", [b"text/plain", b"application/jsonp", b"application/x-json", b"application/json+xml"]
)
def test_other_types(line: bytes) -> None:
    kind = media_type(line)
    assert kind is not None
    assert not kind.is_json
    assert kind.boundary == ""


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"json",
        b"application/",
        b"/json",
        b"application/json, text/plain",
        b"application/json charset=utf-8",
        b"application/json; charset",
        b"application/json; charset=",
        b"application/json; charset=utf-8; charset=utf-7",
        b'application/json; charset="utf-8',
        b"application /json",
        b"application/j\xc3\xb6n",
    ],
)
def test_what_names_no_type(line: bytes) -> None:
    assert media_type(line) is None


def test_quoted_parameters_are_read() -> None:
    kind = media_type(b'text/plain; title="a;b=\\"c\\""; CHARSET="US-\\ASCII"')
    assert kind == MediaType("text/plain", "us-ascii")


def test_a_boundary_is_kept_as_it_stands() -> None:
    kind = media_type(b"multipart/form-data; boundary=AaB03x")
    assert kind == MediaType("multipart/form-data", boundary="AaB03x")


@given(st.binary(max_size=200))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    kind = media_type(line)
    assert kind is None or "/" in kind.essence
