"""The workers' counters, summed and shown to Prometheus by the console process.

Each proxy worker writes its own counters to a file of its own every second; the console adds
the files up when it is asked. A worker that ended keeps counting with what it had, until the
proxy is started anew: then all files go, and the counters begin at zero, as Prometheus expects
of a restart. Format: Prometheus text exposition 0.0.4.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apis.gateway.observe import BUCKETS, Observer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def directory(data_dir: Path) -> Path:
    """Where the workers of this machine leave their counters."""
    return data_dir / "metrics"


def begin(data_dir: Path) -> None:
    """The proxy starts: nothing of an earlier one counts."""
    place = directory(data_dir)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in place.glob("*.json"):
        path.unlink(missing_ok=True)


def publish(observer: Observer, data_dir: Path) -> None:
    """Write this worker's counters, whole. Raises ``OSError``."""
    path = directory(data_dir) / f"{os.getpid()}.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(orjson.dumps(observer.snapshot()))
    fresh.replace(path)


class Sum:
    """The counters of several workers together."""

    def __init__(self, snapshots: Iterable[dict[str, Any]]) -> None:
        self.calls: Counter[tuple[str, int, str]] = Counter()
        self.reported: Counter[tuple[str, str, str]] = Counter()
        self.outages: Counter[tuple[str, str]] = Counter()
        self.durations: dict[str, list[int]] = {}
        self.seconds: Counter[str] = Counter()
        self.lost = 0
        for snapshot in snapshots:
            self._add(snapshot)

    def _add(self, snapshot: dict[str, Any]) -> None:
        for *key, count in snapshot["calls"]:
            self.calls[tuple(key)] += count
        for *key, count in snapshot["reported"]:
            self.reported[tuple(key)] += count
        for *key, count in snapshot["outages"]:
            self.outages[tuple(key)] += count
        for route, buckets, seconds in snapshot["durations"]:
            so_far = self.durations.setdefault(route, [0] * len(buckets))
            self.durations[route] = [a + b for a, b in zip(so_far, buckets, strict=True)]
            self.seconds[route] += seconds
        self.lost += snapshot["lost"]


def collect(data_dir: Path) -> Sum:
    """The counters of every worker since the proxy was started."""
    paths = sorted(directory(data_dir).glob("*.json"))
    return Sum(orjson.loads(path.read_bytes()) for path in paths)


def exposition(total: Sum) -> str:
    """The page that Prometheus reads."""
    return "\n".join(_lines(total)) + "\n"


def _lines(total: Sum) -> Iterator[str]:
    yield "# HELP gatehouse_requests_total Requests by route, status and refusal code."
    yield "# TYPE gatehouse_requests_total counter"
    for (route, status, code), count in sorted(total.calls.items()):
        labels = _labels(route=route, status=str(status), code=code)
        yield f"gatehouse_requests_total{labels} {count}"
    yield "# HELP gatehouse_reported_total What policies in report mode did not do, by its code."
    yield "# TYPE gatehouse_reported_total counter"
    for (route, policy, code), count in sorted(total.reported.items()):
        labels = _labels(route=route, policy=policy, code=code)
        yield f"gatehouse_reported_total{labels} {count}"
    yield "# HELP gatehouse_limit_outages_total Limits decided by on_failure, without shared state."
    yield "# TYPE gatehouse_limit_outages_total counter"
    for (policy, on_failure), count in sorted(total.outages.items()):
        labels = _labels(policy=policy, on_failure=on_failure)
        yield f"gatehouse_limit_outages_total{labels} {count}"
    yield "# HELP gatehouse_request_seconds Time from a request's head to the end of its answer."
    yield "# TYPE gatehouse_request_seconds histogram"
    for route, buckets in sorted(total.durations.items()):
        yield from _histogram(route, buckets, total.seconds[route])
    yield "# HELP gatehouse_access_log_lost_total Access-log lines that could not be written."
    yield "# TYPE gatehouse_access_log_lost_total counter"
    yield f"gatehouse_access_log_lost_total {total.lost}"


def _histogram(route: str, buckets: list[int], seconds: float) -> Iterator[str]:
    below = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        below += count
        yield f"gatehouse_request_seconds_bucket{_labels(route=route, le=bound)} {below}"
    yield f"gatehouse_request_seconds_sum{_labels(route=route)} {seconds}"
    yield f"gatehouse_request_seconds_count{_labels(route=route)} {below}"


def _labels(**labels: str) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """``/metrics`` of the console listener, for whoever may reach that listener."""
    total = collect(settings.ENVIRONMENT.data_dir)
    return HttpResponse(exposition(total), content_type=CONTENT_TYPE)
