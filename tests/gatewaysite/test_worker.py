"""The worker process: a file broker that needs no server, a schedule, and an orderly end."""

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.app.base import Celery

from gatewaysite.celery import SCHEDULE, app, broker_settings
from gatewaysite.environment import Environment
from policies.stores.database import DatabaseBackend
from policies.stores.operations import Publish
from policies.tasks import purge_state
from tests.e2e.gateway import Gateway
from tests.e2e.processes import Process
from tests.e2e.servers import until


def test_the_default_broker_is_a_folder_for_this_user_alone(tmp_path: Path) -> None:
    settings = broker_settings(Environment(data_dir=tmp_path))
    assert settings["broker_url"].startswith("filesystem://")
    folders = set(settings["broker_transport_options"].values())
    for folder in folders:
        assert Path(folder).is_dir()
        assert Path(folder).is_relative_to(tmp_path)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_another_broker_is_taken_as_it_is(tmp_path: Path) -> None:
    environment = Environment(data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")
    assert broker_settings(environment) == {"broker_url": "redis://127.0.0.1:1/0"}
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_scheduled_exists() -> None:
    assert isinstance(app, Celery)
    app.loader.import_default_modules()
    assert set(SCHEDULE) <= set(app.tasks)


def test_only_json_is_accepted() -> None:
    assert app.conf.accept_content == ["json"]


def test_purge_deletes_what_has_ended_and_nothing_else(tmp_path: Path, settings: object) -> None:
    path = tmp_path / "state.sqlite3"
    settings.CACHES = {"default": {"LOCATION": f"sqlite:///{path}"}}  # type: ignore[attr-defined]
    now = time.time()
    then = DatabaseBackend(path, clock=lambda: now - 1000)
    then.execute([Publish("ended", b"1", 10.0), Publish("living", b"1", 5000.0)])
    purge_state()
    assert DatabaseBackend(path).purge() == 0
    rows = DatabaseBackend(path, clock=lambda: now + 10_000).purge()
    assert rows == 1


def test_purge_leaves_an_unreachable_store_to_the_next_run(
    tmp_path: Path, settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {  # type: ignore[attr-defined]
        "default": {"LOCATION": f"sqlite:///{tmp_path}/absent/state.sqlite3"}
    }
    purge_state()
    assert "next run" in caplog.text


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    installation = Gateway(workers=1)
    yield installation
    installation.remove()


@pytest.mark.e2e
def test_it_runs_its_tasks_at_start_and_ends_with_code_0(gateway: Gateway) -> None:
    gateway.migrate()
    command = [sys.executable, "manage.py", "serve", "--only", "worker"]
    gateway.process = process = Process(command, gateway.environ, clean=True)
    messages = gateway.folder / "data" / "broker" / "messages"
    until(messages.is_dir, 60, process.tail())
    begun = gateway.folder / "data" / "broker" / "control" / "gatehouse.exchange"
    until(begun.exists, 60, process.tail())
    until(lambda: not list(messages.iterdir()), 60, "the first tasks were not taken")
    assert process.stop(signal.SIGTERM, 30) == 0
    assert "unregistered" not in process.tail()
