"""``request_headers``: what is written for the upstream, and what can never be."""

from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import ANONYMOUS, PASS, Identity
from policies.kinds.request_headers import RequestHeaders, RequestHeadersConfig

ALICE = Identity(kind="jwt", subject="alice", client="web", claims={"team": "a", "odd": "x\r\ny"})


def policy(**options: Any) -> RequestHeaders:
    return RequestHeaders(RequestHeadersConfig(**options), None)  # type: ignore[arg-type]


def test_lines_are_set_and_added_in_the_order_of_the_configuration(make_call: Any) -> None:
    writer = policy(
        set={"X-Env": "live", "X-Who": "{identity.subject}@{identity.client}"},
        add={"Accept-Language": "en"},
        remove=["X-Debug", "Cookie"],
    )
    call = make_call(identity=ALICE)
    assert writer.check(call) is PASS
    assert call.upstream_fields == [
        (b"x-env", b"live"),
        (b"x-who", b"alice@web"),
        (b"accept-language", b"en"),
    ]
    assert writer.drops == {b"x-env", b"x-who", b"x-debug", b"cookie"}
    assert writer.writes == {b"x-env", b"x-who", b"accept-language"}
    assert writer.phase is Phase.SHAPE


def test_P2_only_names_that_tell_who_calls_are_reserved_everywhere() -> None:
    writer = policy(
        set={"X-Who": "{identity.subject}", "X-Env": "live"},
        add={"X-Team": "{identity.claims.team}", "X-From": "{request.client}"},
    )
    assert writer.sets == {b"x-who", b"x-team"}


@pytest.mark.parametrize("identity", [None, ANONYMOUS, ALICE])
def test_P2_a_value_that_is_absent_or_odd_makes_no_line_and_keeps_the_clients_away(
    make_call: Any, identity: Identity | None
) -> None:
    writer = policy(set={"X-Odd": "{identity.claims.odd}", "X-None": "{identity.claims.none}"})
    call = make_call(identity=identity, fields=[(b"x-odd", b"forged")])
    assert writer.check(call) is PASS
    assert call.upstream_fields == []
    assert writer.drops == {b"x-odd", b"x-none"}
    assert "has no value for x-none, x-odd" in writer.describe(call)


@pytest.mark.parametrize("where", ["set", "add", "remove"])
@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "keep-alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "Host",
        "Expect",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Real-IP",
        "X-Request-Id",
        "Client-Cert",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "Proxy-Authorization",
        "Proxy-Anything",
        "X_Under",
        "X.Dot",
        "X Blank",
        "X:",
        "X\r\nY",
        "",
    ],
)
def test_P1_P2_framing_and_reserved_names_are_refused(where: str, name: str) -> None:
    options: dict[str, Any] = {where: [name] if where == "remove" else {name: "v"}}
    with pytest.raises(ValidationError):
        RequestHeadersConfig(**options)


@pytest.mark.parametrize("name", ["Authorization", "cookie"])
def test_credentials_are_removed_but_not_written(name: str) -> None:
    for where in ("set", "add"):
        with pytest.raises(ValidationError, match="no place for a secret"):
            RequestHeadersConfig(**{where: {name: "Basic x"}})
    assert policy(remove=[name]).drops == {name.lower().encode()}


@pytest.mark.parametrize(
    "options",
    [
        {"set": {"X-A": "1", "x-a": "2"}},
        {"set": {"X-A": "1"}, "add": {"x-a": "2"}},
        {"set": {"X-A": "1"}, "remove": ["X-a"]},
        {"remove": ["X-A", "x-a"]},
    ],
)
def test_one_name_has_one_fate(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="stands here twice"):
        RequestHeadersConfig(**options)


def test_a_bad_template_is_refused_with_the_configuration() -> None:
    with pytest.raises(ValidationError, match="known are"):
        RequestHeadersConfig(set={"X-A": "{identity.nobody}"})


def test_it_explains_itself(make_call: Any) -> None:
    writer = policy(set={"X-A": "1"}, remove=["X-B"])
    assert writer.describe(make_call()) == "writes x-a; drops the client's x-a, x-b"
    assert policy().describe(make_call()) == "nothing to change"
