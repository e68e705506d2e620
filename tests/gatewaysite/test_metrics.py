"""The counters of all workers, as Prometheus reads them."""

from pathlib import Path

import pytest
from django.test import Client

from apis.gateway.observe import AccessLog, Metrics, Observer
from gatewaysite import metrics


def _observer(*calls: tuple[str, int, str, float]) -> Observer:
    observer = Observer(AccessLog("off"), Metrics(), lambda: 0.0)
    for call in calls:
        observer.metrics.count(*call)
    return observer


def _written_by(pid: int, observer: Observer, data_dir: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("os.getpid", lambda: pid)
    metrics.publish(observer, data_dir)


def test_the_workers_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.begin(tmp_path)
    first = _observer(("orders", 200, "", 0.003), ("orders", 401, "token_expired", 0.0002))
    second = _observer(("orders", 200, "", 0.2))
    second.metrics.count_report("orders", "limit", "rate_limited")
    first.metrics.count_outage("limit", "local")
    second.metrics.count_outage("limit", "local")
    _written_by(11, first, tmp_path, monkeypatch)
    _written_by(12, second, tmp_path, monkeypatch)
    _written_by(12, second, tmp_path, monkeypatch)  # a worker replaces what it wrote before
    lines = metrics.exposition(metrics.collect(tmp_path)).splitlines()
    assert 'gatehouse_requests_total{route="orders",status="200",code=""} 2' in lines
    assert 'gatehouse_requests_total{route="orders",status="401",code="token_expired"} 1' in lines
    assert 'gatehouse_reported_total{route="orders",policy="limit",code="rate_limited"} 1' in lines
    assert 'gatehouse_limit_outages_total{policy="limit",on_failure="local"} 2' in lines
    assert 'gatehouse_request_seconds_bucket{route="orders",le="0.001"} 1' in lines
    assert 'gatehouse_request_seconds_bucket{route="orders",le="0.005"} 2' in lines
    assert 'gatehouse_request_seconds_bucket{route="orders",le="+Inf"} 3' in lines
    assert 'gatehouse_request_seconds_count{route="orders"} 3' in lines
    assert "gatehouse_access_log_lost_total 0" in lines


def test_a_new_start_of_the_proxy_begins_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.begin(tmp_path)
    _written_by(11, _observer(("orders", 200, "", 0.003)), tmp_path, monkeypatch)
    metrics.begin(tmp_path)
    assert not metrics.collect(tmp_path).calls


def test_a_label_cannot_break_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.begin(tmp_path)
    _written_by(11, _observer(('a"b\\c\nd', 200, "", 0.1)), tmp_path, monkeypatch)
    text = metrics.exposition(metrics.collect(tmp_path))
    assert 'route="a\\"b\\\\c\\nd"' in text


def test_the_console_shows_them(client: Client) -> None:
    answer = client.get("/metrics", headers={"host": "localhost"})
    assert answer.status_code == 200
    assert answer["content-type"] == metrics.CONTENT_TYPE
    assert b"# TYPE gatehouse_requests_total counter" in answer.content
    assert client.post("/metrics", headers={"host": "localhost"}).status_code in (403, 405)
