"""Tokens taken apart: what is not a plain compact JWS never gets further."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.compact import MAX_TOKEN_BYTES, Compact, parse
from oidc_clients.strict import NotStrict
from tests.oidc_clients.conftest import b64


def token(header: dict[str, Any] | bytes, payload: bytes = b"{}", signature: bytes = b"s") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b".".join((b64(head), b64(payload), b64(signature)))


def test_J4_the_parts_of_a_token() -> None:
    text = token({"alg": "RS256", "kid": "k", "typ": "JWT", "x": 1}, b'{"a":1}', b"signed")
    assert parse(text) == Compact(
        algorithm="RS256",
        kid="k",
        typ="JWT",
        payload=b'{"a":1}',
        signing_input=text.rpartition(b".")[0],
        signature=b"signed",
    )


@pytest.mark.parametrize(
    "extension",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"crit": "x"},
        {"crit": None},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_J3_header_extensions_are_refused(extension: dict[str, Any]) -> None:
    with pytest.raises(NotStrict):
        parse(token({"alg": "RS256"} | extension))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".",
        b"..",
        b"...",
        b"a.b",
        token({"alg": "RS256"}) + b".x",
        token({"alg": "RS256"}) + b".x.y",  # five parts: JWE
        token({"alg": "RS256"}) + b"=",
        token({"alg": "RS256"}) + b"\n",
        b" " + token({"alg": "RS256"}),
        json.dumps({"payload": "", "protected": "", "signature": ""}).encode(),
        b'{"payload":"e30","signatures":[]}',
    ],
)
def test_J3_other_serialisations_are_refused(text: bytes) -> None:
    with pytest.raises(NotStrict):
        parse(text)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": None},
        {"alg": 1},
        {"alg": ["RS256"]},
        {"alg": "RS256", "kid": 1},
        {"alg": "RS256", "kid": None},
        {"alg": "RS256", "kid": ["k"]},
        {"alg": "RS256", "kid": "k" * 257},
        {"alg": "RS256", "kid": "é" * 129},
        {"alg": "RS256", "typ": 1},
        b'{"alg":"RS256","alg":"RS256"}',
        b'{"alg":"RS256","kid":"a","kid":"b"}',
        b'["alg"]',
        b"not json",
        b'{"alg":"RS256","a":' + b"[" * 40 + b"]" * 40 + b"}",
    ],
)
def test_J4_headers_that_are_refused(header: dict[str, Any] | bytes) -> None:
    with pytest.raises(NotStrict):
        parse(token(header))


def test_J4_size_is_looked_at_first() -> None:
    fitting = token({"alg": "RS256"}, b"x" * 6000)
    fitting += b"A" * ((MAX_TOKEN_BYTES - len(fitting)) // 4 * 4)
    assert MAX_TOKEN_BYTES - 4 < len(fitting) <= MAX_TOKEN_BYTES
    with pytest.raises(NotStrict, match="too large"):
        parse(fitting + b"AAAA" * 2)


def test_J4_stray_bits_in_any_part_are_refused() -> None:
    """Two spellings of one token would be two entries of a cache, or of a revocation list."""
    parts = [b64(b'{"alg":"RS256" }'), b64(b"{ }!"), b64(b"signed!")]
    parse(b".".join(parts))
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for index, part in enumerate(parts):
        assert len(part) % 4 != 0
        neighbour = alphabet[alphabet.index(part[-1:]) + 1 :][:1]
        twisted = [*parts[:index], part[:-1] + neighbour, *parts[index + 1 :]]
        with pytest.raises(NotStrict):
            parse(b".".join(twisted))


@given(st.binary(max_size=80) | st.lists(st.binary(max_size=30), max_size=4).map(b".".join))
def test_J4_bytes_are_parsed_or_refused_never_anything_else(text: bytes) -> None:
    try:
        parts = parse(text)
    except NotStrict:
        return
    assert text == parts.signing_input + b"." + b64(parts.signature)
