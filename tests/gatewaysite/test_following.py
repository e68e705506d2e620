"""A worker follows the configuration: changes come into force, failures leave what there is."""

import asyncio
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.management import call_command
from jwt.algorithms import ECAlgorithm

from apis.models import Api, AttachedPolicy, Upstream
from apis.routing import NotMatched, Route
from gatewaysite import following
from gatewaysite.following import Follower
from gatewaysite.lastgood import LastGood
from gatewaysite.wiring import World
from oidc_clients.credentials import Peppers, make_api_key
from oidc_clients.jwks import KeySet
from oidc_clients.models import ApiKey, Client, Provider, SigningKey
from oidc_clients.published import Source
from oidc_clients.stored_keys import store_keys
from policies import key_life
from policies.models import GatewayKey, Generation
from policies.secrets import Secret
from policies.stores.memory import MemoryState
from tests.databases import database_down

CONFIG = """
format: 1
providers:
  - name: acme
    issuer: https://op.example.org
    audiences: [urn:a]
    algorithms: [RS256]
    client: {{id: gw, secret: canary-of-the-secret}}
apis:
  - name: orders
    base_path: {base_path}
    upstream: {{targets: [{{url: "http://orders.example.org"}}]}}
    policies: [{{jwt: {{providers: [acme]}}}}]
"""


class Worker:
    """A worker's world and what follows for it, with the event loop's steps done at once."""

    def __init__(self, folder: Path) -> None:
        environment = settings.ENVIRONMENT.model_copy(update={"data_dir": folder})
        self.world = World(environment, MemoryState(), log="off")
        self.last_good = LastGood(folder / "last-good.json")
        self.follower = Follower(self.world, folder)

    def poll(self) -> None:
        self.follower.poll(lambda step: step())

    def knows(self, api_key: str) -> bool:
        return self.world.clients.api_key(api_key.encode(), time.time()) is not None

    def route(self, path: str) -> Route | NotMatched:
        table = self.world.live.current()
        assert table is not None
        return table.match("gw.example.org", "GET", path)

    def serves(self, path: str) -> bool:
        route = self.route(path)
        return isinstance(route, Route) and route.refusal is None


def issue(client: Client) -> str:
    """A new API key of the client."""
    key = make_api_key()
    client.api_keys.create(name="main", digest=Peppers(settings.SECRET_KEYS).digest(key))
    return key


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


@pytest.fixture
def apply(db: None, tmp_path: Path) -> Callable[[str], None]:
    def command(base_path: str) -> None:
        path = tmp_path / "gatehouse.yaml"
        path.write_text(CONFIG.format(base_path=base_path))
        call_command("apply_config", str(path), stdout=io.StringIO())

    return command


Apply = Callable[[str], None]


def test_a_committed_change_is_in_force_after_the_next_poll(worker: Worker, apply: Apply) -> None:
    apply("/orders")
    worker.poll()
    assert worker.serves("/orders/1")
    apply("/sales")
    worker.poll()
    assert worker.serves("/sales/1")
    assert isinstance(worker.route("/orders/1"), NotMatched)


def test_nothing_is_built_while_nothing_changes(worker: Worker, apply: Apply) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    worker.poll()
    assert worker.world.live.current() is table


def test_an_unchanged_upstream_keeps_its_carrier(worker: Worker, apply: Apply) -> None:
    apply("/orders")
    worker.poll()
    before = worker.route("/orders")
    apply("/sales")
    worker.poll()
    after = worker.route("/sales")
    assert isinstance(before, Route)
    assert isinstance(after, Route)
    assert before.carrier is after.carrier


def test_a_poll_without_a_change_is_one_query(
    worker: Worker, apply: Apply, django_assert_num_queries: Any
) -> None:
    apply("/orders")
    worker.poll()
    with django_assert_num_queries(1):
        worker.poll()


def test_F1_a_database_that_is_down_leaves_the_table_in_force(
    worker: Worker, apply: Apply, caplog: pytest.LogCaptureFixture
) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    with database_down():
        for _ in range(3):
            worker.poll()
    assert worker.world.live.current() is table
    assert sum("database cannot be asked" in line for line in caplog.messages) == 1
    apply("/sales")
    worker.poll()
    assert worker.serves("/sales")
    assert sum("database answers again" in line for line in caplog.messages) == 1


def test_F1_a_worker_that_starts_without_a_database_serves_the_last_good(
    worker: Worker, apply: Apply, tmp_path: Path
) -> None:
    apply("/orders")
    worker.poll()
    second = Worker(tmp_path)
    with database_down():
        second.follower.begin(lambda step: step())
    assert second.serves("/orders/1")


