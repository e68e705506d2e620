"""base64url and JSON have one spelling each; property tests look for a second one."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.strict import MAX_DEPTH, NotStrict, base64url, json_object

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def nested(depth: int) -> bytes:
    """An object with this many levels of objects and arrays."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@given(st.binary(max_size=100))
def test_J4_base64url_without_padding_is_read(data: bytes) -> None:
    assert base64url(base64.urlsafe_b64encode(data).rstrip(b"=")) == data


@given(st.binary(max_size=20) | st.text(alphabet=ALPHABET.decode() + "=+/ \n.").map(str.encode))
def test_J4_every_value_has_one_spelling(text: bytes) -> None:
    """Whatever is accepted is exactly what encoding the value gives again."""
    try:
        decoded = base64url(text)
    except NotStrict:
        return
    assert base64.urlsafe_b64encode(decoded).rstrip(b"=") == text


@pytest.mark.parametrize(
    "text",
    [b"YQ==", b"YQ=", b"YR", b"YWJ", b"Y", b"YW Jj", b"YWJj\n", b"+w", b"/w", b"YQ?", b"=", b"."],
)
def test_J4_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(NotStrict):
        base64url(text)


@given(st.dictionaries(texts, values, max_size=4), st.booleans())
def test_J4_json_objects_are_read(value: dict[str, Any], ascii_only: bool) -> None:
    document = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert json_object(document) == value


@given(st.binary(max_size=60))
def test_J4_bytes_are_read_or_refused_never_anything_else(data: bytes) -> None:
    for document in (data, b'{"a":' + data + b"}", b'{"' + data + b'":1}'):
        try:
            value = json_object(document)
        except NotStrict:
            continue
        json.dumps(value, ensure_ascii=False).encode()  # no half characters, no infinities


@pytest.mark.parametrize(
    "document",
    [
        b'{"alg":"none","alg":"RS256"}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"\\u0061":1,"a":2}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":-Infinity}',
        b'{"exp":1e400}',
        b'{"exp":-1e400}',
        b'{"exp":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":1} x',
        b'{"a":1,}',
        b"{'a':1}",
        b"[1]",
        b'"a"',
        b"null",
        b"",
        nested(MAX_DEPTH + 1),
        nested(4000),
        b'{"a":' * 4000,
    ],
)
def test_J4_json_that_could_be_read_in_two_ways_or_without_end(document: bytes) -> None:
    with pytest.raises(NotStrict):
        json_object(document)


def test_J4_the_last_level_that_is_admitted() -> None:
    json_object(nested(MAX_DEPTH))


def test_B4_refusals_do_not_repeat_the_text() -> None:
    for document in (b'{"canary":1,"canary":2}', b'{"canary"', b'{"canary":NaN}'):
        with pytest.raises(NotStrict) as caught:
            json_object(document)
        assert "canary" not in str(caught.value)
