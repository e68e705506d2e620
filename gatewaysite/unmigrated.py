"""Why a command could not use the database, where an operator can do something about it."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

_NAME = "GATEHOUSE_DATABASE_URL"


def unusable(error: DatabaseError) -> str:
    """What an operator can do about a command that failed by ``error``; empty: nothing known."""
    try:
        executor = MigrationExecutor(connection)
    except DatabaseError:
        return f"{_NAME}: the database cannot be used: {_first_line(error)}"
    if not executor.loader.applied_migrations:
        return f"{_NAME}: the database is empty: run manage.py migrate first"
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return f"{_NAME}: the database is of an earlier version: run manage.py migrate"
    return ""


def _first_line(error: DatabaseError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
