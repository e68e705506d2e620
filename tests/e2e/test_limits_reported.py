"""``rate_limit`` and ``body_limit`` in report mode: counted, logged, and nobody is refused."""

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.provider import Provider
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


def test_limits_in_report_mode_count_and_refuse_nobody(
    start: Start, provider: Provider, upstream: Upstream
) -> None:
    policies = [
        {"public": {}},
        {"rate_limit": {"limit": 1, "per": 3600, "by": "route", "mode": "report"}},
        {"body_limit": {"max_bytes": 3, "mode": "report"}},
    ]
    gateway = start(document(provider, api("watched", upstream.url, policies)), workers=1)
    upstream.clear()
    small = gateway.call("POST", "/watched/a", {}, b"abc")
    large = gateway.call("POST", "/watched/a", {}, b"abcd")
    assert (small.status, large.status) == (200, 200)
    assert [seen.body for seen in upstream.seen()] == ["abc", "abcd"]
    assert "reported" not in gateway.logged(small.get("x-request-id"))
    logged = gateway.logged(large.get("x-request-id"))
    assert sorted(logged["reported"]) == ["body_limit: body_too_large", "rate_limit: rate_limited"]
    assert "code" not in logged
    route = "watched ANY /{rest*}"
    expected = {
        (route, "rate_limit", "rate_limited"): 1,
        (route, "body_limit", "body_too_large"): 1,
    }
    until(lambda: gateway.reported() == expected, 20, "both counters")
