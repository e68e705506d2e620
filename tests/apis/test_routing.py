"""Which route a request gets: the order that the contract fixes."""

import pytest

from apis.routing import NotMatched, Route, RoutingTable


def route(base: str, template: str, *methods: str, internal: bool = False) -> Route:
    name = f"{base} {' '.join(methods)} {template}"
    return Route(name, "api", base, template, frozenset(methods), internal=internal)


def table(*routes: tuple[str, Route]) -> RoutingTable:
    return RoutingTable([((host,), item) for host, item in routes], generation=1)


def matched(routing: RoutingTable, host: str, method: str, path: str) -> str:
    found = routing.match(host, method, path)
    assert isinstance(found, Route)
    return f"{found.base_path} {found.template}"


def test_the_longest_base_path_wins_by_whole_segments() -> None:
    routing = table(
        ("*", route("/", "/{rest*}")),
        ("*", route("/orders", "/{rest*}")),
        ("*", route("/orders/archive", "/{rest*}")),
    )
    assert matched(routing, "h", "GET", "/orders/archive/1") == "/orders/archive /{rest*}"
    assert matched(routing, "h", "GET", "/orders/archived") == "/orders /{rest*}"
    assert matched(routing, "h", "GET", "/orders") == "/orders /{rest*}"
    assert matched(routing, "h", "GET", "/ordersx") == "/ /{rest*}"


def test_literal_before_parameter_before_rest() -> None:
    routing = table(
        ("*", route("/", "/items/{id}", "GET")),
        ("*", route("/", "/items/latest", "GET")),
        ("*", route("/", "/items/{rest*}", "GET")),
        ("*", route("/", "/items/{id}/parts/{part}", "GET")),
    )
    assert matched(routing, "h", "GET", "/items/latest") == "/ /items/latest"
    assert matched(routing, "h", "GET", "/items/7") == "/ /items/{id}"
    assert matched(routing, "h", "GET", "/items/7/parts/1") == "/ /items/{id}/parts/{part}"
    assert matched(routing, "h", "GET", "/items/7/other") == "/ /items/{rest*}"
    assert matched(routing, "h", "GET", "/items/latest/parts/1") == "/ /items/{id}/parts/{part}"


def test_a_trailing_slash_counts() -> None:
    routing = table(("*", route("/", "/items", "GET")))
    assert matched(routing, "h", "GET", "/items") == "/ /items"
    assert routing.match("h", "GET", "/items/") == NotMatched()


def test_a_known_path_with_another_method_says_which_are_allowed() -> None:
    routing = table(("*", route("/", "/items", "GET")), ("*", route("/", "/items", "POST", "PUT")))
    assert routing.match("h", "DELETE", "/items") == NotMatched(("GET", "HEAD", "POST", "PUT"))
    assert matched(routing, "h", "HEAD", "/items") == "/ /items"


def test_hosts_exact_then_suffix_then_any() -> None:
    routing = table(
        ("*", route("/any", "/{rest*}")),
        ("*.example.org", route("/any", "/suffix", "GET")),
        ("a.example.org", route("/any", "/exact", "GET")),
    )
    assert matched(routing, "a.example.org", "GET", "/any/exact") == "/any /exact"
    assert matched(routing, "b.example.org", "GET", "/any/suffix") == "/any /suffix"
    assert matched(routing, "example.org", "GET", "/any/x") == "/any /{rest*}"
    # The nearest host with the base path decides; a laxer one is not fallen back to.
    assert routing.match("a.example.org", "GET", "/any/other") == NotMatched()


def test_an_unknown_host_is_told_apart_from_an_unknown_path() -> None:
    routing = table(
        ("api.example.org", route("/", "/items", "GET")),
        ("*", route("/auth", "/{rest*}", internal=True)),
    )
    assert routing.match("api.example.org", "GET", "/x") == NotMatched()
    assert routing.match("other.example", "GET", "/x") == NotMatched(host_known=False)


def test_two_routes_for_one_method_and_path_do_not_make_a_table() -> None:
    with pytest.raises(ValueError, match="same method and path"):
        table(("*", route("/", "/items/{id}", "GET")), ("*", route("/", "/items/{name}", "GET")))


@pytest.mark.parametrize(
    ("base", "strip", "path", "sent"),
    [
        ("/orders", True, "/orders/items/1", "/items/1"),
        ("/orders", True, "/orders", "/"),
        ("/orders", False, "/orders/items", "/orders/items"),
        ("/", True, "/items", "/items"),
    ],
)
def test_the_base_path_is_stripped_when_asked(base: str, strip: bool, path: str, sent: str) -> None:
    item = Route("r", "a", base, "/{rest*}", frozenset(), strip_base_path=strip)
    assert item.upstream_path(path) == sent
