"""Upstreams that are called with a token of their own: the gateway's, or the caller's exchanged.

Every refusal is shown with zero hits at the upstream, every token with the provider's count of
requests to its token endpoint.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import Document, acme, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import AUDIENCE, UPSTREAM_AUDIENCE, Provider, secret
from tests.e2e.servers import until
from tests.e2e.upstream import Seen, Upstream
from tests.ports import free_port

pytestmark = pytest.mark.e2e

CALLERS = 1000


def _own(provider: str = "acme", **options: Any) -> Document:
    return {"client_credentials": {"provider": provider, "scopes": ["read"], **options}}


def _exchange(audience: str = UPSTREAM_AUDIENCE, **options: Any) -> Document:
    return {"token_exchange": {"provider": "acme", "audiences": [audience], **options}}


def _document(provider: Provider, upstream: Upstream, **changes: Any) -> Document:
    url = upstream.url
    made = document(
        provider,
        protected("own", url, _own()),
        protected("herd", url, _own(scopes=["read", "write"])),
        protected("refused", url, _own(scopes=["write"])),
        protected("gone", url, _own("gone")),
        protected("badly", url, _own("badly")),
        protected("reported", url, _own("gone", mode="report")),
        protected("exchange", url, _exchange()),
        protected("exchange-herd", url, _exchange(scopes=["read"])),
        protected("target", url, _exchange("urn:unheard-of")),
        {
            **protected("anyone", url),
            "policies": [{"public": {}}, _exchange(), {"security_headers": {}}],
        },
    )
    nowhere = f"http://127.0.0.1:{free_port()}"
    made["providers"] += [
        acme(provider, name="gone", issuer=nowhere),
        acme(provider, name="badly", client={"id": "gateway", "secret": "not-the-secret"}),
    ]
    made["providers"][0].update(changes)
    return made


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    return start(_document(provider, upstream))


@pytest.fixture(autouse=True)
def _clean(provider: Provider, upstream: Upstream) -> None:
    upstream.clear()
    provider.hits(reset=True)


def _sent(seen: Seen) -> tuple[str, dict[str, Any]]:
    """The one token that the upstream got, and its claims."""
    (value,) = seen.all("authorization")
    scheme, token = value.split(" ")
    assert scheme == "Bearer"
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return token, claims


def test_an_upstream_is_called_with_the_gateways_own_token(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    tokens = [mint.token(sub=name) for name in ("carol", "dave")]
    for token in tokens:
        assert gateway.call("GET", "/own/items", bearer(token)).status == 200
    first, second = map(_sent, upstream.seen())
    assert first == second
    assert first[1]["client_id"] == first[1]["sub"] == "gateway"
    assert (first[1]["aud"], first[1]["scope"]) == (AUDIENCE, "read")
    assert not any(token in str(upstream.seen()) for token in tokens)


def test_a_callers_token_is_exchanged_for_the_upstreams(
    gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint
) -> None:
    for name in ("carol", "dave"):
        token = mint.token(sub=name, scope="read")
        for _ in range(2):
            assert gateway.call("GET", "/exchange/items", bearer(token)).status == 200
    claims = [_sent(seen)[1] for seen in upstream.seen()]
    assert [item["sub"] for item in claims] == ["carol", "carol", "dave", "dave"]
    assert {item["aud"] for item in claims} == {UPSTREAM_AUDIENCE}
    assert provider.hits("/token") <= 2 * gateway.workers


@pytest.mark.parametrize("path", ["/herd/items", "/exchange-herd/items"])
def test_D3_a_thousand_first_calls_ask_the_provider_once(
    gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint, path: str
) -> None:
    headers = list(bearer(mint.token(sub="eve")).items())
    clients = [gateway.client() for _ in range(CALLERS)]
    try:
        for client in clients:
            client.request("GET", path, headers)
        statuses = [client.answer(deadline=60).status for client in clients]
    finally:
        for client in clients:
            client.close()
    assert statuses == [200] * CALLERS
    assert provider.hits("/token") == 1
    assert len({_sent(seen)[0] for seen in upstream.seen()}) == 1
    assert upstream.counts()["complete"] == CALLERS


def test_D3_a_token_that_the_upstream_refuses_is_replaced_once(
    gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint
) -> None:
    headers = bearer(mint.token())
    assert gateway.call("GET", "/refused/items", headers).status == 200
    assert provider.hits("/token") == 1
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(gateway.call, "GET", "/refused/status/401", headers) for _ in range(40)
        ]
        assert {call.result().status for call in calls} == {401}
    assert gateway.call("GET", "/refused/items", headers).status == 200
    assert provider.hits("/token") == 2
    tokens = [_sent(seen)[0] for seen in upstream.seen()]
    assert tokens[0] != tokens[-1]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/gone/items", 503, "provider_unavailable"),
        ("/badly/items", 503, "misconfigured"),
        ("/target/items", 503, "misconfigured"),
        ("/anyone/items", 403, "client_refused"),
    ],
)
def test_without_a_token_nothing_is_forwarded(
    gateway: Gateway, upstream: Upstream, mint: Mint, path: str, status: int, code: str
) -> None:
    answer = gateway.call("GET", path, bearer(mint.token()))
    assert (answer.status, answer.code) == (status, code)
    assert answer.get("retry-after") if status == 503 else True
    assert upstream.counts()["heads"] == 0


def test_a_token_that_the_provider_does_not_exchange_is_refused(
    gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint
) -> None:
    headers = bearer(mint.token(sub="mallory"))
    for _ in range(5):
        answer = gateway.call("GET", "/exchange/items", headers)
        assert (answer.status, answer.code) == (403, "client_refused")
    assert upstream.counts()["heads"] == 0
    assert provider.hits("/token") <= gateway.workers
    alice = bearer(mint.token(sub="alice"))
    assert gateway.call("GET", "/exchange/items", alice).status == 200


@pytest.mark.parametrize("mode", ["down", "500", "garbage", "html"])
def test_a_provider_that_fails_is_no_way_in(
    start: Start, gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint, mode: str
) -> None:
    """The keys are known already: it is the token alone that cannot be had."""
    headers = bearer(mint.token(sub=f"first-{mode}"))
    assert gateway.call("GET", "/own/items", headers).status == 200
    upstream.clear()
    try:
        provider.fault(mode, "/token")
        answer = gateway.call("GET", "/exchange/items", headers)
        assert (answer.status, answer.code) == (503, "provider_unavailable")
        assert upstream.counts()["heads"] == 0
        assert gateway.call("GET", "/own/items", headers).status == 200  # it is held
    finally:
        provider.fault("none")
    until(
        lambda: gateway.call("GET", "/exchange/items", headers).status == 200,
        20,
        "the provider is asked again",
    )


def test_in_report_mode_the_call_passes_without_the_token(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    answer = gateway.call("GET", "/reported/items", bearer(mint.token()))
    assert answer.status == 200
    (seen,) = upstream.seen()
    assert seen.all("authorization") == []
    expected = ["client_credentials: provider_unavailable"]
    until(lambda: _reported(gateway, answer.get("x-request-id")) == expected, 20, "the log line")


def _reported(gateway: Gateway, request_id: str | None) -> Any:
    for line in gateway.access_log().splitlines():
        entry = json.loads(line)
        if entry["id"] == request_id:
            return entry.get("reported")
    return None


def test_explain_asks_no_provider_and_shows_no_token(
    gateway: Gateway, provider: Provider, mint: Mint
) -> None:
    token = mint.token()
    told = gateway.command("explain", "GET", "/own/items", "-H", f"Authorization: Bearer {token}")
    assert told.code == 0, told.output
    assert "SHAPE client_credentials passes: the upstream is called with a token" in told.output
    assert "authorization: [redacted]" in told.output
    assert provider.hits("/token") == 0
    assert token not in told.output


def test_a_route_that_would_send_two_authorizations_is_refused(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    both = _document(provider, upstream)
    both["apis"].append(
        protected("both", upstream.url, _own(), {"forward_identity": {"authorization": "pass"}})
    )
    result = gateway.quick("apply_config", str(gateway.write(both)), "--dry-run")
    assert result.code == 2
    assert "would both send Authorization upstream" in result.output
    clientless = _document(provider, upstream, client=None)
    result = gateway.quick("apply_config", str(gateway.write(clientless)), "--dry-run")
    assert result.code == 2
    assert "has no client with a secret or a key" in result.output


def test_B4_no_token_and_no_secret_is_logged_or_left_in_clear(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    token = mint.token()
    for path in ("/own/items", "/exchange/items"):
        assert gateway.call("GET", path, bearer(token)).status == 200
    logged = gateway.log(20000) + gateway.access_log()
    stored = b"".join(
        path.read_bytes() for path in (gateway.folder / "data").iterdir() if path.is_file()
    )
    for seen in upstream.seen():
        granted, _ = _sent(seen)
        signature = granted.split(".")[2]
        assert signature not in logged
        assert signature.encode() not in stored
    assert secret("gateway") not in logged


def test_a_provider_that_is_switched_off_gives_no_token(
    start: Start, provider: Provider, upstream: Upstream, mint: Mint
) -> None:
    """Held or not: from then on every call is refused."""
    gateway = start(_switchable(provider, upstream, True))
    headers = bearer(mint.token())
    assert gateway.call("GET", "/own/items", headers).status == 200
    workers = gateway.client_of_each_worker()

    def codes() -> set[str | None]:
        for worker in workers:
            worker.request("GET", "/own/items", headers.items())
        return {worker.answer().code for worker in workers}

    assert codes() == {None}
    gateway.apply(_switchable(provider, upstream, False))
    until(lambda: codes() == {"provider_unavailable"}, 20, "the change in every worker")
    upstream.clear()
    assert codes() == {"provider_unavailable"}
    assert upstream.counts()["heads"] == 0
    for worker in workers:
        worker.close()


def _switchable(provider: Provider, upstream: Upstream, enabled: bool) -> Document:
    made = document(provider, protected("own", upstream.url, _own("machines")))
    made["providers"].append(acme(provider, name="machines", enabled=enabled))
    return made
