"""``response_headers``: what the client gets to see, and what no configuration can take away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import Call, Headers, Identity, Request
from policies.kinds.response_headers import ResponseHeaders, ResponseHeadersConfig


def policy(**options: Any) -> ResponseHeaders:
    return ResponseHeaders(ResponseHeadersConfig(**options), None)  # type: ignore[arg-type]


def test_lines_are_removed_set_and_added(make_call: Any) -> None:
    writer = policy(
        set={"Cache-Control": "private", "X-Who": "{identity.subject}"},
        add={"Set-Cookie": "seen=1", "Link": "</>; rel=home"},
        remove=["X-Runtime", "X_Debug"],
    )
    theirs = [
        (b"cache-control", b"public"),
        (b"x-runtime", b"12"),
        (b"x_debug", b"1"),
        (b"set-cookie", b"a=1"),
        (b"cache-control", b"max-age=9"),
    ]
    call = make_call(identity=Identity(kind="jwt", subject="alice"))
    assert writer.edit(call, 200, theirs) == [
        (b"set-cookie", b"a=1"),
        (b"cache-control", b"private"),
        (b"x-who", b"alice"),
        (b"set-cookie", b"seen=1"),
        (b"link", b"</>; rel=home"),
    ]
    assert writer.phase is Phase.RESPOND


def test_a_value_that_is_absent_makes_no_line_and_the_upstreams_is_gone(make_call: Any) -> None:
    writer = policy(set={"X-Who": "{identity.subject}"})
    assert writer.edit(make_call(), 200, [(b"x-who", b"mallory")]) == []


@pytest.mark.parametrize("where", ["set", "add", "remove"])
@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Date",
        "X-Request-Id",
        "WWW-Authenticate",
        "Proxy-Authenticate",
        "proxy-status",
        "X Blank",
        "X\r\nY",
        "",
    ],
)
def test_P1_P13_framing_and_the_gateways_own_lines_are_refused(where: str, name: str) -> None:
    options: dict[str, Any] = {where: [name] if where == "remove" else {name: "v"}}
    with pytest.raises(ValidationError):
        ResponseHeadersConfig(**options)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Content-Type", "belongs to the content"),
        ("content-encoding", "belongs to the content"),
        ("Signature", "belongs to the content"),
        ("Content-Digest", "belongs to the content"),
        ("Access-Control-Allow-Origin", "policy cors"),
        ("access-control-allow-credentials", "policy cors"),
    ],
)
def test_what_is_not_the_headers_to_say_is_only_removed(name: str, problem: str) -> None:
    for where in ("set", "add"):
        with pytest.raises(ValidationError, match=problem):
            ResponseHeadersConfig(**{where: {name: "v"}})
    assert policy(remove=[name]).edit(None, 200, [(name.lower().encode(), b"v")]) == []


@given(st.binary(max_size=60))
def test_P13_what_a_client_sends_never_breaks_a_line_of_its_answer(value: bytes) -> None:
    writer = policy(add={"X-Echo": "{request.headers.x-in}"})
    request = Request("GET", "h", "/", None, Headers([(b"x-in", value)]), "192.0.2.1")
    for name, line in writer.edit(Call(request, "r", 0.0), 200, []):
        assert name == b"x-echo"
        assert all(0x20 <= byte < 0x7F for byte in line)


def test_one_name_has_one_fate() -> None:
    with pytest.raises(ValidationError, match="stands here twice"):
        ResponseHeadersConfig(set={"X-A": "1"}, remove=["x-A"])
