"""Private Redis and PostgreSQL: Debian's binaries on free ports, all data in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import redis

from tests.e2e.processes import Process
from tests.ports import free_port

_DATABASES = 256
_SETTLE = 20.0  # seconds a server has to come up


class Absent(Exception):
    """The server is not installed here; the message is the reason to skip."""


class Server(Protocol):
    """A process of the tests' own."""

    def stop(self) -> None: ...


Started = TypeVar("Started", bound=Server)


def started(start: Callable[[], Started]) -> Iterator[Started]:
    """What a fixture yields: the server, for as long as the fixture lives."""
    try:
        server = start()
    except Absent as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask again until it holds. Raises ``TimeoutError`` saying what never came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


class Redis:
    """A redis-server of our own; it can be killed and brought back on the same port."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            raise Absent("redis-server is not installed")
        self.port = free_port()
        self._folder = tempfile.mkdtemp(prefix="gatehouse-redis-")
        self._given = 0
        self.start()

    def database(self) -> str:
        """The URL of a database that nobody else was given, with time for a busy machine."""
        self._given += 1
        number = self._given % _DATABASES
        return f"redis://127.0.0.1:{self.port}/{number}?socket_timeout=5&socket_connect_timeout=5"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--databases", str(_DATABASES)]
        self.process = Process(
            ["redis-server", "--port", str(self.port), "--dir", self._folder, *options]
        )
        until(self._answers, _SETTLE, "redis-server did not come up")

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL cluster of our own, reached by TCP; ``database`` makes an empty database."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise Absent("PostgreSQL is not installed")
        self._bin = found[-1].parent
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="gatehouse-postgres-"))
        self._as = []
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, pwd.getpwnam("postgres").pw_uid)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "gatehouse", "-A", "trust", "-N", "-E", "UTF8")
        self._data = data
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._bin / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd="/")

    def start(self) -> None:
        options = [
            *("-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)),
            *("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"),
        ]
        self.process = Process(
            [*self._as, str(self._bin / "postgres"), "-D", str(self._data), *options], cwd=Path("/")
        )
        until(self._answers, _SETTLE, "PostgreSQL did not come up")

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False, timeout=10).returncode == 0

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "gatehouse", name)
        return f"postgresql://gatehouse@127.0.0.1:{self.port}/{name}"

    def halt(self) -> None:
        """Stop at once, breaking every session; ``start`` brings the data back."""
        self.process.stop(signal.SIGQUIT)

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)
