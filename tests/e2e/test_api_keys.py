"""API keys on the running gateway: issued, used, rotated, revoked, on every worker."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import acme, api, bearer
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

WORKERS = 2
SECOND = 1.0  # B5, and what each test allows besides for a busy machine
CONFIGURED = "partner-b-key-canary-77aa"


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, provider: Provider, backend: Backend) -> Gateway:
    identity = {"forward_identity": {"headers": {"X-Subject": "sub", "X-Credential": "credential"}}}
    either = [{"api_key": {}}, {"jwt": {"providers": ["acme"]}}, identity]
    reported = [{"api_key": {"mode": "report"}}, {"public": {}}]
    document = {
        "format": 1,
        "providers": [acme(provider)],
        "clients": [
            {"name": "partner-a"},
            {
                "name": "partner-b",
                "api_keys": [{"name": "main", "value": CONFIGURED, "scopes": ["read"]}],
            },
        ],
        "apis": [
            api("keyed", upstream.url, [{"api_key": {"scopes": ["read"]}}, identity]),
            api("named", upstream.url, [{"api_key": {"clients": ["partner-b"]}}]),
            api("either", upstream.url, either),
            api("reported", upstream.url, reported),
        ],
    }
    return start(document, backend(), workers=WORKERS)


@pytest.fixture
def workers(gateway: Gateway) -> Iterator[list[Client]]:
    """A connection to each worker."""
    clients = gateway.client_of_each_worker()
    yield clients
    for client in clients:
        client.close()


def status(client: Client, key: str, path: str = "/keyed/a") -> int:
    client.request("GET", path, [("X-API-Key", key)])
    return client.answer().status


def issue(gateway: Gateway, *options: str, client: str = "partner-a") -> str:
    result = gateway.quick("create_api_key", "--client", client, *options)
    assert result.code == 0, result.output
    return result.output.strip()


def test_B5_a_key_works_and_is_revoked_on_every_worker(
    gateway: Gateway, upstream: Upstream, workers: list[Client]
) -> None:
    upstream.clear()
    key = issue(gateway, "--scopes", "read")
    for client in workers:
        until(lambda client=client: status(client, key) == 200, SECOND + 9, "the new key")
    seen = upstream.seen()
    assert {request.get("x-subject") for request in seen} == {"partner-a"}
    assert not any(request.all("x-api-key") for request in seen)
    name = seen[0].get("x-credential")
    code = f"from oidc_clients.models import ApiKey; ApiKey.objects.get(name='{name}').delete()"
    assert gateway.quick("shell", "-c", code).code == 0
    for client in workers:
        until(lambda client=client: status(client, key) == 401, SECOND + 9, "the revocation")
    upstream.clear()
    for client in workers:
        assert status(client, key) == 401
    assert upstream.counts()["heads"] == 0


def test_B5_a_rotation_overlaps(gateway: Gateway, workers: list[Client]) -> None:
    old, new = (issue(gateway, "--scopes", "read") for _ in range(2))
    for client in workers:
        until(lambda client=client: status(client, new) == 200, SECOND + 9, "the new key")
        assert status(client, old) == 200


def test_B5_every_wrong_key_is_refused_and_nothing_reaches_the_upstream(
    gateway: Gateway, upstream: Upstream, workers: list[Client]
) -> None:
    scopeless = issue(gateway)
    for client in workers:
        until(lambda client=client: status(client, scopeless) == 403, SECOND + 9, "the key")
    upstream.clear()
    cases = [
        ("/keyed/a", None, 401, "credentials_missing"),
        ("/keyed/a", "", 401, "api_key_invalid"),
        ("/keyed/a", "gh_aaaaaaaa_" + "b" * 32, 401, "api_key_invalid"),
        ("/keyed/a", CONFIGURED.upper(), 401, "api_key_invalid"),
        ("/keyed/a", CONFIGURED + "x", 401, "api_key_invalid"),
        ("/keyed/a", scopeless, 403, "insufficient_scope"),
        ("/named/a", scopeless, 403, "client_refused"),
        (f"/keyed/a?api_key={CONFIGURED}", None, 401, "credentials_missing"),
        (f"/keyed/a?X-API-Key={CONFIGURED}", None, 401, "credentials_missing"),
    ]
    for target, key, expected, code in cases:
        answer = gateway.call("GET", target, {} if key is None else {"X-API-Key": key})
        assert (answer.status, answer.code) == (expected, code), (target, key, answer.body)
        assert answer.get("content-type") == "application/problem+json"
        if expected == 401:
            assert (answer.get("www-authenticate") or "").startswith("ApiKey realm="), target
        assert CONFIGURED not in answer.body.decode()
    assert upstream.counts()["heads"] == 0
    assert CONFIGURED not in gateway.log(20000)


def test_a_configured_key_works(gateway: Gateway) -> None:
    assert gateway.call("GET", "/keyed/a", {"X-API-Key": CONFIGURED}).status == 200
    assert gateway.call("GET", "/named/a", {"X-API-Key": CONFIGURED}).status == 200


def test_B2_a_key_beside_a_token_is_ambiguous(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    key = {"X-API-Key": CONFIGURED}
    token = bearer(mint.token())
    assert gateway.call("GET", "/either/a", key).status == 200
    assert gateway.call("GET", "/either/a", token).status == 200
    upstream.clear()
    answer = gateway.call("GET", "/either/a", key | token)
    assert (answer.status, answer.code) == (400, "credentials_ambiguous")
    answer = gateway.call("GET", "/either/a")
    assert answer.code == "credentials_missing"
    schemes = [value.split()[0] for value in answer.all("www-authenticate")]
    assert schemes == ["ApiKey", "Bearer"]
    assert upstream.counts()["heads"] == 0


def test_in_report_mode_a_wrong_key_passes_and_is_said(gateway: Gateway) -> None:
    answer = gateway.call("GET", "/reported/a", {"X-API-Key": "wrong"})
    assert answer.status == 200
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["api_key: api_key_invalid"]
    counted = (logged["route"], "api_key", "api_key_invalid")
    until(lambda: gateway.reported().get(counted) == 1, 10, "the counter")
