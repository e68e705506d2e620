"""The worker process: a Celery worker with its schedule inside, in one process.

Tasks are idempotent and find their work in the database, so a tick that was missed is made up
by the next one, and a task that died with its worker is simply run again. The schedule is
static and kept in memory; beat runs as a thread of the worker, so that nothing is left behind
when the worker ends. Tasks live in their own apps as ``shared_task``.
"""

import os
import warnings
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.beat import Scheduler, Service
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")

from gatewaysite.environment import Environment
from gatewaysite.settings import ENVIRONMENT

SCHEDULE: dict[str, float] = {  # task -> seconds between two runs
    "accounts.tasks.purge_sessions": 3600.0,
    "oidc_clients.tasks.rotate_jwks": 300.0,
    "oidc_clients.tasks.purge_revocations": 3600.0,
    "policies.tasks.purge_quotas": 3600.0,
    "policies.tasks.purge_state": 600.0,
    "policies.tasks.rotate_signing_keys": 600.0,
}
THREADS = 2


def broker_settings(environment: Environment) -> dict[str, Any]:
    """Celery's broker settings; the default is a folder of files in the data directory.

    The file broker is for one machine: its folders are made here, for this user alone.
    """
    url = environment.broker_url or "filesystem://localhost"
    if urlsplit(url).scheme != "filesystem":
        return {"broker_url": url}
    folder = Path(urlsplit(url).path or environment.data_dir.absolute() / "broker")
    messages, control = folder / "messages", folder / "control"
    for needed in (folder, messages, control):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://localhost",
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
        },
    }


app = Celery("gatehouse")
app.conf.update(
    **broker_settings(ENVIRONMENT),
    accept_content=["json"],
    beat_schedule={
        task: {"task": task, "schedule": seconds, "options": {"expires": seconds}}
        for task, seconds in SCHEDULE.items()
    },
    broker_connection_retry_on_startup=True,
    enable_utc=True,
    task_default_queue="gatehouse",
    task_ignore_result=True,
    timezone="UTC",
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
)
app.autodiscover_tasks()


@worker_ready.connect
def run_all_once(**_: object) -> None:
    """Do at start what the schedule may have missed while no worker ran."""
    for task, seconds in SCHEDULE.items():
        app.send_task(task, expires=seconds)


def run() -> int:
    """Work until SIGTERM, then finish the tasks under way. Returns the exit code."""
    # It warns root of pickled messages; only JSON is accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        pool_cls="threads",
        concurrency=THREADS,
        quiet=True,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    beat = Service(app, max_interval=1, scheduler_cls=Scheduler)  # stops within a second
    Thread(target=beat.start, name="beat", daemon=True).start()
    try:
        worker.start()
    finally:
        beat.stop(wait=True)
    return int(worker.exitcode or 0)
