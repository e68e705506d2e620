"""``json_limits``: exact bounds, hostile shapes, and bodies that cannot be read."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import PASS, Deny
from policies.kinds.json_limits import JsonLimits, JsonLimitsConfig


def policy(**options: Any) -> JsonLimits:
    return JsonLimits(JsonLimitsConfig(**options), None)  # type: ignore[arg-type]


def objection(content: bytes, **options: Any) -> str:
    """What is wrong with a body; empty when nothing is."""
    decision = policy(**options).check_body(None, content)  # type: ignore[arg-type]
    if decision is PASS:
        return ""
    assert isinstance(decision, Deny)
    assert (decision.code, decision.refusal.status) == ("request_invalid", 400)
    (error,) = decision.errors
    assert error["in"] == "body"
    return error["message"]


def nested(levels: int, kind: str = "[]") -> bytes:
    if kind == "[]":
        return b"[" * levels + b"]" * levels
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize("kind", ["[]", "{}"])
@pytest.mark.parametrize("depth", [1, 2, 32, 200])
def test_depth_is_exact(kind: str, depth: int) -> None:
    assert objection(nested(depth, kind), depth=depth) == ""
    assert objection(nested(depth + 1, kind), depth=depth) in (
        f"more than {depth} levels deep",
        objection(b"no json"),
    )


def test_a_scalar_has_no_depth() -> None:
    assert objection(b'"text"', depth=1) == ""
    assert objection(b"[[7]]", depth=2) == ""


@pytest.mark.parametrize("levels", [201, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[{"])
def test_O1_deep_nesting_never_crashes(levels: int, opening: bytes) -> None:
    assert objection(opening * levels).startswith("not well-formed JSON")


def test_members_are_exact_and_counted_in_each_place() -> None:
    wide = {str(n): 0 for n in range(10)}
    assert objection(json.dumps(wide).encode(), members=10) == ""
    assert objection(json.dumps([wide] * 10).encode(), members=10) == ""
    for value in ({**wide, "x": 0}, [0] * 11, {"a": [[{"b": [0] * 11}]]}):
        content = json.dumps(value).encode()
        assert objection(content, members=10) == "more than 10 members or items in one place"


def test_texts_and_keys_are_exact_and_counted_in_characters() -> None:
    for text in ("x" * 10, "ü" * 10, "\U0001f600" * 10):
        for value in (text, [text], {text: 0}, {"a": {"b": text}}):
            content = json.dumps(value, ensure_ascii=False).encode()
            assert objection(content, string=10) == ""
            assert objection(content, string=9) == "a text or key of more than 9 characters"
    assert objection(b'"' + b"\\u0041" * 10 + b'"', string=10) == ""


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"\xc3\xa9":1,"\\u00e9":1}}]',
        b'{"":1,"":1}',
    ],
)
def test_O1_a_key_that_stands_twice(content: bytes) -> None:
    assert objection(content).startswith("not well-formed JSON with every key once")
    assert objection(content, duplicate_keys="allow") == ""


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "1e400", "9" * 400 + ".0", "123123e100000", "1e+309"]
)
def test_O1_a_number_beyond_every_float(number: str) -> None:
    assert objection(f'{{"a":[{number}]}}'.encode()) == "a number that is too large"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "nan", "+1", "1" * 5000])
def test_O1_what_is_no_number(text: str) -> None:
    assert objection(f"[{text}]".encode()).startswith("not well-formed JSON")


def test_nothing_of_the_body_is_repeated() -> None:
    decision = policy().check_body(None, b'{"canary":1,"canary":2}')  # type: ignore[arg-type]
    assert isinstance(decision, Deny)
    assert "canary" not in repr(decision)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)  # fmt: skip


@given(_values, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None)
def test_it_passes_what_a_recursive_check_passes(
    value: Any, depth: int, members: int, string: int
) -> None:
    def within(item: Any, left: int) -> bool:
        if isinstance(item, str):
            return len(item) <= string
        if not isinstance(item, list | dict):
            return True
        inner = item if isinstance(item, list) else [*item.values(), *item]
        return left > 0 and len(item) <= members and all(within(x, left - 1) for x in inner)

    content = json.dumps(value, ensure_ascii=True).encode()
    found = objection(content, depth=depth, members=members, string=string)
    assert (found == "") == within(value, depth), found


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(content: bytes) -> None:
    objection(content)


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ([], False),
        ([(b"content-type", b"text/plain")], False),
        ([(b"content-type", b"text/plain"), (b"content-encoding", b"gzip")], False),
        ([(b"content-type", b"application/json")], True),
        ([(b"content-type", b"application/merge-patch+json; charset=utf-8")], True),
        ([(b"content-type", b"application/json"), (b"content-encoding", b"Identity")], True),
    ],
)
def test_only_json_is_held(make_call: Any, fields: Any, held: bool) -> None:
    call = make_call(method="POST", fields=fields, body_length=2)
    assert policy().check(call) is PASS
    assert policy().holds_body(call) is held
    assert policy().phase is Phase.VALIDATE


@pytest.mark.parametrize(
    "fields",
    [
        [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")],
        [(b"content-type", b"application/json"), (b"content-encoding", b"identity, br")],
        [(b"content-type", b"application/json; charset=utf-16")],
        [(b"content-type", b"application/json; charset=utf-8; charset=utf-7")],
        [(b"content-type", b"application/json"), (b"content-type", b"text/plain")],
        [(b"content-type", b"text/plain"), (b"content-type", b"application/json")],
        [(b"content-type", b"application/json, text/plain")],
        [(b"content-type", b"json")],
    ],
)
def test_what_may_be_json_and_cannot_be_read_is_refused(make_call: Any, fields: Any) -> None:
    for length in (2, None):
        call = make_call(method="POST", fields=fields, body_length=length)
        refused = policy().check(call)
        assert isinstance(refused, Deny)
        assert (refused.code, refused.refusal.status) == ("media_type_unsupported", 415)
        assert not policy().holds_body(call)
    assert policy().check(make_call(fields=fields, body_length=0)) is PASS


def test_a_compressed_body_is_told_what_is_taken_instead(make_call: Any) -> None:
    fields = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
    refused = policy().check(make_call(fields=fields, body_length=9))
    assert refused.fields == ((b"accept-encoding", b"identity"),)


def test_options_are_bounded() -> None:
    for options in ({"depth": 0}, {"depth": 201}, {"members": 0}, {"string": 0}):
        with pytest.raises(ValidationError):
            JsonLimitsConfig(**options)
    assert JsonLimitsConfig() == JsonLimitsConfig(
        depth=32, members=1000, string=65536, duplicate_keys="refuse"
    )
