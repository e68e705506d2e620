"""Keys change, and providers fail, under load: no valid token is refused for it."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture
def gateway(
    start: Start, provider: Provider, upstream: Upstream, backend: Backend
) -> Iterator[Gateway]:
    """Fresh for each test: the cool-down of an earlier fetch must not be in the way."""
    installation = start(standard(provider, upstream), backend(), workers=4)
    yield installation
    installation.stop()


@pytest.fixture
def on_sqlite(start: Start, provider: Provider, upstream: Upstream) -> Iterator[Gateway]:
    """The same where the way of keeping state makes no difference."""
    installation = start(standard(provider, upstream))
    yield installation
    installation.stop()
    provider.fault("none")


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


def test_J8_a_dropped_key_gives_way_and_the_new_one_is_taken_up_at_once(
    gateway: Gateway, provider: Provider
) -> None:
    before = provider.token()
    assert gateway.call("GET", "/orders/id/1", bearer(before)).status == 200
    provider.rotate(drop=True)
    after = provider.token()
    for _ in range(8):  # whichever worker accepts
        assert gateway.call("GET", "/orders/id/1", bearer(after)).status == 200
    result = gateway.quick("rotate_jwks")
    assert result.code == 0, result.output
    assert gateway.call("GET", "/orders/id/1", bearer(after)).status == 200


@pytest.mark.parametrize("mode", ["down", "500", "garbage", "html", "slow"])
def test_F3_a_provider_that_fails_costs_nothing_while_its_keys_are_known(
    on_sqlite: Gateway, provider: Provider, mode: str
) -> None:
    gateway, token = on_sqlite, provider.token()
    with Load(gateway.address, [token], 4) as load:
        load.await_answers(50)
        provider.fault(mode)
        refused = gateway.call("GET", "/orders/id/1", bearer(_stranger(provider)))
        assert refused.status in (401, 503), refused.body
        assert refused.code in ("key_unknown", "provider_unavailable")
        load.await_answers(200)
        provider.fault("none")
    assert load.totals.spotless(), load.totals
    assert load.totals.longest < 5, load.totals.longest


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
