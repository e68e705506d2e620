"""How hosts, paths and methods may be written."""

import pytest

from apis import syntax

ACCEPTED = {
    syntax.host_pattern: ["*", "*.example.org", "api.example.org", "127.0.0.1", "[::1]", "a-b.c"],
    syntax.method: ["GET", "M-SEARCH", "PURGE"],
    syntax.base_path: ["/", "/orders", "/v1/orders", "/a%20b"],
    syntax.path_template: [
        *["/", "/items", "/items/", "/items/{id}", "/{a}/{b}", "/files/{path*}", "/{rest*}"],
        *["/a.b/{item-id}", "/~x", "/a%20b"],
    ],
    syntax.target_url: ["http://h", "https://h:8443/v1/", "http://127.0.0.1:9000", "http://a_b"],
    syntax.authority: ["h", "h:8080", "[::1]:80", "10.0.0.1"],
    syntax.server_name: ["h.example", "H.Example", "127.0.0.1"],
}

REFUSED = {
    syntax.host_pattern: [
        *["", "API.example.org", "api.example.org:80", "*.", "*example.org", "a.*.b", "a_b", "a b"],
        *["http://a", ".a", "a.", "-a", "é.example", "127.1", "0x7f.1"],
    ],
    syntax.method: ["", "get", "Get", "GE T", "GET\n", "CONNECT", "TRACE", "G" * 33],
    syntax.base_path: ["", "orders", "/orders/", "/{x}", "//", "/a//b", "/a/../b", "/a%2fb"],
    syntax.path_template: [
        *["", "items", "//", "/a//b", "/x{y}", "/{x}y", "/{}", "/{a}/{a}", "/{r*}/x", "/{*}"],
        *["/a/../b", "/./a", "/a%2Fb", "/%41", "/%zz", "/a?b", "/a#b", "/é", "/a b", "/{a b}"],
        *[
            "/a;b/..;/c",
            "/a\\b",
            "/" + "a/" * 65,
            "/" + "a" * 500,
            "/{1}",
            "/a\n",
            "/{;}",
            "/{;a*}",
        ],
    ],
    syntax.target_url: [
        *["", "h", "ftp://h", "file:///etc/passwd", "http://", "http://u@h", "http://u:p@h"],
        *["http://h?x", "http://h#x", "http://h/a/../b", "http://h:0", "http://h:99999"],
        *["http://h:", "http://h\\@e", "http://h /", "http://[::1", "http://127.1", "http://h/{x}"],
    ],
    syntax.authority: ["", "h/x", "u@h", "h:x", "h?x"],
    syntax.server_name: ["", "h:443", "a b"],
}


def cases(table):
    return [(check, text) for check, texts in table.items() for text in texts]


@pytest.mark.parametrize(("check", "text"), cases(ACCEPTED))
def test_accepted(check, text):
    assert check(text) == text


@pytest.mark.parametrize(("check", "text"), cases(REFUSED))
def test_refused_with_a_message(check, text):
    with pytest.raises(ValueError, match=" ") as refused:
        check(text)
    assert len(str(refused.value)) > 20


def test_a_path_is_refused_with_its_canonical_form():
    with pytest.raises(ValueError, match="write the path in its canonical form: /b"):
        syntax.path_template("/a/../b")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("/a/{x}", "/a/{y}", True),
        ("/a/{x*}", "/a/{y*}", True),
        ("/a/{;x}", "/a/{;y}", True),
        ("/a/{x}", "/a/{;x}", False),
        ("/a/{x}", "/a/{x*}", False),
        ("/a/{x}", "/a/x", False),
        ("/a", "/a/", False),
    ],
)
def test_two_templates_of_one_shape_match_the_same_paths(first, second, same):
    assert (syntax.template_shape(first) == syntax.template_shape(second)) is same
