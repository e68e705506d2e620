"""The relay's limits: exact under parallel requests, per address and per account, never open."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.console_process import fresh_address
from tests.oidc_clients.relay.conftest import SETUP, RelayConsole
from tests.ports import free_port

LIMIT = 20
THREADS = 8
EACH = 5

PROVIDER = SETUP.format(
    key="",
    rows=[
        ("one", "http://127.0.0.1:1", ["client_credentials"], "", ""),
        ("two", "http://127.0.0.1:1", ["client_credentials"], "", ""),
    ],
)


@pytest.fixture(scope="module")
def limited() -> Iterator[RelayConsole]:
    process = RelayConsole(PROVIDER, relay_rate=f"{LIMIT}/d")
    process.start()
    yield process
    process.stop()
    process.remove()


def statuses(send: Callable[[int], int]) -> Counter[int]:
    """The statuses of ``THREADS * EACH`` requests sent by parallel threads."""
    found: list[int] = []
    ready = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        ready.wait()
        found.extend(send(thread * EACH + number) for number in range(EACH))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(found)


def person(name: str) -> dict[str, str]:
    return {"grant_type": "password", "username": name, "password": "w"}


def test_R1_the_limit_of_an_address_is_exact(limited: RelayConsole) -> None:
    address = fresh_address()
    found = statuses(lambda number: limited.token("one", b"", client=address).status)
    assert found == {400: LIMIT, 429: THREADS * EACH - LIMIT}


def test_R1_the_limit_of_a_user_is_exact_from_many_addresses(limited: RelayConsole) -> None:
    found = statuses(lambda number: limited.token("one", person("ann")).status)
    assert found == {400: LIMIT, 429: THREADS * EACH - LIMIT}


def test_R1_the_limit_of_a_client_is_exact_from_many_addresses(limited: RelayConsole) -> None:
    form = {"grant_type": "password", "password": "w", "client_id": "c", "client_secret": "s"}
    found = statuses(lambda number: limited.token("one", {**form, "username": f"u{number}"}).status)
    assert found == {400: LIMIT, 429: THREADS * EACH - LIMIT}


def test_R3_over_the_limit_is_429_with_retry_after(limited: RelayConsole) -> None:
    address = fresh_address()
    for _ in range(LIMIT):
        assert limited.token("one", b"", client=address).status == 400
    reply = limited.token("one", b"", client=address)
    assert (reply.status, reply.json["code"]) == (429, "rate_limited")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    wait = int(reply.headers["retry-after"])
    assert 0 < wait <= 24 * 3600
    assert reply.headers["ratelimit"] == f'"address";r=0;t={wait}'
    assert reply.headers["ratelimit-policy"] == f'"address";q={LIMIT};w=86400'
    unknown = limited.token("unknown", b"", client=address)
    assert unknown.status == 429  # counted before anything is looked up


def test_spellings_of_one_user_count_together(limited: RelayConsole) -> None:
    for number in range(LIMIT):
        name = ("Bob", "BOB", " bob ", "\uff42\uff4f\uff42")[number % 4]
        assert limited.token("one", person(name)).status == 400
    assert limited.token("one", person("bob")).status == 429
    assert limited.token("one", person("bobby")).status == 400
    assert limited.token("two", person("bob")).status == 400


def test_R5_ipv6_addresses_count_by_64(limited: RelayConsole) -> None:
    for number in range(LIMIT):
        assert limited.token("one", b"", client=f"2001:db8:0:1::{number:x}").status == 400
    assert limited.token("one", b"", client="2001:db8:0:1:ffff::1").status == 429
    assert limited.token("one", b"", client="2001:db8:0:2::1").status == 400


def test_a_mapped_ipv4_address_counts_as_itself(limited: RelayConsole) -> None:
    address = fresh_address()
    for _ in range(LIMIT):
        assert limited.token("one", b"", client=f"::ffff:{address}").status == 400
    assert limited.token("one", b"", client=address).status == 429
    assert limited.token("one", b"", client=f"::ffff:{fresh_address()}").status == 400


def test_R2_the_client_is_the_first_address_the_proxy_lists(limited: RelayConsole) -> None:
    """Behind the client it lists the trusted proxies that the request came through."""
    address = fresh_address()
    for _ in range(LIMIT):
        assert limited.token("one", b"", client=f"{address}, 10.0.0.1").status == 400
    assert limited.token("one", b"", client=f"{address}, 10.0.0.2").status == 429
    assert limited.token("one", b"", client=f"{fresh_address()}, 10.0.0.1").status == 400


def test_R6_nothing_is_relayed_uncounted() -> None:
    process = RelayConsole(PROVIDER, state_url=f"redis://127.0.0.1:{free_port()}/0")
    process.start()
    try:
        reply = process.token("one", person("ann"))
        assert (reply.status, reply.json["code"]) == (503, "state_unavailable")
        assert "retry-after" in reply.headers
        assert "the state store cannot answer" in process.log
    finally:
        process.stop()
        process.remove()


def test_F1_without_the_database_there_is_503_and_then_service_again(
    limited: RelayConsole,
) -> None:
    database = limited.data_dir / "gatehouse.sqlite3"
    away = limited.data_dir / "away.sqlite3"
    database.rename(away)
    try:
        reply = limited.token("one", person("carl"))
        assert (reply.status, reply.json["code"]) == (503, "state_unavailable")
    finally:
        away.rename(database)
    assert limited.token("one", person("carl")).status == 400
