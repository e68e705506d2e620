"""The parts of the end-to-end tests, each started once and shared: real processes on free ports."""

from collections.abc import Iterator

import pytest

from tests.e2e.provider import Provider, Unavailable
from tests.e2e.upstream import Upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    recorder = Upstream()
    yield recorder
    recorder.stop()


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    try:
        server = Provider()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()
