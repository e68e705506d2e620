"""``https_only``: refused in clear or sent on, and HSTS over TLS alone."""

from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import PASS, Answer, Deny
from policies.kinds.https_only import HttpsOnly, HttpsOnlyConfig

HSTS = b"strict-transport-security"


def policy(**options: Any) -> HttpsOnly:
    return HttpsOnly(HttpsOnlyConfig(**options), None)  # type: ignore[arg-type]


def test_over_tls_it_passes(make_call: Any) -> None:
    assert policy().check(make_call(secure=True)) is PASS
    assert policy().describe(make_call(secure=True)) == "the request came over TLS"
    assert policy().phase is Phase.ADMIT


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
def test_in_clear_it_is_refused(make_call: Any, method: str) -> None:
    refused = policy().check(make_call(method=method))
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("https_required", 403)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_is_sent_on_where_the_route_says_so(make_call: Any, method: str) -> None:
    call = make_call(method=method, host="api.example", path="/a%20b/c", query=b"q=1&r=%0d%0a")
    answer = policy(redirect=True).check(call)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.code) == (308, "https_required")
    assert answer.fields == ((b"location", b"https://api.example/a%20b/c?q=1&r=%0d%0a"),)


def test_an_empty_query_stays_an_empty_query(make_call: Any) -> None:
    redirecting = policy(redirect=True)
    assert redirecting.check(make_call(query=b"")).fields[0][1] == b"https://api.example/items?"
    assert redirecting.check(make_call()).fields[0][1] == b"https://api.example/items"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_what_is_not_reading_is_never_sent_on(make_call: Any, method: str) -> None:
    refused = policy(redirect=True).check(make_call(method=method))
    assert isinstance(refused, Deny)
    assert refused.code == "https_required"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, b"max-age=31536000"),
        ({"hsts": 0}, b"max-age=0"),
        ({"hsts": 300, "hsts_subdomains": True}, b"max-age=300; includeSubDomains"),
    ],
)
def test_A4_hsts_is_said_once_and_over_tls_alone(
    make_call: Any, options: dict[str, Any], line: bytes
) -> None:
    upstreams = [(b"content-type", b"text/plain"), (HSTS, b"max-age=1"), (HSTS, b"max-age=2")]
    told = policy(**options).edit(make_call(secure=True), 200, list(upstreams))
    assert told == [(b"content-type", b"text/plain"), (HSTS, line)]
    assert policy(**options).edit(make_call(), 200, [upstreams[0]]) == [upstreams[0]]


def test_hsts_may_be_left_to_the_upstream(make_call: Any) -> None:
    kept = [(HSTS, b"max-age=1")]
    assert policy(hsts=None).edit(make_call(secure=True), 200, kept) == kept
    for seconds in (-1, 63072001, "a year"):
        with pytest.raises(ValidationError):
            HttpsOnlyConfig(hsts=seconds)
