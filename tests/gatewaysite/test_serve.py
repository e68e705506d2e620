"""The supervisor, with small programs for children: real processes and real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

# A child that says in a file what happens to it: argument 1 is the file, 2 what it does.
CHILD = """
import os, signal, sys, time
log = open(sys.argv[1], "a", buffering=1)
said = lambda word: log.write(f"{word} {os.getpid()}\\n")
mode = sys.argv[2]
if mode == "unusable":
    sys.exit(2)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, lambda *_: said("ignored"))
else:
    def end(*_):
        said("term")
        time.sleep(0.3 if mode == "slow" else 0)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda *_: said("hup"))
said("start")
while True:
    signal.pause()
"""

PARENT = """
import sys
from gatewaysite.serve import Supervisor
log, drain, *children = sys.argv[1:]
commands = {
    name: [sys.executable, "-c", {child!r}, log, mode]
    for name, mode in (pair.split("=") for pair in children)
}
sys.exit(Supervisor(commands, float(drain)).run())
""".replace("{child!r}", repr(CHILD))


class Running:
    """A supervisor in a process of its own, and what its children said."""

    def __init__(self, folder: Path, *children: str, drain: float = 5.0) -> None:
        self.log = folder / "log"
        self.log.touch()
        command = [sys.executable, "-c", PARENT, str(self.log), str(drain), *children]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)

    def said(self, word: str) -> list[int]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [int(line[1]) for line in lines if len(line) == 2 and line[0] == word]

    def wait_said(self, word: str, count: int) -> list[int]:
        deadline = time.monotonic() + 20
        while len(found := self.said(word)) < count:
            assert time.monotonic() < deadline, f"{word} was said {len(found)} times"
            time.sleep(0.01)
        return found

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_sigterm_reaches_every_child_once_and_the_exit_code_is_0(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=slow", "console=slow", "worker=slow") as running:
        children = running.wait_said("start", 3)
        running.process.send_signal(signal.SIGTERM)
        running.wait_said("term", 3)
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert sorted(running.said("term")) == sorted(children)


def test_sigint_stops_as_sigterm_does(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=plain") as running:
        running.wait_said("start", 1)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        assert len(running.said("term")) == 1


def test_all_processes_are_in_one_group(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=plain", "worker=plain") as running:
        for child in running.wait_said("start", 2):
            assert os.getpgid(child) == running.process.pid


def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with Running(tmp_path, "console=plain") as running:
        (first,) = running.wait_said("start", 1)
        os.kill(first, signal.SIGKILL)
        _, second = running.wait_said("start", 2)
        assert second != first


def test_sighup_goes_to_the_proxy_and_restarts_the_worker_alone(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=plain", "worker=plain", "console=plain") as running:
        before = set(running.wait_said("start", 3))
        running.process.send_signal(signal.SIGHUP)
        (hung_up,) = running.wait_said("hup", 1)
        *_, restarted = running.wait_said("start", 4)
        (ended,) = running.said("term")
        assert {hung_up, ended} < before
        assert ended != hung_up
        assert restarted not in before


def test_a_child_that_overstays_is_killed(tmp_path: Path) -> None:
    with Running(tmp_path, "worker=stubborn", drain=0) as running:
        (child,) = running.wait_said("start", 1)
        running.process.send_signal(signal.SIGTERM)
        running.wait_said("ignored", 1)
        assert running.process.wait(20) == 0
        assert not psutil.pid_exists(child)


def test_a_child_that_cannot_run_as_configured_stops_everything(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=unusable", "worker=plain") as running:
        assert running.process.wait(20) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with Running(tmp_path, "proxy=plain", "console=plain") as running:
        children = running.wait_said("start", 2)
        running.process.kill()
        running.process.wait()
        assert sorted(running.wait_said("term", 2)) == sorted(children)
