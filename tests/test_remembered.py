"""What is remembered of clients' texts: no more memory than the number of entries suggests."""

import tracemalloc
from collections.abc import Callable

import pytest

from apis.routing import Route, RoutingTable
from policies.http.media_types import media_type
from policies.openapi.compiled import Compiled
from policies.openapi.media import accepts
from tests.apis.described import USABLE

LENGTH = 8192  # of a line that the door takes
COUNT = 5000  # more than any memory has entries
MEGABYTES = 2  # that thousands of short ones may take


def table() -> RoutingTable:
    route = Route("r", "api", "/", "/{rest*}", frozenset())
    return RoutingTable([(("*",), route)], generation=1)


def memories() -> dict[str, Callable[[str], object]]:
    routes, document = table(), Compiled(USABLE, closed=False, answers=False)
    return {
        "path": lambda text: routes.match("h", "GET", f"/{text}"),
        "method": lambda text: routes.match("h", text, "/"),
        "host": lambda text: routes.match(text, "GET", "/"),
        "described path": lambda text: document.find("GET", f"/{text}"),
        "content-type": lambda text: media_type(f"text/{text}".encode()),
        "accept": lambda text: accepts(f"text/{text}".encode(), ("text/plain",)),
    }


@pytest.mark.parametrize("name", memories())
def test_long_texts_of_clients_are_not_kept(name: str) -> None:
    ask = memories()[name]
    ask("x")
    tracemalloc.start()
    try:
        for number in range(COUNT):
            ask(f"{number:0{LENGTH}}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MEGABYTES * 1_000_000


def test_paths_that_callers_repeat_are_matched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = table()
    first = routes.match("h", "GET", "/orders/7")
    monkeypatch.setattr(routes, "_any", None)  # nothing is found any more, only remembered
    assert routes.match("h", "GET", "/orders/7") is first
    assert routes.match("h", "GET", "/orders/8") is not first
