"""Supervises the processes of one machine: proxy, console and worker.

Theory of operation. The supervisor's signals are blocked and taken one at a time with
``sigtimedwait``, so no handler interrupts anything and none is missed. A child that ends is
started again, later each time it ends at once. SIGTERM and SIGINT stop everything: each child
gets one SIGTERM and has the drain time to finish; another SIGTERM changes nothing. SIGHUP goes
to the proxy, which replaces its workers one by one, and restarts the worker; the console is
left alone, because requests to ``/auth`` would be lost while it restarts.

All processes stay in the supervisor's process group, and the children end with it even when it
is killed.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatewaysite.lifeline import end_with_parent

logger = logging.getLogger(__name__)

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
ROLES = ("proxy", "console", "worker")
UNUSABLE = 2
"""Exit code of a child that cannot start as it is configured: starting it again is no use."""

_TOLD_OF_HANGUP = frozenset({"proxy"})
_RESTARTED_BY_HANGUP = frozenset({"worker"})
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOPPING, signal.SIGHUP, signal.SIGCHLD)
_MARGIN = 2.0  # seconds beyond the drain time after which a child is killed
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_SETTLED = 60.0  # seconds of life after which an end counts as the first again


def role_command(role: str) -> list[str]:
    """How one of Gatehouse's processes is started."""
    return [sys.executable, str(MANAGE), "serve", "--skip-checks", "--only", role]


@dataclass
class Child:
    """One supervised process: how it is started, and when it may be started again."""

    name: str
    command: Sequence[str]
    delay: float = _FIRST_DELAY
    due: float = 0.0
    started: float = 0.0
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    replaced: bool = field(default=False, repr=False)  # told to end in order to start anew

    @property
    def alive(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        parent = os.getpid()

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            end_with_parent(parent)

        self.process = subprocess.Popen(self.command, preexec_fn=prepare)  # noqa: S603
        self.started = time.monotonic()
        self.starts += 1
        self.replaced = False

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to a child that runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def hang_up(self) -> None:
        """Run on new code and certificates, where that costs nobody a request."""
        if self.name in _TOLD_OF_HANGUP:
            self.tell(signal.SIGHUP)
        elif self.name in _RESTARTED_BY_HANGUP:
            self.replaced = True
            self.tell(signal.SIGTERM)

    def reap(self) -> int | None:
        """The exit code of a child that has just ended."""
        code = self.process.poll() if self.process is not None else None
        if code is not None:
            self.process = None
            self._schedule()
        return code

    def _schedule(self) -> None:
        now = time.monotonic()
        if self.replaced:
            self.due = now
            return
        if now - self.started > _SETTLED:
            self.delay = _FIRST_DELAY
        self.due = now + self.delay
        self.delay = min(self.delay * 2, _LONGEST_DELAY)


class Supervisor:
    """Keeps children running until it is told to stop."""

    def __init__(self, commands: Mapping[str, Sequence[str]], drain: float) -> None:
        """``commands`` start the children, by name; ``drain`` is in seconds."""
        self._children = [Child(name, command) for name, command in commands.items()]
        self._drain = drain

    def run(self, beside: Callable[[], None] = lambda: None) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit code: 0 after an orderly stop.

        ``beside`` is called once the signals are blocked, so that threads it starts leave
        them to the supervisor; a thread started before would be killed by the first one.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            beside()
            code = self._watch()
            self._stop()
            return code
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> int:
        """Start and restart until a stop is asked for, or a child cannot run at all."""
        while True:
            self._start_due()
            received = signal.sigtimedwait(_SIGNALS, self._pause())
            number = received.si_signo if received is not None else None
            if number in _STOPPING:
                return 0
            if number == signal.SIGHUP:
                for child in self._children:
                    child.hang_up()
            for child in self._children:
                code = child.reap()
                if code is None:
                    continue
                if code == UNUSABLE and child.starts == 1:
                    return UNUSABLE  # it has said why
                if not child.replaced:
                    logger.error("%s ended with code %d; it is started again", child.name, code)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if not child.alive and child.due <= now:
                child.start()

    def _pause(self) -> float:
        """Seconds until a child is due; long while all of them run."""
        now = time.monotonic()
        waits = [child.due - now for child in self._children if not child.alive]
        return max(0.0, min(waits, default=60.0))

    def _stop(self) -> None:
        """One SIGTERM to each child, then wait; whoever overstays is killed."""
        for child in self._children:
            child.tell(signal.SIGTERM)
        deadline = time.monotonic() + self._drain + _MARGIN
        while any(child.alive for child in self._children):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._kill()
                return
            signal.sigtimedwait(_SIGNALS, remaining)  # SIGTERM and SIGINT again: no more said
            for child in self._children:
                child.reap()

    def _kill(self) -> None:
        for child in self._children:
            if child.process is not None:
                logger.error("%s did not end in time and is killed", child.name)
                child.process.kill()
                child.process.wait()
