"""The product as its users run it: commands and processes of one installation of its own."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from gatewaysite.metrics import collect
from tests.e2e.processes import ROOT, Process
from tests.e2e.raw import Answer, Client, call
from tests.e2e.servers import until
from tests.ports import free_port

LOOPBACK = "127.0.0.0/8,::1/128"
START = 60.0  # seconds an installation has to become ready


@dataclass(frozen=True)
class Result:
    """What a command said and how it ended; ``at`` is when it returned (epoch seconds)."""

    code: int
    output: str
    at: float = 0.0


class _Plain(yaml.SafeDumper):
    """Writes a value out wherever it stands: anchors are not taken."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class Gateway:
    """One installation: a data directory, free ports, an environment of its own.

    ``environ`` holds further ``GATEHOUSE_*`` settings; with ``tls`` its public listener is
    asked over TLS. Nothing runs before ``serve``.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        workers: int = 2,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gatehouse-e2e-"))
        self.port, self.console_port = free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEHOUSE_")}
        self.environ = {
            **inherited,
            "GATEHOUSE_DATA_DIR": str(self.folder / "data"),
            "GATEHOUSE_PROXY_BIND": f"127.0.0.1:{self.port}",
            "GATEHOUSE_CONSOLE_BIND": f"127.0.0.1:{self.console_port}",
            "GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS": LOOPBACK,
            "GATEHOUSE_WORKERS": str(workers),
            **(environ or {}),
        }
        self.workers = workers
        self.tls = tls
        self.process: Process | None = None
        self._warm: Process | None = None
        self._written = 0

    def command(self, *arguments: str, timeout: float = 60) -> Result:
        """Run ``manage.py`` as a user does."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout + done.stderr)

    def quick(self, *arguments: str) -> Result:
        """Run a command in a process that is kept for that."""
        if self._warm is None:
            command = [sys.executable, "-m", "tests.e2e.manage"]
            self._warm = Process(command, self.environ, clean=True)
            self._warm.greeting()
        answer = self._warm.ask(json.dumps(list(arguments)))
        return Result(**json.loads(answer))

    def write(self, document: Mapping[str, Any]) -> Path:
        """The configuration as a file."""
        self._written += 1
        path = self.folder / f"config-{self._written}.yaml"
        path.write_text(yaml.dump(dict(document), Dumper=_Plain, sort_keys=False))
        return path

    def apply(self, document: Mapping[str, Any], *options: str) -> Result:
        """``apply_config`` of a document. Raises ``AssertionError`` when it is refused."""
        result = self.quick("apply_config", str(self.write(document)), *options)
        assert result.code == 0, result.output
        return result

    def migrate(self) -> None:
        result = self.quick("migrate", "--verbosity", "0")
        assert result.code == 0, result.output

    def serve(self, *options: str, ready: bool = True) -> None:
        """Start ``manage.py serve`` and wait until it is ready."""
        command = [sys.executable, "manage.py", "serve", *options]
        self.process = Process(command, self.environ, clean=True)
        if ready:
            self.await_ready()

    def await_ready(self, seconds: float = START) -> None:
        """Every worker answers and ``/-/ready`` says yes."""
        until(lambda: not self.running() or self.ready(), seconds, f"ready:\n{self.log()}")
        assert self.running(), self.log()
        until(lambda: len(self.worker_pids()) == self.workers, seconds, "all workers")

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def ready(self) -> bool:
        try:
            return self.call("GET", "/-/ready", deadline=5).status == 200
        except OSError:
            return False

    def call(self, method: str, target: str, *arguments: Any, **options: Any) -> Answer:
        """One request on a connection of its own."""
        return call(self.address, method, target, *arguments, tls=self.tls, **options)

    def client(self) -> Client:
        return Client(self.address, self.tls)

    def proxy(self) -> psutil.Process:
        """The process that supervises the workers of the public listener."""
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        for process in [main, *main.children()]:
            words = process.cmdline()
            if "--only" in words and words[words.index("--only") + 1] == "proxy":
                return process
        raise AssertionError("no proxy process")

    def worker_pids(self) -> list[int]:
        """The workers of the public listener."""
        found = []
        for child in self.proxy().children():
            try:
                command = " ".join(child.cmdline())
                if "spawn_main" in command and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
            except psutil.NoSuchProcess:
                continue
        return sorted(found)

    def worker(self, pid: int) -> psutil.Process:
        """One of the workers, to be killed."""
        assert pid in self.worker_pids()
        return psutil.Process(pid)

    def worker_of(self, client: Client) -> int | None:
        """Which worker accepted a client's connection."""
        port = client.socket.getsockname()[1]
        for pid in self.worker_pids():
            for item in psutil.Process(pid).net_connections("tcp"):
                if item.raddr and item.raddr.port == port and item.laddr.port == self.port:
                    return pid
        return None

    def client_of_each_worker(self, seconds: float = START) -> list[Client]:
        """A connection accepted by each of the workers, once all of them accept."""
        clients: dict[int, Client] = {}

        def complete() -> bool:
            client = self.client()
            client.request("GET", "/-/live")
            assert client.answer().status == 200
            pid = self.worker_of(client)
            if pid is None or pid in clients:
                client.close()
            else:
                clients[pid] = client
            return len(clients) == self.workers

        until(complete, seconds, "a connection to each worker")
        return list(clients.values())

    def log(self, lines: int = 60) -> str:
        return self.process.tail(lines) if self.process is not None else ""

    def access_log(self) -> str:
        path = self.folder / "data" / "access.log"
        return path.read_text() if path.exists() else ""

    def logged(self, request_id: str | None) -> dict[str, Any]:
        """The access-log line of one call, once it is written."""
        found: list[dict[str, Any]] = []

        def written() -> bool:
            lines = self.access_log().splitlines(keepends=True)
            whole = [json.loads(line) for line in lines if line.endswith("\n")]
            found[:] = [entry for entry in whole if entry.get("id") == request_id]
            return bool(found)

        until(written, START, f"a log line of {request_id}")
        return found[0]

    def reported(self) -> dict[tuple[str, str, str], int]:
        """What policies in report mode would have done, counted by route, policy and code."""
        return dict(collect(self.folder / "data").reported)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.process.send_signal(number)

    def stop(self) -> int | None:
        """End what runs; the exit code of ``serve``. The data stays until ``remove``."""
        if self._warm is not None:
            self._warm.stop()
            self._warm = None
        return self.process.stop(timeout=30) if self.process is not None else None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
