"""Commands on a database that cannot be used as it is: one line that says what to do, code 2."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError

from gatewaysite.unmigrated import unusable
from tests.e2e.gateway import Gateway, Result
from tests.ports import free_port

EMPTY = "GATEHOUSE_DATABASE_URL: the database is empty: run manage.py migrate first"


@pytest.fixture(scope="module")
def empty() -> Iterator[Gateway]:
    """An installation whose database was never migrated."""
    installation = Gateway(workers=1)
    installation.write({"format": 1})
    yield installation
    installation.remove()


def said(done: Result) -> str:
    """The last line of a command that must have failed."""
    assert done.code == 2, done.output
    assert "Traceback" not in done.output
    return done.output.splitlines()[-1]


@pytest.mark.e2e
@pytest.mark.parametrize(
    "command",
    [
        "apply_config config-1.yaml",
        "check_provider acme",
        "counters",
        "create_api_key --client partner",
        "createsuperuser --noinput --username a --email a@example.org",
        "explain GET /x",
        "export_config",
        "rotate_jwks",
        "rotate_secrets",
    ],
)
def test_a_database_that_was_never_migrated(empty: Gateway, command: str) -> None:
    words = [
        str(empty.folder / word) if word.endswith(".yaml") else word for word in command.split()
    ]
    assert said(empty.command(*words)) == EMPTY


@pytest.mark.e2e
def test_a_database_of_an_earlier_version() -> None:
    installation = Gateway(workers=1)
    try:
        assert installation.command("migrate", "apis", "0001", "--verbosity", "0").code == 0
        assert "is of an earlier version: run manage.py migrate" in said(
            installation.command("export_config")
        )
    finally:
        installation.remove()


@pytest.mark.e2e
def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    url = f"postgresql://gatehouse:hunter2@127.0.0.1:{free_port()}/none"
    installation = Gateway({"GATEHOUSE_DATABASE_URL": url}, workers=1)
    try:
        done = installation.command("export_config")
        assert said(done).startswith("GATEHOUSE_DATABASE_URL: the database cannot be used: ")
        assert "hunter2" not in done.output
    finally:
        installation.remove()


@pytest.mark.django_db
def test_any_other_fault_is_not_explained_away() -> None:
    assert unusable(DatabaseError("a fault of our own")) == ""
