"""What keeps an installation from starting, and how it is said."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatewaysite.environment import Environment
from gatewaysite.startup import problems, warnings

ROOT = Path(__file__).parents[2]

Make = Callable[..., Environment]


@pytest.fixture
def environment(tmp_path: Path) -> Make:
    def make(**values: Any) -> Environment:
        return Environment(data_dir=tmp_path, **values)

    return make


@pytest.fixture
def tls(tmp_path: Path, certificate: str, private_key: str) -> tuple[Path, Path]:
    """A certificate and its key, as files."""
    cert_path, key_path = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_path.write_text(certificate)
    key_path.write_text(private_key)
    key_path.chmod(0o600)
    return cert_path, key_path


def test_the_defaults_start(environment: Make) -> None:
    assert problems(environment()) == []
    assert warnings(environment()) == []


def test_A2_debug_is_refused(environment: Make, settings: Any) -> None:
    settings.DEBUG = True
    assert "DEBUG" in problems(environment())[0]


def test_A2_a_console_for_every_host_is_refused(environment: Make, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert "GATEHOUSE_CONSOLE_HOSTS" in problems(environment())[0]


def test_A2_a_short_secret_key_is_refused_and_not_shown(environment: Make) -> None:
    (problem,) = problems(environment(secret_keys="k" * 40 + ",hunter2"))
    assert "GATEHOUSE_SECRET_KEYS" in problem
    assert "hunter2" not in problem


def test_A2_a_kept_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("k" * 40)
    (tmp_path / "secret.key").chmod(0o644)
    done = manage("serve", "--only", "worker", GATEHOUSE_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


def test_A2_a_tls_key_that_others_can_read_is_refused(
    environment: Make, tls: tuple[Path, Path]
) -> None:
    cert, key = tls
    assert problems(environment(tls_cert=cert, tls_key=key)) == []
    key.chmod(0o604)
    (problem,) = problems(environment(tls_cert=cert, tls_key=key))
    assert "chmod o=" in problem


def test_tls_files_that_do_not_load_are_named(environment: Make, tls: tuple[Path, Path]) -> None:
    cert, key = tls
    (problem,) = problems(environment(tls_cert=key, tls_key=key))
    assert "GATEHOUSE_TLS_CERT" in problem
    missing = cert.with_name("absent.pem")
    (problem,) = problems(environment(tls_cert=cert, tls_key=key, tls_client_ca=missing))
    assert "GATEHOUSE_TLS_CLIENT_CA" in problem
    (problem,) = problems(environment(tls_cert=cert))
    assert "give both" in problem


def test_memory_state_is_for_one_worker(environment: Make) -> None:
    assert problems(environment(state_url="memory://", workers=1)) == []
    (problem,) = problems(environment(state_url="memory://", workers=2))
    assert "GATEHOUSE_STATE_URL" in problem


def test_a_state_url_of_another_kind_is_refused(environment: Make) -> None:
    (problem,) = problems(environment(state_url="mysql://db/x"))
    assert problem.startswith("GATEHOUSE_STATE_URL: the state URL must be")


def test_P7_trusting_everybody_is_an_error_in_the_log(environment: Make) -> None:
    for everybody in ("0.0.0.0/0", "::/0"):
        assert problems(environment(trusted_proxies=everybody)) == []
        (warning,) = warnings(environment(trusted_proxies=f"10.0.0.0/8,{everybody}"))
        assert everybody in warning


def test_local_counters_beside_a_shared_database_are_pointed_out(environment: Make) -> None:
    (warning,) = warnings(environment(database_url="postgresql://db.example.org/gatehouse"))
    assert "redis://" in warning


def manage(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """``manage.py`` in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEHOUSE_")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=inherited | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_setting_is_a_start_up_error(tmp_path: Path) -> None:
    done = manage("serve", GATEHOUSE_DATA_DIR=str(tmp_path), GATEHOUSE_WORKRES="2")
    assert done.returncode == 2
    assert done.stderr.strip() == "GATEHOUSE_WORKRES: unknown setting"


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    done = manage(
        "check",
        GATEHOUSE_DATA_DIR=str(tmp_path),
        GATEHOUSE_WORKERS="many",
        GATEHOUSE_PROXY_BIND="8000",
    )
    assert done.returncode == 2
    names = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert names == {"GATEHOUSE_WORKERS", "GATEHOUSE_PROXY_BIND"}


def test_a_database_url_of_another_kind_is_a_start_up_error(tmp_path: Path) -> None:
    done = manage("check", GATEHOUSE_DATA_DIR=str(tmp_path), GATEHOUSE_DATABASE_URL="mysql://db/x")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_serve_says_why_it_does_not_start(tmp_path: Path) -> None:
    done = manage(
        "serve",
        GATEHOUSE_DATA_DIR=str(tmp_path),
        GATEHOUSE_STATE_URL="memory://",
        GATEHOUSE_WORKERS="2",
    )
    assert done.returncode == 2
    assert "memory://" in done.stderr
    assert "Traceback" not in done.stderr
