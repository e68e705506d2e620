"""F1, F2: the database or the counters go away under load, and come back."""

from collections.abc import Iterator

import pytest

from gatewaysite.metrics import collect
from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, protected, standard
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Client
from tests.e2e.servers import Postgres, Redis, started, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """One of its own: it is stopped."""
    yield from started(Postgres)


OTHERS = {"quota": {"per": "month"}, "concurrency": {}}


def _limited(on_failure: str) -> dict[str, object]:
    return {"rate_limit": {"limit": 100000, "per": 60, "by": "route", "on_failure": on_failure}}


@pytest.fixture(scope="module")
def gateway(
    start: Start, provider: Provider, upstream: Upstream, postgres: Postgres, own_redis: Redis
) -> Gateway:
    document = standard(provider, upstream)
    for choice in ("deny", "local", "allow"):
        document["apis"].append(protected(choice, upstream.url, _limited(choice)))
        for kind, options in OTHERS.items():
            limit = {kind: {"limit": 2, "by": "route", "on_failure": choice, **options}}
            document["apis"].append(protected(f"{kind}-{choice}", upstream.url, limit))
    return start(
        document,
        {
            "GATEHOUSE_DATABASE_URL": postgres.database(),
            "GATEHOUSE_STATE_URL": own_redis.database(),
        },
    )


def test_F1_without_the_database_traffic_goes_on_and_a_new_worker_serves_the_last_good(
    gateway: Gateway, provider: Provider, mint: Mint, upstream: Upstream, postgres: Postgres
) -> None:
    """And neither they nor the new one forget what was revoked."""
    token, revoked = provider.token(), mint.token(jti="revoked")
    assert gateway.quick("revoke", "--provider", "acme", "--jti", "revoked").code == 0
    for client in gateway.client_of_each_worker():
        until(lambda c=client: _refused(c, revoked), 10, "the revocation")
        client.close()
    with Load(gateway.address, [token], 4) as load:
        load.await_answers(50)
        postgres.halt()
        load.await_answers(300)
        victim = gateway.worker_pids()[0]
    assert load.totals.spotless(), load.totals

    gateway.worker(victim).kill()
    until(lambda: victim not in gateway.worker_pids(), 30, "the worker to end")
    for client in gateway.client_of_each_worker():  # the new one among them
        client.request("GET", "/orders/id/1", bearer(token).items())
        assert client.answer().status == 200
        assert _refused(client, revoked)
        client.close()

    postgres.start()
    changed = standard(provider, upstream)
    changed["apis"].append(api("after", upstream.url))
    gateway.apply(changed)
    until(lambda: gateway.call("GET", "/after/id/1").status == 200, 15, "the change")


def _refused(client: Client, token: str) -> bool:
    client.request("GET", "/orders/id/1", bearer(token).items())
    return client.answer().code == "token_revoked"


def _outages_are_shown(gateway: Gateway) -> None:
    """Each limit's, by what it declares, in the counters that the console sums up."""
    kinds = ("rate_limit", *OTHERS)
    expected = {(kind, choice) for kind in kinds for choice in ("deny", "local", "allow")}
    folder = gateway.folder / "data"
    until(lambda: set(collect(folder).outages) == expected, 10, "the outages in the counters")


def test_F2_without_the_counters_each_route_does_as_it_declares(
    gateway: Gateway, provider: Provider, own_redis: Redis
) -> None:
    fields = bearer(provider.token())
    for choice in ("deny", "local", "allow", "orders"):
        assert gateway.call("GET", f"/{choice}/id/1", fields).status == 200
    with Load(gateway.address, [provider.token()], 4) as load:
        load.await_answers(50)
        own_redis.process.process.kill()
        own_redis.process.wait(10)
        denied = gateway.call("GET", "/deny/id/1", fields)
        assert (denied.status, denied.code) == (503, "state_unavailable")
        assert denied.get("retry-after")
        for choice in ("local", "allow", "orders"):
            assert gateway.call("GET", f"/{choice}/id/1", fields).status == 200
        for kind in OTHERS:
            denied = gateway.call("GET", f"/{kind}-deny/id/1", fields)
            assert (denied.status, denied.code) == (503, "state_unavailable")
            for choice in ("local", "allow"):
                assert gateway.call("GET", f"/{kind}-{choice}/id/1", fields).status == 200
        _outages_are_shown(gateway)
        load.await_answers(200)
        own_redis.start()
        until(lambda: gateway.call("GET", "/deny/id/1", fields).status == 200, 10, "the recovery")
        load.await_answers(50)
    assert load.totals.spotless(), load.totals
    assert load.totals.longest < 5, load.totals.longest
