"""Processes that a test starts, waits for and ends: only its own, always all of them."""

import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]


class NotStarted(Exception):
    """A process ended, or stayed silent, before it was ready; the message holds what it said."""


class Process:
    """A child with its output kept: the first line of stdout may be a JSON greeting.

    Its stdin stays open; the helpers of these tests end when it closes, so that none outlives
    the tests however they end.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        clean: bool = False,
    ) -> None:
        """``environ`` is added to this process's own, or with ``clean`` all there is."""
        inherited = {} if clean else os.environ
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**inherited, **(environ or {}), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: deque[str] = deque(maxlen=20000)
        self._said: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, True), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, False), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self, stream: IO[bytes], talks: bool) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            self.lines.append(line)
            if talks:
                self._said.put(line)
        stream.close()
        if talks:
            self._said.put("")

    def greeting(self, timeout: float = 30) -> Any:
        """What the process says, as JSON, when it is ready. Raises ``NotStarted``."""
        try:
            return json.loads(self._said.get(timeout=timeout))
        except (queue.Empty, ValueError):
            self.stop()
            raise NotStarted(self.tail()) from None

    def ask(self, line: str, timeout: float = 60) -> str:
        """Say a line to the process and hear one."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self._said.get(timeout=timeout)

    def tail(self, count: int = 60) -> str:
        return "\n".join(list(self.lines)[-count:])

    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        """Signal, wait, and kill whoever overstays. The exit code."""
        if self.running():
            self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float) -> int:
        """The exit code; a process that overstays is killed and -9."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        for reader in self._readers:
            reader.join(5)
        return code
