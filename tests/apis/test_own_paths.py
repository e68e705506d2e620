"""What is registered where the gateway itself answers would never be asked for: it is refused."""

from typing import Any

import pytest

from apis.config import Document
from apis.validation import problems


def places(**api: Any) -> list[str]:
    base = {
        "name": "orders",
        "upstream": {"targets": [{"url": "http://orders.example.org"}]},
        "policies": [{"public": {}}],
    }
    document = Document.model_validate({"format": 1, "apis": [base | api]})
    return [problem.path for problem in problems(document, ())]


@pytest.mark.parametrize("path", ["/auth", "/auth/x", "/-", "/-/ready", "/.well-known"])
def test_a_base_path_of_the_gateway_itself_is_refused(path: str) -> None:
    assert places(base_path=path) == ["apis[0].base_path"]


@pytest.mark.parametrize("path", ["/auth", "/auth/{provider}/token", "/-/{rest*}"])
def test_a_route_at_the_root_that_is_never_reached_is_refused(path: str) -> None:
    assert places(routes=[{"path": path}]) == ["apis[0].routes[0].path"]


@pytest.mark.parametrize("path", ["/authors", "/auth-status", "/api/auth", "/_"])
def test_paths_that_only_look_alike_are_free(path: str) -> None:
    assert places(base_path=path) == []
    assert places(routes=[{"path": path}]) == []
