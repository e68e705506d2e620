"""F2: browser sessions while the state store is away."""

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import sessions
from tests.e2e.person import Person, code_of
from tests.e2e.provider import Provider
from tests.e2e.servers import Redis, until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


def test_F2_without_the_state_store_a_page_is_a_503_and_no_way_round(
    start: Start, provider: Provider, upstream: Upstream, own_redis: Redis
) -> None:
    environ = {"GATEHOUSE_STATE_URL": own_redis.database(), "GATEHOUSE_RELAY_RATE": "10000/m"}
    installation = start(sessions(provider, upstream), environ, workers=1, only=None)
    provider.serve_browsers(f"http://127.0.0.1:{installation.port}")
    provider.lifetime(600)
    person = Person(installation)
    try:
        assert person.sign_in("/pages/x").status_code == 200
        own_redis.process.stop()
        until(lambda: person.open("/pages/x").status_code == 503, 20, "the outage is seen")
        upstream.clear()
        for answer in (person.open("/pages/x"), person.get("/api/x")):
            assert (answer.status_code, code_of(answer)) == (503, "state_unavailable")
            assert answer.headers["Retry-After"]
        for path in ("/auth/acme/login", "/auth/session", "/auth/sessions"):
            answer = person.open(path)
            assert (answer.status_code, code_of(answer)) == (503, "state_unavailable")
        assert upstream.seen() == []
        own_redis.start()
        for path in ("/pages/x", "/auth/acme/login"):  # two processes, each sees it for itself
            until(lambda path=path: person.open(path).status_code == 302, 20, "the store is back")
        assert person.sign_in("/pages/x").status_code == 200
    finally:
        person.http.close()
