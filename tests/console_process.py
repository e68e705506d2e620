"""The console process as it is shipped, on a database of its own, and HTTP to its listeners.

The tests speak to the private listener as the proxy does: they say which client called.
"""

import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import ROOT, Process
from tests.ports import free_port

_addresses = itertools.count(1)


def fresh_address() -> str:
    """A client address that no other test counts against."""
    number = next(_addresses)
    return f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"


@dataclass(frozen=True)
class Reply:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("gatehouse", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ConsoleProcess:
    """``serve --only console`` in a temporary data directory."""

    def __init__(self, setup: str = "", **settings: str) -> None:
        """``setup`` is Python that fills the migrated database; ``settings`` are GATEHOUSE_*."""
        self.data_dir = Path(tempfile.mkdtemp(prefix="gh-"))  # short: a socket's path is limited
        self.socket = self.data_dir / "auth.sock"
        self.console_port = free_port()
        self.environ = {name: v for name, v in os.environ.items() if "GATEHOUSE" not in name} | {
            "GATEHOUSE_DATA_DIR": str(self.data_dir),
            "GATEHOUSE_CONSOLE_BIND": f"127.0.0.1:{self.console_port}",
            "GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS": "127.0.0.0/8",
            **{f"GATEHOUSE_{name.upper()}": value for name, value in settings.items()},
        }
        self._python(
            "import django; django.setup()\n"
            "from django.core.management import call_command\n"
            "call_command('migrate', verbosity=0)\n" + setup
        )
        self.process: Process | None = None

    def _python(self, code: str) -> None:
        environ = {**self.environ, "DJANGO_SETTINGS_MODULE": "gatewaysite.settings"}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True)

    def start(self) -> None:
        """Start, and wait until both listeners take connections."""
        command = [sys.executable, "manage.py", "serve", "--only", "console"]
        # What the tests' own environment says must not show through: it is given whole.
        environ = {name: "" for name in os.environ if name.startswith("GATEHOUSE_")}
        self.process = Process(command, environ | self.environ)
        deadline = time.monotonic() + 30
        while not any("/auth for the proxy" in line for line in list(self.process.lines)):
            if not self.process.running() or time.monotonic() > deadline:
                raise AssertionError(self.process.tail())
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process; its exit code."""
        assert self.process is not None
        return self.process.stop(number)

    def remove(self) -> None:
        shutil.rmtree(self.data_dir)

    @property
    def log(self) -> str:
        assert self.process is not None
        return "\n".join(self.process.lines)

    def private(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        client: str | None = None,
    ) -> Reply:
        """One request through the private listener, as the proxy would pass it on."""
        own = {
            "Host": "api.example.org",
            "X-Forwarded-For": client or fresh_address(),
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "api.example.org",
            "X-Request-Id": "0123456789abcdef",
        }
        return _exchange(
            _UnixConnection(self.socket), method, path, body, own | dict(headers or {})
        )

    def console(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """One request to the console's own listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self.console_port, timeout=20)
        return _exchange(connection, method, path, b"", dict(headers or {}))


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
) -> Reply:
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, fields, answer.read())
    finally:
        connection.close()
