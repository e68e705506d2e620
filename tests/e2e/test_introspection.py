"""Opaque tokens on the running gateway, against npm oidc-provider: D2."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import acme, api, bearer
from tests.e2e.gateway import Gateway
from tests.e2e.provider import Provider
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

ASKED = "/token/introspection"


@pytest.fixture(scope="module")
def gateway(
    start: Start,
    opaque_provider: Provider,
    provider: Provider,
    upstream: Upstream,
    backend: Backend,
) -> Gateway:
    identity = {"forward_identity": {"headers": {"X-Subject": "sub", "X-Scopes": "scopes"}}}
    asked = {"provider": "acme", "scopes": ["read"]}
    write = {"provider": "acme", "scopes": ["write"]}
    document = {
        "format": 1,
        "providers": [
            acme(opaque_provider, name="acme"),
            acme(provider, name="other", grants=[]),
        ],
        "apis": [
            api("cached", upstream.url, [{"introspection": {**asked, "cache": 60}}, identity]),
            api("fresh", upstream.url, [{"introspection": {**asked, "cache": 0}}]),
            api(
                "write",
                upstream.url,
                [{"introspection": write}],
            ),
            api("other", upstream.url, [{"introspection": {"provider": "other"}}]),
            api(
                "reported",
                upstream.url,
                [{"introspection": {"provider": "acme", "mode": "report"}}, {"public": {}}],
            ),
        ],
    }
    return start(document, backend(), workers=1)


@pytest.fixture(autouse=True)
def well(opaque_provider: Provider) -> Iterator[None]:
    yield
    opaque_provider.fault("none")


def test_D2_an_active_token_passes_and_is_asked_about_once(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream
) -> None:
    token = opaque_provider.token()
    upstream.clear()
    opaque_provider.hits(reset=True)
    for _ in range(5):
        assert gateway.call("GET", "/cached/a", bearer(token)).status == 200
    assert opaque_provider.hits(ASKED) == 1
    seen = upstream.seen()
    assert {request.get("x-subject") for request in seen} == {"service"}
    assert {request.get("x-scopes") for request in seen} == {"read write"}
    assert not any(request.all("authorization") for request in seen)


def test_D2_many_first_calls_ask_once(gateway: Gateway, opaque_provider: Provider) -> None:
    token = opaque_provider.token()
    opaque_provider.hits(reset=True)
    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(gateway.call, "GET", "/cached/a", bearer(token)) for _ in range(40)]
        assert {call.result().status for call in calls} == {200}
    assert opaque_provider.hits(ASKED) == 1


def test_D2_a_remembered_answer_must_pass_the_scopes_of_each_route(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream
) -> None:
    token = opaque_provider.token("reader", "read")
    assert gateway.call("GET", "/cached/a", bearer(token)).status == 200
    upstream.clear()
    answer = gateway.call("GET", "/write/a", bearer(token))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert 'scope="write"' in (answer.get("www-authenticate") or "")
    assert upstream.counts()["heads"] == 0


def test_D2_a_revoked_token_is_refused_where_answers_are_not_kept(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream
) -> None:
    token = opaque_provider.token()
    assert gateway.call("GET", "/fresh/a", bearer(token)).status == 200
    opaque_provider.revoke(token)
    upstream.clear()
    answer = gateway.call("GET", "/fresh/a", bearer(token))
    assert (answer.status, answer.code) == (401, "token_revoked")
    assert 'error="invalid_token"' in (answer.get("www-authenticate") or "")
    assert upstream.counts()["heads"] == 0


def test_D2_what_is_not_active_is_refused(
    gateway: Gateway, opaque_provider: Provider, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    cases = [
        ("never-issued", "token_revoked"),
        ("a b", "token_malformed"),
        ("", "token_malformed"),
        (opaque_provider.token()[:-1], "token_revoked"),
        ("x" * 7000, "token_revoked"),
    ]
    for token, code in cases:
        answer = gateway.call("GET", "/cached/a", bearer(token))
        assert (answer.status, answer.code) == (401, code), (token[:20], answer.body)
    assert gateway.call("GET", "/cached/a").code == "credentials_missing"
    good = opaque_provider.token()
    assert gateway.call("GET", "/cached/a", bearer(good)).status == 200
    # The token of one provider is nothing at another, remembered or not.
    upstream.clear()
    assert gateway.call("GET", "/other/a", bearer(good)).code == "token_revoked"
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize("fault", ["500", "garbage", "html", "down", "slow"])
def test_F3_a_provider_that_cannot_say_is_503_and_what_it_said_stays(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream, fault: str
) -> None:
    known, unknown = opaque_provider.token(), opaque_provider.token()
    assert gateway.call("GET", "/cached/a", bearer(known)).status == 200
    opaque_provider.fault(fault)
    upstream.clear()
    began = time.monotonic()
    answer = gateway.call("GET", "/cached/a", bearer(unknown), deadline=30)
    assert time.monotonic() - began < 20
    assert (answer.status, answer.code) == (503, "provider_unavailable")
    assert answer.get("retry-after")
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", "/cached/a", bearer(known)).status == 200
    opaque_provider.fault("none")

    def is_back() -> bool:
        return gateway.call("GET", "/cached/a", bearer(unknown)).status == 200

    until(is_back, 10, "the provider to be asked again")


def test_in_report_mode_a_wrong_token_passes_and_is_said(gateway: Gateway) -> None:
    answer = gateway.call("GET", "/reported/a", bearer("never-issued"))
    assert answer.status == 200
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["introspection: token_revoked"]
    counted = (logged["route"], "introspection", "token_revoked")
    until(lambda: gateway.reported().get(counted) == 1, 10, "the counter")


def test_J14_a_provider_that_is_switched_off_is_refused_within_a_second(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream
) -> None:
    token = opaque_provider.token()
    assert gateway.call("GET", "/cached/a", bearer(token)).status == 200
    gateway.apply({"format": 1, "providers": [acme(opaque_provider, enabled=False)]})

    def is_off() -> bool:
        return gateway.call("GET", "/cached/a", bearer(token)).code == "token_issuer"

    until(is_off, 10, "the provider to be off")
    upstream.clear()
    assert gateway.call("GET", "/cached/a", bearer(token)).status == 401
    assert upstream.counts()["heads"] == 0
    gateway.apply({"format": 1, "providers": [acme(opaque_provider)]})
    until(lambda: not is_off(), 10, "the provider to be on")
