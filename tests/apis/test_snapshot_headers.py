"""Which of the client's header lines a compiled route forwards, and who may write which."""

from typing import Any

import pytest

from tests.apis.test_snapshot import api, compiled, matched

WHO = {"forward_identity": {"headers": {"X-Who": "sub"}}}


def public_api(name: str, *policies: dict[str, Any]) -> dict[str, Any]:
    return api(name, policies=[{"public": {}}, *policies])


def _sets(value: str, name: str = "X-Who", **more: Any) -> dict[str, Any]:
    return {"request_headers": {"set": {name: value}, **more}}


def _problem(*policies: dict[str, Any], elsewhere: dict[str, Any] | None = None) -> str:
    apis = [public_api("orders", *policies)]
    if elsewhere is not None:
        apis.append(public_api("other", elsewhere))
    _, problems = compiled(*apis)
    return problems[0].message if problems else ""


def test_what_is_set_or_removed_is_not_forwarded_from_the_client_on_this_route() -> None:
    headers = {"request_headers": {"set": {"X-Env": "live"}, "remove": ["X-Debug"]}}
    table, problems = compiled(public_api("orders", headers), public_api("other"))
    assert problems == []
    assert {b"x-env", b"x-debug"} <= matched(table, "GET", "/orders").strip_fields
    assert not {b"x-env", b"x-debug"} & matched(table, "GET", "/other").strip_fields


def test_P2_a_name_that_a_template_tells_the_identity_in_is_reserved_on_every_route() -> None:
    telling = _sets("{identity.subject}")
    table, _ = compiled(public_api("orders", telling), public_api("other"))
    for name in ("orders", "other"):
        assert b"x-who" in matched(table, "GET", f"/{name}").strip_fields


def test_removing_wins_over_passing() -> None:
    passing = {"forward_identity": {"authorization": "pass"}}
    removing = {"request_headers": {"remove": ["Authorization"]}}
    table, _ = compiled(public_api("orders", passing, removing))
    assert b"authorization" in matched(table, "GET", "/orders").strip_fields


@pytest.mark.parametrize("mode", ["report", "off"])
def test_what_is_not_enforced_changes_nothing_of_what_is_forwarded(mode: str) -> None:
    passing = {"forward_identity": {"authorization": "pass", "mode": mode}}
    removing = {"request_headers": {"remove": ["X-Debug"], "mode": mode}}
    table, _ = compiled(public_api("orders", passing, removing))
    route = matched(table, "GET", "/orders")
    assert b"x-debug" not in route.strip_fields
    assert b"authorization" in route.strip_fields


@pytest.mark.parametrize("value", ["fixed", "{request.client}", "{request.headers.x-own}"])
def test_P2_nothing_but_the_identity_is_written_where_upstreams_read_who_calls(value: str) -> None:
    assert "x-who tells upstreams who calls" in _problem(WHO, _sets(value))
    assert "x-who tells upstreams who calls" in _problem(_sets(value), elsewhere=WHO)
    assert _problem(_sets(value, "X-Else"), elsewhere=WHO) == ""


def test_P2_two_policies_of_a_route_do_not_tell_who_calls_in_one_name() -> None:
    telling = _sets("{identity.subject}")
    assert "one policy writes it" in _problem(WHO, telling)
    assert "one policy writes it" in _problem(telling, WHO)
    assert _problem(telling, elsewhere=WHO) == ""
