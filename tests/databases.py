"""The configuration's database, going away under a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection


@contextmanager
def database_down() -> Iterator[None]:
    """Every statement fails, as when the server is gone."""

    def refuse(*_: Any) -> Any:
        raise OperationalError("the server is gone")

    with connection.execute_wrapper(refuse):
        yield