def test_F1_without_a_database_and_a_last_good_there_is_no_table(tmp_path: Path, db: None) -> None:
    worker = Worker(tmp_path)
    with database_down():
        worker.follower.begin(lambda step: step())
    assert worker.world.live.current() is None


def test_the_last_good_holds_no_secret_and_is_nobody_elses(
    worker: Worker, apply: Apply, tmp_path: Path
) -> None:
    apply("/orders")
    worker.poll()
    path = tmp_path / "last-good.json"
    assert "canary-of-the-secret" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    document = worker.last_good.load()
    assert document is not None
    client = document.providers[0].client
    assert client is not None
    assert client.secret is not None
    assert client.secret.sealed


def test_F8_a_last_good_that_cannot_be_written_stops_nothing(apply: Apply, tmp_path: Path) -> None:
    apply("/orders")
    worker = Worker(tmp_path)
    worker.follower = Follower(worker.world, tmp_path / "absent")
    worker.poll()
    assert worker.serves("/orders")


def test_a_last_good_that_is_damaged_is_not_used(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "last-good.json").write_text('{"format": 1, "apis": [{}]}')
    assert worker.last_good.load() is None
    (tmp_path / "last-good.json").write_text("{")
    assert worker.last_good.load() is None


def test_F6_a_configuration_that_cannot_be_built_leaves_the_table_in_force(
    worker: Worker, apply: Apply, caplog: pytest.LogCaptureFixture
) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    AttachedPolicy.objects.create(kind="no_such_kind")
    Generation.bump(Generation.CONFIGURATION)
    for _ in range(3):
        worker.poll()
    assert worker.world.live.current() is table
    assert sum("cannot be served" in line for line in caplog.messages) == 1
    AttachedPolicy.objects.filter(kind="no_such_kind").delete()
    Generation.bump(Generation.CONFIGURATION)
    worker.poll()
    assert worker.world.live.current() is not table


def test_F6_two_routes_for_one_request_leave_the_table_in_force(
    worker: Worker, apply: Apply, caplog: pytest.LogCaptureFixture
) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    first = Api.objects.get()
    copy = Api.objects.create(name="copy", base_path="/orders", upstream=first.upstream)
    AttachedPolicy.objects.create(api=copy, kind="public")
    Generation.bump(Generation.CONFIGURATION)
    for _ in range(3):
        worker.poll()
    assert worker.world.live.current() is table
    (message,) = [line for line in caplog.messages if "cannot be served" in line]
    assert "same method and path" in message


