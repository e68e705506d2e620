"""``explain``: the account of one request; it sends nothing and counts nothing."""

import asyncio
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apis.routing import Route
from gatewaysite.following import read_document
from gatewaysite.wiring import World
from policies.core.values import PASS, Call, Headers, Request
from policies.models import Generation
from policies.stores.open import open_state

CONFIG = """
format: 1
apis:
  - name: orders
    base_path: /orders
    upstream: {{targets: [{{url: "http://127.0.0.1:{port}/v1"}}]}}
    policies:
      - public: {{}}
      - rate_limit: {{limit: 2, per: 3600, by: route}}
      - body_limit: {{max_bytes: 4}}
      - forward_identity: {{headers: {{X-Who: sub}}}}
    routes:
      - {{methods: [GET, POST], path: "/items/{{id}}"}}
      - {{methods: [GET], path: /feed, websocket: true}}
"""


UPGRADE = ("-H", "Connection: upgrade", "-H", "Upgrade: websocket")


class Recorder:
    """Counts the connections that anybody makes to it."""

    def __init__(self) -> None:
        self.hits = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    upstream = Recorder()
    yield upstream
    assert upstream.hits == 0
    upstream.close()


Explain = Callable[..., str]


@pytest.fixture
def explain(db: None, tmp_path: Path, settings: Any, recorder: Recorder) -> Explain:
    """The command, in an installation with a state of its own."""
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(
        update={
            "allow_private_upstreams": ("127.0.0.0/8",),
            "state_url": f"sqlite:///{tmp_path}/state.sqlite3",
        }
    )
    path = tmp_path / "gatehouse.yaml"
    path.write_text(CONFIG.format(port=recorder.port))
    call_command("apply_config", str(path), stdout=io.StringIO())

    def run(*arguments: str) -> str:
        out = io.StringIO()
        call_command("explain", *arguments, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    return run


def test_it_names_the_route_each_verdict_and_what_would_be_sent(
    explain: Explain, recorder: Recorder
) -> None:
    lines = explain("GET", "http://gw.example.org/orders/items/7?a=1").splitlines()
    assert lines[:6] == [
        "request   GET /orders/items/7 on host gw.example.org",
        "route     orders GET POST /items/{id}",
        "policy    ADMIT body_limit passes: 0 of at most 4 bytes",
        "policy    IDENTIFY public passes: anyone may call this route",
        "policy    LIMIT rate_limit passes: 0 of 2 used, resets in 0 s",
        "policy    SHAPE forward_identity passes: nothing to tell the upstream",
    ]
    assert lines[6] == f"upstream  GET http://127.0.0.1:{recorder.port}/v1/items/7?a=1"
    assert any(line.strip().startswith("via: 1.1 gatehouse") for line in lines[7:])


def test_it_counts_nothing(explain: Explain) -> None:
    for _ in range(5):
        assert "rate_limit passes: 0 of 2 used" in explain("GET", "http://gw/orders/items/7")


def test_it_shows_what_served_calls_have_counted(explain: Explain, settings: Any) -> None:
    world = World(settings.ENVIRONMENT, open_state(settings.ENVIRONMENT.state), log="off")
    generation, document = read_document(Generation.CONFIGURATION)
    world.install(world.build(document, generation))
    table = world.live.current()
    assert table is not None
    route = table.match("gw", "GET", "/orders/items/7")
    assert isinstance(route, Route)
    assert route.chain is not None
    request = Request("GET", "gw", "/orders/items/7", None, Headers([]), "127.0.0.1")
    for seen in ("0 of 2 used", "1 of 2 used"):
        assert f"rate_limit passes: {seen}" in explain("GET", "http://gw/orders/items/7")
        assert asyncio.run(route.chain.run(Call(request, route.name, time.time()))) is PASS
    assert "answer    429 rate_limited" in explain("GET", "http://gw/orders/items/7")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("GET", "http://gw/nothing"), "404 route_not_found"),
        (("DELETE", "http://gw/orders/items/7"), "405 method_not_allowed"),
        (("GET", "http://gw/orders//items/7"), "400 request_malformed"),
        (("GET", "http://gw/orders/items/7", "-H", "X_Who: me"), "400 request_malformed"),
        (("BREW", "http://gw/orders/items/7"), "400 request_malformed"),
        (("GET", "http://gw/orders/items/7", *UPGRADE), "426 upgrade_refused"),
        (("POST", "http://gw/orders/items/7", "--data", "too large"), "413 body_too_large"),
    ],
)
def test_refusals_are_those_that_the_door_would_give(
    explain: Explain, arguments: tuple[str, ...], answer: str
) -> None:
    *_, refusal, last = explain(*arguments).splitlines()
    assert refusal.startswith(f"answer    {answer}: ")
    assert last == "upstream  nothing is sent"


def test_a_body_of_unknown_length_is_watched_as_it_would_be(explain: Explain) -> None:
    chunked = ("-H", "Transfer-Encoding: chunked", "--data", "too large")
    assert "413 body_too_large" in explain("POST", "http://gw/orders/items/7", *chunked)


def test_a_body_may_stand_in_a_file(explain: Explain, tmp_path: Path) -> None:
    (tmp_path / "body").write_text("tea")
    text = explain("POST", "http://gw/orders/items/7", "--data", f"@{tmp_path / 'body'}")
    assert "body_limit passes: 3 of at most 4 bytes" in text
    with pytest.raises(CommandError, match="No such file"):
        explain("POST", "http://gw/orders/items/7", "--data", f"@{tmp_path / 'absent'}")


def test_credentials_are_redacted(explain: Explain) -> None:
    text = explain(
        "GET",
        "http://gw/orders/items/7?access_token=canary&plain=shown",
        *("-H", "Cookie: session=canary", "-H", "X-Api-Key: canary"),
        *("-H", "Authorization: Bearer canary", "-H", "X-Plain: shown too"),
    )
    assert "canary" not in text
    assert "plain=shown" in text
    assert "x-plain: shown too" in text
    assert "authorization" not in text


def test_reserved_names_are_seen_to_be_gone(explain: Explain) -> None:
    text = explain("GET", "http://gw/orders/items/7", "-H", "X-Who: me", "-H", "Via: 1.0 cache")
    assert "x-who: me" not in text


def test_a_header_that_is_none_is_refused(explain: Explain) -> None:
    with pytest.raises(CommandError, match="Name: value"):
        explain("GET", "http://gw/orders", "-H", "nonsense")
