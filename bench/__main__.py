"""Run every proxy in turn, several rounds, and print one table of medians and ratios; then one of
what each policy kind costs a request."""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from bench import kinds, proxies
from bench.load import Result, run_wrk
from bench.tokens import Mint

LOAD_CORE, PROXY_CORE = 0, 1
BASELINE = "Envoy: JWT (cached), local limit, JSON log"

Contestant = Callable[[], AbstractContextManager[int]]


def contestants(directory: Path, upstream: int, jwk: dict[str, str]) -> dict[str, Contestant]:
    """Every row of the table: its label and how to start it."""
    core = PROXY_CORE
    return {
        "nginx: plain proxy (the limit)": lambda: proxies.nginx(directory, core, upstream),
        "HAProxy: JWT verified each time, no log": lambda: proxies.haproxy(
            directory, core, upstream
        ),
        BASELINE: lambda: proxies.envoy(directory, core, upstream, jwk),
        "Gatehouse: all of it, counters in memory": lambda: proxies.gatehouse(
            directory, core, upstream, jwk, "memory://"
        ),
        "Gatehouse: all of it, default store": lambda: proxies.gatehouse(
            directory, core, upstream, jwk, ""
        ),
    }


def median(results: list[Result]) -> Result:
    return Result(
        statistics.median(r.rate for r in results),
        statistics.median(r.p50 for r in results),
        statistics.median(r.p99 for r in results),
        sum(r.errors for r in results),
    )


def measure(rounds: int, seconds: int, connections: int) -> dict[str, Result]:
    found: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        mint = Mint()
        tokens = mint.write(directory, 2000)
        with proxies.nginx(directory, LOAD_CORE) as upstream:
            rows = contestants(directory, upstream, mint.jwk)
            for number in range(rounds):
                for label, start in rows.items():
                    try:
                        with start() as port:
                            run_wrk(port, tokens, 1, connections, LOAD_CORE)  # warm up
                            result = run_wrk(port, tokens, seconds, connections, LOAD_CORE)
                    except proxies.Unavailable as reason:
                        print(f"skipped: {label}: {reason}", file=sys.stderr)
                        continue
                    print(f"round {number + 1}: {label}: {result.rate:,.0f}/s", file=sys.stderr)
                    found.setdefault(label, []).append(result)
    return {label: median(results) for label, results in found.items()}


def table(results: dict[str, Result]) -> str:
    base = results.get(BASELINE)
    lines = [
        "| proxy on one core | requests/s | p50 | p99 | against Envoy |",
        "|---|---:|---:|---:|---:|",
    ]
    for label, result in results.items():
        ratio = f"{result.rate / base.rate:.2f} x" if base else "-"
        failed = f" ({result.errors} failed)" if result.errors else ""
        lines.append(
            f"| {label} | {result.rate:,.0f}{failed} | {result.p50:.2f} ms "
            f"| {result.p99:.2f} ms | {ratio} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        print("two cores are needed: one for the load, one for the proxy", file=sys.stderr)
        return 2
    results = measure(options.rounds, options.seconds, options.connections)
    today = datetime.now(UTC).date()
    print(
        f"{today}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(table(results))
    print()
    if kinds.main():
        return 2
    return 1 if any(result.errors for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
