"""The load: wrk on its own core, one thread, a fixed number of keep-alive connections."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent


class Result(NamedTuple):
    """One run: requests per second, latencies in milliseconds, requests that failed."""

    rate: float
    p50: float
    p99: float
    errors: int


def run_wrk(port: int, tokens: Path, seconds: int, connections: int, core: int) -> Result:
    """Load ``port`` on loopback. Raises ``CalledProcessError`` when wrk fails."""
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", str(_HERE / "wrk.lua"), f"http://127.0.0.1:{port}/"]
    done = subprocess.run(
        command,
        env={**os.environ, "TOKENS": str(tokens)},
        check=True,
        capture_output=True,
        text=True,
    )
    line = next(text for text in done.stdout.splitlines() if text.startswith("RESULT"))
    requests, micros, p50, p99, errors = (int(number) for number in line.split()[1:])
    return Result(requests / (micros / 1e6), p50 / 1000, p99 / 1000, errors)
