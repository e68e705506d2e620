"""Limits, nonces and counters are exact across processes, not only across coroutines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PROCESSES = 4


def together(url: str, operation: str, attempts: int) -> list[int]:
    """Let four processes ask at the same moment; how often each was allowed."""
    command = [sys.executable, str(HERE / "consumer.py"), url, operation, str(attempts)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [int(process.communicate(timeout=60)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("operation", ["consume", "count", "slide", "occupy", "increment"])
def test_R1_four_processes_get_exactly_the_limit(shared_url: str, operation: str) -> None:
    assert sum(together(shared_url, operation, 400)) == 50


def test_H4_of_four_processes_one_is_the_first_for_each_nonce(shared_url: str) -> None:
    assert sum(together(shared_url, "remember", 300)) == 300
