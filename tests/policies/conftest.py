"""What tests of policies and stores share: the stores themselves, and calls."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from policies.core.services import Services
from policies.core.state import State
from policies.core.values import Call, Headers, Identity, Request
from policies.stores.batching import BatchingState
from policies.stores.database import DatabaseBackend
from policies.stores.memory import MemoryBackend, MemoryState
from policies.stores.operations import Backend
from policies.stores.redis import RedisBackend

NOW = 1_800_000_000.0


class RedisServer:
    """A private redis-server on a free port, keeping nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        """The time-outs are those of a busy test machine; the product's own are shorter."""
        return f"redis://127.0.0.1:{self.port}/0?socket_timeout=10&socket_connect_timeout=10"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                return
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def _redis(folder: Path) -> RedisServer:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    return RedisServer(folder)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = _redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that the test may stall and kill."""
    server = _redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each store in turn, empty."""
    if request.param == "memory":
        return MemoryBackend()
    if request.param == "sqlite":
        return DatabaseBackend(tmp_path / "state.sqlite3")
    server: RedisServer = request.getfixturevalue("shared_redis")
    server.client.flushall()
    return RedisBackend(server.url)


@pytest.fixture
def state(backend: Backend) -> State:
    return MemoryState(backend) if isinstance(backend, MemoryBackend) else BatchingState(backend)


@pytest.fixture(params=["sqlite", "redis"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store that several processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.sqlite3"
    server: RedisServer = request.getfixturevalue("shared_redis")
    server.client.flushall()
    return server.url


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_services(clock: Clock) -> Callable[..., Services]:
    """Services over in-memory state by the test's clock; any member can be given."""

    def make(**given: object) -> Services:
        members = {
            "state": MemoryState(MemoryBackend(clock)),
            "tokens": SimpleNamespace(),
            "clock": clock,
            "local": MemoryState(MemoryBackend(clock)),
            **given,
        }
        return Services(**members)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_call() -> Callable[..., Call]:
    """A call with the given members of its request; ``route`` and ``identity`` of the call."""

    def make(
        *, identity: Identity | None = None, route: str = "orders GET /items", **request: object
    ) -> Call:
        fields = request.pop("fields", [])
        members = {
            "method": "GET",
            "host": "api.example",
            "path": "/items",
            "query": None,
            "headers": Headers(fields),  # type: ignore[arg-type]
            "client": "192.0.2.7",
            **request,
        }
        return Call(Request(**members), route, NOW, identity)  # type: ignore[arg-type]

    return make
