"""J14: what was taken back is refused by every worker, remembered or not, and stays out."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

WORKERS = 4
Record = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    return start(standard(provider, upstream), workers=WORKERS)


@pytest.fixture(scope="module")
def clients(gateway: Gateway) -> Iterator[list[Client]]:
    """A connection to each worker."""
    made = gateway.client_of_each_worker()
    yield made
    for client in made:
        client.close()


def code(client: Client, token: str) -> str | None:
    """What a worker says to a token; None: it was let through."""
    client.request("GET", "/orders/id/1", bearer(token).items())
    answer = client.answer()
    assert answer.status in (200, 401), answer
    return answer.code


def await_code(clients: list[Client], token: str, expected: str | None) -> float:
    """Until every worker says so; when it was, in seconds since the epoch."""
    for client in clients:
        until(lambda c=client: code(c, token) == expected, 10, f"{expected} of every worker")
    return time.time()


@pytest.mark.parametrize(
    ("claims", "arguments"),
    [
        ({"jti": "one"}, ["--jti", "one"]),
        ({"sub": "mallory"}, ["--subject", "mallory"]),
        ({"client_id": "reader"}, ["--client", "reader"]),
    ],
)
def test_J14_what_is_taken_back_is_refused_by_every_worker(
    gateway: Gateway,
    clients: list[Client],
    upstream: Upstream,
    mint: Mint,
    record_property: Record,
    claims: dict[str, str],
    arguments: list[str],
) -> None:
    issued = int(time.time()) - 5
    token, other = mint.token(iat=issued, **claims), mint.token(iat=issued, jti="other")
    for client in clients:
        assert code(client, token) is None  # remembered from now on
        assert code(client, other) is None
    with Load(gateway.address, [other], 4) as load:
        result = gateway.quick("revoke", "--provider", "acme", *arguments)
        assert result.code == 0, result.output
        seen = await_code(clients, token, "token_revoked")
        load.await_answers(50)
    assert load.totals.spotless(), load.totals
    record_property("revoked_on_4_workers_s", round(seen - result.at, 3))
    upstream.clear()
    for client in clients:
        for _ in range(3):
            assert code(client, token) == "token_revoked"
    assert gateway.call("GET", "/orders/id/1", bearer(token)).get("www-authenticate")
    assert upstream.counts()["heads"] == 0
    fresh = mint.token(iat=int(time.time()) + 1, **{**claims, "jti": "fresh"})
    assert all(code(client, fresh) is None for client in clients)


def test_J14_a_provider_that_is_switched_off_is_refused_cached_or_not(
    gateway: Gateway,
    clients: list[Client],
    provider: Provider,
    upstream: Upstream,
    mint: Mint,
    record_property: Record,
) -> None:
    token = mint.token(jti="known")
    for client in clients:
        assert code(client, token) is None
    off = standard(provider, upstream)
    off["providers"][0]["enabled"] = False
    result = gateway.apply(off)
    try:
        seen = await_code(clients, token, "token_issuer")
        record_property("switched_off_on_4_workers_s", round(seen - result.at, 3))
        upstream.clear()
        for client in clients:
            assert code(client, token) == "token_issuer"
            assert code(client, mint.token(jti="new")) == "token_issuer"
        assert upstream.counts()["heads"] == 0
    finally:
        gateway.apply(standard(provider, upstream))
    await_code(clients, token, None)


def test_J14_all_tokens_of_a_provider_are_taken_back_at_once(
    gateway: Gateway, clients: list[Client], upstream: Upstream, mint: Mint
) -> None:
    issued = int(time.time()) - 5
    token, undated = mint.token(iat=issued, jti="a"), mint.token(iat=None, jti="b")
    for client in clients:
        assert code(client, token) is code(client, undated) is None
    result = gateway.quick("revoke", "--provider", "acme", "--all", "--reason", "key leaked")
    assert result.code == 0, result.output
    await_code(clients, token, "token_revoked")
    upstream.clear()
    for client in clients:
        assert code(client, token) == code(client, undated) == "token_revoked"
    assert upstream.counts()["heads"] == 0
