"""Every credential that is not right is refused with its code, and nothing reaches the upstream."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer, Client
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    return start(standard(provider, upstream), backend())


class Bait:
    """A listener that nobody should ever connect to."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.hits = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def bait() -> Iterator[Bait]:
    listener = Bait()
    yield listener
    listener.close()


def _is_problem(answer: Answer, code: str) -> None:
    """RFC 9457, as the contract has it."""
    assert answer.get("content-type") == "application/problem+json"
    assert answer.get("cache-control") == "no-store"
    problem = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == answer.status
    assert set(problem) <= {"type", "title", "status", "code", "detail", "request_id", "errors"}
    assert {"type", "title", "status", "code", "detail", "request_id"} <= set(problem)
    assert problem["request_id"] == answer.get("x-request-id")


def test_J1_to_J13_every_wrong_token_is_refused_with_its_code(
    gateway: Gateway, upstream: Upstream, mint: Mint, bait: Bait
) -> None:
    assert gateway.call("GET", "/orders/items", bearer(mint.token())).status == 200
    assert gateway.call("GET", "/orders/items", bearer(mint.es256())).status == 200
    upstream.clear()
    failures = []
    table = list(mint.wrong(bait.url))
    for wrong in table:
        answer = gateway.call("GET", "/orders/items", bearer(wrong.token))
        if answer.code != wrong.code:
            failures.append(f"{wrong.name}: {answer.status} {answer.code}, not {wrong.code}")
            continue
        _is_problem(answer, wrong.code)
        assert wrong.token not in answer.body.decode()
        assert "canary" not in answer.body.decode(), wrong.name
        if answer.status == 401:
            challenge = answer.get("www-authenticate") or ""
            assert challenge.startswith("Bearer realm="), wrong.name
            assert 'error="invalid_token"' in challenge, wrong.name
    assert not failures, "\n".join(failures)
    assert len(table) == 44
    assert upstream.counts()["heads"] == 0
    assert bait.hits == 0


def test_a_right_token_of_either_key_and_with_a_list_of_audiences_passes(
    gateway: Gateway, mint: Mint
) -> None:
    for token in (
        mint.token(),
        mint.es256(),
        mint.token(aud=["urn:other", "urn:test:api"]),
        mint.token({"typ": "application/at+jwt"}),
    ):
        answer = gateway.call("GET", "/orders/items", bearer(token))
        assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (None, 401, "credentials_missing"),
        ("Basic dXNlcjpwdw==", 401, "credentials_missing"),
        ("Bearer", 401, "token_malformed"),
        ("Bearer a b", 401, "token_malformed"),
        ("Bearer a,b", 401, "token_malformed"),
        ("Bearer  x.y.z", 401, "token_malformed"),
    ],
)
def test_B1_B3_what_is_no_bearer_token(
    gateway: Gateway, upstream: Upstream, value: str | None, status: int, code: str
) -> None:
    upstream.clear()
    fields = {} if value is None else {"Authorization": value}
    answer = gateway.call("GET", "/orders/items", fields)
    assert answer.status == status
    _is_problem(answer, code)
    challenge = answer.get("www-authenticate") or ""
    assert challenge.startswith("Bearer realm=")
    assert ("error=" in challenge) == (code != "credentials_missing")
    assert upstream.counts()["heads"] == 0


def test_B3_the_schemes_case_does_not_matter(gateway: Gateway, mint: Mint) -> None:
    for scheme in ("bearer", "BEARER", "bEaReR"):
        fields = {"Authorization": f"{scheme} {mint.token()}"}
        assert gateway.call("GET", "/orders/items", fields).status == 200


def test_B2_two_credentials_are_none(gateway: Gateway, upstream: Upstream, mint: Mint) -> None:
    upstream.clear()
    twice = [("Authorization", f"Bearer {mint.token()}")] * 2
    with Client(gateway.address) as client:
        client.request("GET", "/orders/items", twice)
        answer = client.answer()
    assert answer.status == 400
    _is_problem(answer, "credentials_ambiguous")
    assert upstream.counts()["heads"] == 0


def test_B2_a_token_in_the_query_is_not_a_credential(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    token = mint.token()
    answer = gateway.call("GET", f"/orders/items?access_token={token}")
    assert answer.code == "credentials_missing"
    assert upstream.counts()["heads"] == 0
    assert token not in gateway.log(20000) + gateway.access_log()


def test_J13_scopes_and_claims_decide_exactly(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    cases = [
        ("/orders/items", {"scope": "write"}, "insufficient_scope"),
        ("/orders/items", {"scope": "reader"}, "insufficient_scope"),
        ("/orders/items", {"scope": "READ"}, "insufficient_scope"),
        ("/orders/items", {"scope": None}, "insufficient_scope"),
        ("/orders/write", {"scope": "read"}, "insufficient_scope"),
        ("/orders/claimed", {"client_id": "services"}, "claim_refused"),
        ("/orders/claimed", {"client_id": None}, "claim_refused"),
        ("/orders/claimed", {"client_id": ["services", "x"]}, "claim_refused"),
    ]
    for path, claims, code in cases:
        answer = gateway.call("GET", path, bearer(mint.token(**claims)))
        assert (answer.status, answer.code) == (403, code), (path, claims, answer.body)
        _is_problem(answer, code)
        if code == "insufficient_scope":
            challenge = answer.get("www-authenticate") or ""
            assert 'error="insufficient_scope"' in challenge
            assert "scope=" in challenge
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", "/orders/claimed", bearer(mint.token())).status == 200
    assert gateway.call("GET", "/orders/write", bearer(mint.token())).status == 200


def test_J14_a_remembered_token_is_judged_by_each_route(gateway: Gateway, mint: Mint) -> None:
    token = mint.token(scope="read")
    assert gateway.call("GET", "/orders/items", bearer(token)).status == 200
    assert gateway.call("GET", "/orders/write", bearer(token)).code == "insufficient_scope"
    assert gateway.call("GET", "/orders/items", bearer(token)).status == 200


def test_P14_a_token_in_a_cookie_is_taken_out_of_it(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    cookie = {"Cookie": f"theme=dark; access={mint.token()}; lang=en"}
    assert gateway.call("GET", "/orders/cookie", cookie).status == 200
    (seen,) = upstream.seen()
    assert seen.all("cookie") == ["theme=dark; lang=en"]
