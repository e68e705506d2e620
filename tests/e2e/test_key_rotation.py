"""Keys change, and providers fail, under load: no valid token is refused for it."""

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    return start(standard(provider, upstream), backend(), workers=4)


def test_J8_rotation_under_load_refuses_no_valid_token(
    gateway: Gateway, provider: Provider
) -> None:
    tokens = [provider.token()]
    numbers = iter(range(10**9))
    with Load(gateway.address, lambda: tokens[next(numbers) % len(tokens)], 8) as load:
        load.await_answers(100)
        provider.rotate()
        tokens.append(provider.token())  # half of the load comes with the new key from here on
        load.await_answers(400)
    assert load.totals.spotless(), load.totals


def test_J8_a_withdrawn_key_is_refused_by_every_worker_after_a_refresh(
    gateway: Gateway, provider: Provider
) -> None:
    """Also for a token that was verified, and is remembered, with the key that is gone."""
    before = provider.token()
    clients = gateway.client_of_each_worker()
    assert [_status(client, before) for client in clients] == [200] * 4
    provider.rotate(drop=True)
    after = provider.token()
    result = gateway.quick("rotate_jwks", "--provider", "acme")
    assert result.code == 0, result.output
    for client in clients:
        until(lambda c=client: _status(c, after) == 200, 10, "the new key")
        until(lambda c=client: _status(c, before) == 401, 10, "the old key to be gone")
        client.close()


def _status(client: Client, token: str) -> int:
    client.request("GET", "/orders/id/1", bearer(token).items())
    return client.answer().status


def test_F3_a_provider_that_fails_costs_nothing_while_its_keys_are_known(
    start: Start, provider: Provider, upstream: Upstream
) -> None:
    """Keys are asked for while it fails, by a command and by tokens of unknown keys."""
    gateway, token = start(standard(provider, upstream)), provider.token()
    try:
        with Load(gateway.address, [token], 4) as load:
            load.await_answers(50)
            for mode in ("down", "500", "garbage", "html", "slow"):
                provider.fault(mode)
                assert gateway.quick("rotate_jwks").code != 0, mode
                refused = gateway.call("GET", "/orders/id/1", bearer(_stranger(provider)))
                assert refused.code in ("key_unknown", "provider_unavailable"), mode
                load.await_answers(100)
    finally:
        provider.fault("none")
    assert load.totals.spotless(), load.totals
    assert load.totals.longest < 5, load.totals.longest
    assert gateway.quick("rotate_jwks").code == 0


def _stranger(provider: Provider) -> str:
    return Mint(provider.issuer, provider.private_keys()).unknown_kid(1)


def test_F3_without_any_key_the_answer_is_503_and_the_upstream_sees_nothing(
    start: Start, provider: Provider, upstream: Upstream
) -> None:
    token = provider.token()
    provider.fault("down")
    try:
        fresh = start(standard(provider, upstream))
        upstream.clear()
        answer = fresh.call("GET", "/orders/id/1", bearer(token))
        assert (answer.status, answer.code) == (503, "provider_unavailable")
        assert answer.get("retry-after")
        assert upstream.counts()["heads"] == 0
        assert fresh.call("GET", "/open/id/1").status == 200
    finally:
        provider.fault("none")


def test_J7_unknown_kids_do_not_become_a_fetch_storm(
    gateway: Gateway, provider: Provider, mint: Mint
) -> None:
    token = provider.token()
    assert gateway.call("GET", "/orders/id/1", bearer(token)).status == 200
    provider.hits(reset=True)
    strangers = [mint.unknown_kid(number) for number in range(1000)]
    with Load(gateway.address, [token], 2) as good, Load(gateway.address, strangers, 64) as bad:
        bad.await_answers(2000, seconds=60)
        good.await_answers(100)
    assert good.totals.spotless(), good.totals
    assert set(bad.totals.statuses) == {401}, bad.totals
    assert provider.hits() <= 3
