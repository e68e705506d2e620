"""R1 and reliability figure 19: what four workers admit together, far above the limit."""

import time
from bisect import bisect
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Client
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

WORKERS = 4
LIMIT = 100
EVENTUAL = 1000


def _limited(name: str, url: str, **options: object) -> dict[str, object]:
    return api(name, url, [{"public": {}}, {"rate_limit": {"by": "route", **options}}])


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, backend: Backend) -> Gateway:
    url = upstream.url
    day = {"limit": LIMIT, "per": 86400}
    quota = {"quota": {"limit": LIMIT, "per": "month", "by": "route"}}
    eventual = {"limit": EVENTUAL, "per": 86400, "accuracy": "eventual"}
    return start(
        document(
            None,
            _limited("fixed", url, **day, algorithm="fixed_window"),
            _limited("sliding", url, **day, algorithm="sliding_window"),
            _limited("short", url, limit=40, per=1, algorithm="sliding_window"),
            _limited("gcra", url, limit=100, per=1, burst=20),
            _limited("eventual", url, **eventual, algorithm="fixed_window"),
            api("quota", url, [{"public": {}}, quota]),
        ),
        backend(),
        workers=WORKERS,
    )


class Passed(NamedTuple):
    """One call that was admitted: when it was sent, and when its answer was there."""

    sent: float
    answered: float


def rush(gateway: Gateway, prefix: str, calls: int) -> list[Passed]:
    """``calls`` from each of sixteen connections, four to each worker, all at once."""
    clients = [client for _ in range(4) for client in gateway.client_of_each_worker()]
    with ThreadPoolExecutor(len(clients)) as pool:
        found = pool.map(lambda client: _calls(client, f"/{prefix}/id/1", calls), clients)
        return sorted(passed for part in found for passed in part)


def _calls(client: Client, path: str, calls: int) -> list[Passed]:
    passed = []
    with client:
        for _ in range(calls):
            sent = time.monotonic()
            client.request("GET", path)
            answer = client.answer()
            assert answer.status in (200, 429), answer
            assert answer.get("ratelimit")
            assert answer.get("ratelimit-policy")
            if answer.status == 200:
                passed.append(Passed(sent, time.monotonic()))
            else:
                assert int(answer.get("retry-after")) >= 1
    return passed


@pytest.mark.parametrize("kind", ["fixed", "sliding", "quota"])
def test_R1_four_workers_together_admit_the_limit_and_not_one_more(
    gateway: Gateway, upstream: Upstream, kind: str
) -> None:
    upstream.clear()
    assert len(rush(gateway, kind, 10 * LIMIT // 16 + 1)) == LIMIT
    assert upstream.counts()["heads"] == LIMIT


def test_R1_four_workers_never_pass_burst_and_what_came_back(
    gateway: Gateway, upstream: Upstream
) -> None:
    """For every stretch of the rush: burst + elapsed x limit / per bounds what it admitted."""
    upstream.clear()
    passed = rush(gateway, "gcra", 60)
    assert len(passed) == upstream.counts()["heads"]
    assert len(passed) >= 20
    ends = sorted(item.answered for item in passed)
    for item in passed:
        for end in ends[bisect(ends, item.sent) :]:
            within = [p for p in passed if p.sent >= item.sent and p.answered <= end]
            assert len(within) <= 20 + (end - item.sent) * 100


def test_R1_no_second_of_a_sliding_window_has_more_than_the_limit(gateway: Gateway) -> None:
    passed = rush(gateway, "short", 60)
    for item in passed:
        within = [p for p in passed if p.sent >= item.sent and p.answered < item.sent + 1]
        assert len(within) <= 40


def test_R1_eventual_stays_within_what_four_workers_may_take_in_advance(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    passed = rush(gateway, "eventual", EVENTUAL // 10)
    most_idle = WORKERS * (EVENTUAL // 50)
    assert EVENTUAL - most_idle <= len(passed) <= EVENTUAL
    assert upstream.counts()["heads"] == len(passed)
