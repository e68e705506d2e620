"""``cors``: preflights answered here, origins to the letter, and one opinion on the answer."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig
from policies.core.phase import Phase
from policies.core.values import PASS, Answer
from policies.kinds.cors import Cors, CorsConfig
from policies.kinds.public import Public

APP = "https://app.example.com"
ALLOW = b"access-control-allow-origin"
PREFLIGHT = [(b"origin", APP.encode()), (b"access-control-request-method", b"PUT")]
VARY = (b"vary", b"Origin")


def policy(*origins: str, **options: Any) -> Cors:
    return Cors(CorsConfig(origins=origins or (APP,), **options), None)  # type: ignore[arg-type]


def edited(cors: Cors, call: Any, *fields: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return cors.edit(call, 200, list(fields))


def test_B6_a_preflight_is_answered_in_the_first_phase(make_call: Any) -> None:
    cors = policy(methods=("GET", "PUT"), headers=("X-A", "Content-Type"), max_age=60)
    call = make_call(method="OPTIONS", fields=PREFLIGHT)
    answer = cors.check(call)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.code) == (204, b"", "preflight")
    assert edited(cors, call) == [
        VARY,
        (ALLOW, APP.encode()),
        (b"access-control-allow-methods", b"GET, PUT"),
        (b"access-control-allow-headers", b"X-A, Content-Type"),
        (b"access-control-max-age", b"60"),
    ]
    assert cors.answers_preflight
    assert cors.phase is Phase.ADMIT


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_B6_only_options_is_a_preflight(make_call: Any, method: str) -> None:
    assert policy().check(make_call(method=method, fields=PREFLIGHT)) is PASS


@pytest.mark.parametrize("fields", [[], PREFLIGHT[:1], PREFLIGHT[1:]])
def test_B6_options_without_both_lines_is_no_preflight(make_call: Any, fields: Any) -> None:
    assert policy().check(make_call(method="OPTIONS", fields=fields)) is PASS


@pytest.mark.parametrize(
    "origin",
    [
        b"https://evil.example",
        b"https://app.example.com.evil.example",
        b"https://evilapp.example.com",
        b"http://app.example.com",
        b"https://app.example.com:8443",
        b"https://APP.example.com",
        b"https://app.example.com/",
        b"null",
        b"*",
        b"",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_B6_any_other_origin_is_not_confirmed(make_call: Any, method: str, origin: bytes) -> None:
    cors = policy(credentials=True)
    call = make_call(method=method, fields=[(b"origin", origin), PREFLIGHT[1]])
    assert edited(cors, call, (ALLOW, b"*"), (b"content-type", b"a/b")) == [
        (b"content-type", b"a/b"),
        VARY,
    ]


def test_B6_what_the_upstream_says_is_replaced(make_call: Any) -> None:
    cors = policy(credentials=True, expose_headers=("X-Total", "ETag"))
    call = make_call(fields=[(b"origin", APP.encode())])
    theirs = [
        (ALLOW, b"*"),
        (b"access-control-allow-credentials", b"false"),
        (b"access-control-expose-headers", b"*"),
        (b"access-control-allow-private-network", b"true"),
        (b"vary", b"Accept"),
    ]
    assert edited(cors, call, *theirs) == [
        (b"vary", b"Accept"),
        VARY,
        (ALLOW, APP.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"X-Total, ETag"),
    ]


def test_B6_a_star_is_the_same_for_everyone_and_has_no_credentials(make_call: Any) -> None:
    cors = policy("*", headers=("*", "Authorization"))
    for origin in (b"https://a.example", b"null"):
        call = make_call(fields=[(b"origin", origin)])
        assert edited(cors, call) == [(ALLOW, b"*")]
    assert edited(cors, make_call()) == []
    preflight = make_call(method="OPTIONS", fields=PREFLIGHT)
    assert (b"access-control-allow-headers", b"*, Authorization") in edited(cors, preflight)


@pytest.mark.parametrize(
    "options",
    [
        {"origins": ("*",)},
        {"origins": (APP, "*")},
        {"origins": (APP,), "headers": ("*",)},
        {"origins": (APP,), "expose_headers": ("*",)},
    ],
)
def test_B6_never_a_star_with_credentials(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="every origin and header is named"):
        CorsConfig(credentials=True, **options)
    assert CorsConfig(**options)


@pytest.mark.parametrize(
    ("origin", "problem"),
    [
        ("null", "as browsers write it"),
        ("https://app.example.com/", "as browsers write it"),
        ("https://app.example.com/path", "as browsers write it"),
        ("https://App.example.com", "as browsers write it"),
        ("https://*.example.com", "as browsers write it"),
        ("https://a@b.example", "as browsers write it"),
        ("app.example.com", "as browsers write it"),
        ("https://a.example\r\nX: y", "as browsers write it"),
        ("", "as browsers write it"),
        ("https://app.example.com:443", "leave out :443"),
        ("http://app.example.com:80", "leave out :80"),
    ],
)
def test_an_origin_no_browser_would_write_is_refused(origin: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CorsConfig(origins=(origin,))


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://[2001:db8::1]:8443", "capacitor://localhost", "*"],
)
def test_origins_that_browsers_write(origin: str) -> None:
    assert CorsConfig(origins=(origin,)).origins == (origin,)


def test_names_and_methods_cannot_break_a_line() -> None:
    for options in ({"headers": ("a\r\nb",)}, {"methods": ("get",)}, {"expose_headers": ("",)}):
        with pytest.raises(ValidationError):
            CorsConfig(origins=(APP,), **options)
    with pytest.raises(ValidationError):
        CorsConfig(origins=())


def test_in_report_mode_a_preflight_is_only_reported(make_call: Any, make_services: Any) -> None:
    reports: list[tuple[str, str]] = []
    attached = [
        Attached(policy(), "cors", "report"),
        Attached(Public(PolicyConfig(), make_services()), "public"),
    ]
    chain = compile_chain(attached, lambda name, call, would: reports.append((name, would.code)))
    assert not chain.answers_preflight
    call = make_call(method="OPTIONS", fields=PREFLIGHT)
    assert asyncio.run(chain.run(call)) is PASS
    assert chain.edit(call, 200, []) == []
    assert reports == [("cors", "preflight")]
