"""``quota`` as a client meets it: used up, told, and remembered by whatever is started anew."""

import signal

import http_sf
import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.servers import Postgres, Redis, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["sqlite", "postgres-redis"])
def gateway(
    request: pytest.FixtureRequest, start: Start, provider: Provider, upstream: Upstream
) -> Gateway:
    environ = {}
    if request.param == "postgres-redis":
        postgres: Postgres = request.getfixturevalue("postgres_server")
        redis: Redis = request.getfixturevalue("own_redis")
        environ = {
            "GATEHOUSE_DATABASE_URL": postgres.database(),
            "GATEHOUSE_STATE_URL": redis.database(),
        }
    url = upstream.url
    quota = {"quota": {"limit": 5, "per": "month"}}
    watched = {"quota": {"limit": 1, "per": "day", "by": "route", "mode": "report"}}
    return start(
        document(
            provider,
            protected("orders", url, quota),
            api("watched", url, [{"public": {}}, watched]),
        ),
        environ,
    )


def calls(gateway: Gateway, token: str, count: int) -> list[int]:
    answers = [gateway.call("GET", "/orders/id/1", bearer(token)) for _ in range(count)]
    return [answer.status for answer in answers]


def test_R3_a_quota_is_told_and_used_up(gateway: Gateway, upstream: Upstream, mint: Mint) -> None:
    upstream.clear()
    token = mint.token(sub="one")
    answers = [gateway.call("GET", "/orders/id/1", bearer(token)) for _ in range(7)]
    states = [http_sf.parse(a.get("ratelimit").encode(), tltype="list") for a in answers]
    assert [(name, parameters["r"]) for ((name, parameters),) in states] == [
        ("quota", left) for left in (4, 3, 2, 1, 0, 0, 0)
    ]
    assert all(0 < parameters["t"] <= 31 * 86400 for ((_, parameters),) in states)
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert upstream.counts()["heads"] == 5
    refused = answers[-1]
    assert refused.code == "quota_exhausted"
    assert 1 <= int(refused.get("retry-after")) <= 31 * 86400
    assert answers[0].get("ratelimit-policy").startswith('"quota";q=5;w=')
    assert calls(gateway, mint.token(sub="another"), 1) == [200]


def test_in_report_mode_calls_pass_and_are_counted(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    assert [gateway.call("GET", "/watched/id/1").status for _ in range(3)] == [200] * 3
    assert upstream.counts()["heads"] == 3
    line = '"reported":["quota: quota_exhausted"]'
    until(lambda: gateway.access_log().count(line) == 2, 10, "the reports in the log")


def test_a_quota_survives_the_end_of_the_gateway_and_of_its_shared_state(
    gateway: Gateway, mint: Mint, request: pytest.FixtureRequest, upstream: Upstream
) -> None:
    token = mint.token(sub="steady")
    assert calls(gateway, token, 3) == [200] * 3
    gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(30) == 0
    if "GATEHOUSE_STATE_URL" in gateway.environ:
        redis: Redis = request.getfixturevalue("own_redis")
        redis.process.process.kill()
        redis.process.wait(10)
        redis.start()
    else:
        for path in (gateway.folder / "data").glob("state.sqlite3*"):
            path.unlink()
    gateway.serve("--only", "proxy")
    upstream.clear()
    assert calls(gateway, token, 4) == [200, 200, 429, 429]
    assert upstream.counts()["heads"] == 2


@pytest.mark.parametrize("gateway", ["postgres-redis"], indirect=True)
def test_a_quota_survives_a_redis_that_is_killed_under_running_workers(
    gateway: Gateway, mint: Mint, own_redis: Redis
) -> None:
    token = mint.token(sub="kept")
    assert calls(gateway, token, 3) == [200] * 3
    until(lambda: _written(gateway, "kept") == 3, 10, "what was used, in the database")
    own_redis.process.process.kill()
    own_redis.process.wait(10)
    down = gateway.call("GET", "/orders/id/1", bearer(token))
    assert (down.status, down.code) == (503, "state_unavailable")
    own_redis.start()
    statuses: list[int] = []

    def used_up() -> bool:
        statuses.extend(calls(gateway, token, 1))
        return statuses[-1] == 429

    until(used_up, 20, "the rest of the quota")
    assert statuses.count(200) == 2
    assert set(statuses) <= {200, 429, 503}


def _written(gateway: Gateway, subject: str) -> int:
    code = (
        "from policies.models import QuotaUsage as Q; "
        f"print('used', sum(Q.objects.filter(key__contains='{subject}')"
        ".values_list('used', flat=True)))"
    )
    output = gateway.quick("shell", "-v", "0", "-c", code).output
    return int(output.rpartition("used ")[2] or 0)