def test_F6_a_defect_in_building_leaves_the_table_in_force(
    worker: Worker, apply: Apply, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    apply("/sales")
    with monkeypatch.context() as patched:
        patched.setattr(worker.world, "build", lambda *_: 1 / 0)
        for _ in range(3):
            worker.poll()
    assert worker.world.live.current() is table
    (record,) = [item for item in caplog.records if "cannot be served" in item.message]
    assert record.exc_info


def test_F5_a_secret_that_no_key_opens_refuses_its_routes_alone(
    worker: Worker, apply: Apply, caplog: pytest.LogCaptureFixture, certificate: str
) -> None:
    apply("/orders")
    upstream = Upstream.objects.create(
        name="sealed", tls_cert=certificate, tls_key=Secret("a private key")
    )
    upstream.targets.create(url="https://sealed.example.org")
    api = Api.objects.create(name="sealed", base_path="/sealed", upstream=upstream)
    AttachedPolicy.objects.create(api=api, kind="public")
    Upstream.objects.filter(name="sealed").update(tls_key="ffffffff:AAAA")
    Generation.bump(Generation.CONFIGURATION)
    worker.poll()
    broken = worker.route("/sealed/1")
    assert isinstance(broken, Route)
    assert broken.refusal is not None
    assert broken.refusal.code == "misconfigured"
    assert worker.serves("/orders/1")
    assert any("not configured" in line for line in caplog.messages)


def test_the_thread_follows_and_ends(apply: Apply, tmp_path: Path, transactional_db: None) -> None:
    """Through the real thread and event loop, with a database file that threads can share."""
    worker = Worker(tmp_path)
    kept: list[bool] = []
    world = worker.world
    follower = Follower(world, tmp_path, lambda: kept.append(world.live.current() is not None))

    async def life() -> None:
        await follower.start()
        await follower.stop()

    asyncio.run(life())
    assert world.live.current() is not None
    assert kept[0] is False  # what quotas need is there before the first table is
    assert kept[-1] is True


def test_stored_keys_are_taken_up_when_their_generation_rises(worker: Worker, apply: Apply) -> None:
    apply("/orders")
    worker.poll()
    (spec,) = worker.world.tokens.specs
    slot = worker.world.keystore.slot(spec)
    assert slot.held is None
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    jwk = {**json.loads(ECAlgorithm.to_jwk(public)), "kid": "k1"}
    keys = KeySet.parse({"keys": [jwk]})
    store_keys(Provider.objects.get(), Source.of(spec).digest, keys, time.time())
    worker.poll()
    assert slot.held is not None
    assert slot.held.keys.knows("k1")


def test_B5_a_key_is_in_force_and_revoked_at_the_next_poll_without_another_table(
    worker: Worker, apply: Apply
) -> None:
    apply("/orders")
    client = Client.objects.create(name="partner-a")
    worker.poll()
    table = worker.world.live.current()
    key = issue(client)
    assert not worker.knows(key)
    worker.poll()
    assert worker.knows(key)
    client.api_keys.all().delete()
    worker.poll()
    assert not worker.knows(key)
    assert worker.world.live.current() is table


def test_B5_a_client_that_is_switched_off_loses_its_credentials(
    worker: Worker, apply: Apply
) -> None:
    apply("/orders")
    client = Client.objects.create(name="partner-a")
    key = issue(client)
    worker.poll()
    assert worker.knows(key)
    client.enabled = False
    client.save()
    worker.poll()
    assert not worker.knows(key)


def test_B5_a_key_is_revoked_although_the_table_cannot_be_built(
    worker: Worker, apply: Apply
) -> None:
    apply("/orders")
    client = Client.objects.create(name="partner-a")
    key = issue(client)
    worker.poll()
    AttachedPolicy.objects.create(kind="no_such_kind")
    client.api_keys.all().delete()
    worker.poll()
    assert not worker.knows(key)


def test_F1_credentials_stay_in_force_and_are_kept_for_the_next_start(
    worker: Worker, apply: Apply, tmp_path: Path
) -> None:
    apply("/orders")
    kept, revoked = (issue(Client.objects.create(name=name)) for name in ("a", "b"))
    worker.poll()
    Client.objects.get(name="b").delete()
    worker.poll()
    second = Worker(tmp_path)
    with database_down():
        worker.poll()
        second.follower.begin(lambda step: step())
    for each in (worker, second):
        assert each.knows(kept)
        assert not each.knows(revoked)
    path = tmp_path / "last-good-credentials.json"
    assert kept not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_F5_a_signing_secret_that_no_key_opens_is_missing_alone(
    worker: Worker, apply: Apply, caplog: pytest.LogCaptureFixture
) -> None:
    apply("/orders")
    client = Client.objects.create(name="partner-a")
    key = issue(client)
    client.signing_keys.create(
        key_id="s", algorithm="hmac-sha256", secret=Secret("0123456789abcdef")
    )
    SigningKey.objects.update(secret="ffffffff:AAAA")
    worker.poll()
    assert worker.knows(key)
    assert worker.world.clients.signing_key("s") is None
    assert any("not configured" in line for line in caplog.messages)


def kids(worker: Worker) -> list[str]:
    return [key["kid"] for key in json.loads(worker.world.signer.jwks)["keys"]]


def test_the_gateways_own_keys_are_followed_without_another_table(
    worker: Worker, apply: Apply, django_assert_num_queries: Any
) -> None:
    apply("/orders")
    worker.poll()
    table = worker.world.live.current()
    assert kids(worker) == []
    key_life.ensure()
    worker.poll()
    (first,) = kids(worker)
    key = worker.world.signer.current(time.time())
    assert key is not None
    assert key.id == first
    with django_assert_num_queries(1):
        worker.poll()
    key_life.revoke(GatewayKey.objects.get(key_id=first))
    worker.poll()
    assert first not in kids(worker)
    assert worker.world.live.current() is table


def test_F1_without_a_database_a_worker_signs_with_the_keys_it_had(
    worker: Worker, apply: Apply, tmp_path: Path
) -> None:
    apply("/orders")
    key_life.ensure()
    worker.poll()
    kept = (tmp_path / "last-signing-keys.json").read_text()
    assert "PRIVATE" not in kept
    again = Worker(tmp_path)
    with database_down():
        again.follower.begin(lambda step: step())
    assert kids(again) == kids(worker) != []
    assert again.serves("/orders/1")


def test_the_use_of_a_key_is_written_down_by_the_thread_alone(
    worker: Worker, apply: Apply, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(following, "WRITE_USED", 0.0)
    apply("/orders")
    key = issue(Client.objects.create(name="partner-a"))
    worker.poll()
    with django_assert_num_queries(0):
        assert worker.knows(key)
    with database_down():
        worker.poll()
    assert ApiKey.objects.get().last_used is None
    worker.poll()
    assert ApiKey.objects.get().last_used is not None
    with django_assert_num_queries(1):
        worker.poll()
