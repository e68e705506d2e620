"""The parts of the end-to-end tests, each started once and shared: real processes on free ports."""

import signal
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.e2e.documents import Document
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.servers import Postgres, Redis, started
from tests.e2e.upstream import Upstream

Start = Callable[..., Gateway]
Backend = Callable[[], dict[str, str]]
_running: list[Gateway] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failure shows what the gateways said."""
    report = yield
    if report.failed:
        for gateway in _running:
            report.sections.append(("gateway log", gateway.log()))
    return report


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    recorder = Upstream()
    yield recorder
    recorder.stop()


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    yield from started(Provider)


@pytest.fixture(scope="session")
def opaque_provider() -> Iterator[Provider]:
    """Another one, whose access tokens say nothing by themselves."""
    yield from started(lambda: Provider("opaque"))


@pytest.fixture
def mint(provider: Provider) -> Mint:
    """Signs with the keys the provider has now."""
    return Mint(provider.issuer, provider.private_keys())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from started(Redis)


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Redis]:
    """One that the module may kill. It keeps nothing."""
    yield from started(Redis)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    yield from started(Postgres)


@pytest.fixture(scope="module", params=["sqlite", "postgres-redis"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """One way to keep configuration and counters: each call gives an environment of its own."""
    if request.param == "sqlite":
        return dict
    postgres = request.getfixturevalue("postgres_server")
    redis = request.getfixturevalue("redis_server")
    return lambda: {
        "GATEHOUSE_DATABASE_URL": postgres.database(),
        "GATEHOUSE_STATE_URL": redis.database(),
    }


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Makes installations that serve a document; all of them end with the module."""
    made: list[Gateway] = []

    def begin(
        document: Document,
        environ: Mapping[str, str] | None = None,
        workers: int = 2,
        only: str | None = "proxy",
        tls: ssl.SSLContext | None = None,
    ) -> Gateway:
        gateway = Gateway(environ, workers, tls)
        made.append(gateway)
        _running.append(gateway)
        gateway.migrate()
        gateway.apply(document)
        gateway.serve(*(("--only", only) if only else ()))
        return gateway

    yield begin
    for gateway in made:
        if gateway.running():
            gateway.signal(signal.SIGTERM)
    for gateway in made:
        gateway.remove()
        _running.remove(gateway)
