"""What is remembered of every call: one access-log line and a few counters.

Both are cheap enough for every request: lines are collected and written in batches, counters
are plain dictionaries of this worker. ``Observer.snapshot`` is summed over the workers by the
console process. Nothing here holds a token, a query, a header value or a body.
"""

import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

import orjson

from policies.core.values import Call

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LINES_AT_ONCE = 64


class AccessLog:
    """JSON lines to a file or to standard output; ``off`` writes nothing.

    A line that cannot be written is counted in ``lost``, never raised: a full disk must not
    stop traffic.
    """

    def __init__(self, target: str) -> None:
        self._lines: list[bytes] = []
        self.lost = 0
        self._path: Path | None = None
        self._file: int | None = None
        if target == "-":
            self._file = 1
        elif target != "off":
            self._path = Path(target)
            self._file = _open(self._path)
        self.enabled = self._file is not None

    def add(self, entry: dict[str, object]) -> None:
        self._lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= _LINES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        if not self._lines or self._file is None:
            return
        lines, self._lines = self._lines, []
        try:
            os.write(self._file, b"".join(lines))
        except OSError:
            self.lost += len(lines)

    def reopen(self) -> None:
        """Follow a file that was rotated away."""
        self.flush()
        if self._path is None or self._file is None:
            return
        try:
            moved = os.stat(self._path).st_ino != os.fstat(self._file).st_ino
        except FileNotFoundError:
            moved = True
        if moved:
            try:
                fresh = _open(self._path)
            except OSError:  # the old file takes the lines until a new one can be made
                return
            os.close(self._file)
            self._file = fresh


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)


class Metrics:
    """Counters of one worker since it started."""

    def __init__(self) -> None:
        # route, status and code -> how many calls lasted how long, by BUCKETS, and their seconds
        self._series: dict[tuple[str, int, str], list[float]] = {}
        self.reported: dict[tuple[str, str, str], int] = {}
        self.outages: dict[tuple[str, str], int] = {}

    def count(self, route: str, status: int, code: str, seconds: float) -> None:
        key = (route, status, code)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = [0] * (len(BUCKETS) + 2)
        series[bisect_left(BUCKETS, seconds)] += 1
        series[-1] += seconds

    def count_report(self, route: str, policy: str, code: str) -> None:
        """A policy in report mode would have refused."""
        key = (route, policy, code)
        self.reported[key] = self.reported.get(key, 0) + 1

    def count_outage(self, policy: str, on_failure: str) -> None:
        """A limit was decided without shared state, by its ``on_failure``."""
        key = (policy, on_failure)
        self.outages[key] = self.outages.get(key, 0) + 1

    def snapshot(self) -> dict[str, object]:
        """Everything, as plain JSON values."""
        durations: dict[str, list[float]] = {}
        for (route, _, _), series in self._series.items():
            before = durations.get(route, [0] * len(series))
            durations[route] = [sum(pair) for pair in zip(before, series, strict=True)]
        return {
            "calls": [[*key, sum(series[:-1])] for key, series in self._series.items()],
            "durations": [[route, v[:-1], v[-1]] for route, v in durations.items()],
            "reported": [[*key, count] for key, count in self.reported.items()],
            "outages": [[*key, count] for key, count in self.outages.items()],
        }


class Observer:
    """One worker's log and counters."""

    def __init__(self, log: AccessLog, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.log = log
        self.metrics = metrics
        self._clock = clock

    def record(self, call: Call, status: int, code: str, seconds: float) -> None:
        """One finished call. ``code`` is the refusal's code, or empty."""
        self.metrics.count(call.route, status, code, seconds)
        if not self.log.enabled:
            return
        request = call.request
        entry = {
            "time": call.now,
            "id": request.id,
            "client": request.client,
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "route": call.route,
            "status": status,
            "seconds": seconds,
        }
        if code:
            entry["code"] = code
        if call.reported:
            entry["reported"] = call.reported
        identity = call.identity
        if identity is not None and identity.subject:
            entry["subject"] = identity.subject
            entry["provider"] = identity.provider
        self.log.add(entry)

    def snapshot(self) -> dict[str, object]:
        """This worker's numbers, as plain JSON values."""
        return {**self.metrics.snapshot(), "lost": self.log.lost}

    def reported(self, policy: str, call: Call, code: str) -> None:
        """A policy in report mode objected to this call."""
        self.metrics.count_report(call.route, policy, code)
        call.reported.append(f"{policy}: {code}")

    def malformed(self, client: str, status: int, code: str) -> None:
        """A message that was refused before it became a request."""
        self.metrics.count("", status, code, 0.0)
        if self.log.enabled:
            entry = {"time": self._clock(), "client": client, "status": status, "code": code}
            self.log.add(entry)
