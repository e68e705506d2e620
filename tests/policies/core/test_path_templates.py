"""Which template a path matches; how routes use that is tested with the routing table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.core.path_templates import Templates

TEMPLATES = ["/a/{x}", "/a/{;x}", "/a/{;x}/b", "/a/;fixed=1", "/{rest*}"]


def found(path: str, *templates: str, method: str = "GET") -> str | None:
    tree: Templates[str] = Templates()
    for template in templates or TEMPLATES:
        tree.add(template, ["GET"], template)
    return tree.find(path.split("/")[1:], method, set())


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/a/b", "/a/{x}"),
        ("/a/b;x=1", "/a/{x}"),
        ("/a/;x=1", "/a/{;x}"),
        ("/a/;x=1;y=2", "/a/{;x}"),
        ("/a/;fixed=1", "/a/;fixed=1"),
        ("/a/;x=1/b", "/a/{;x}/b"),
        ("/a/;x=1/c", None),
        ("/b/;x=1", None),
        ("/;x=1", None),
        ("/b/c/;x=1/d", None),
        ("/b/c", "/{rest*}"),
    ],
)
def test_P4_a_segment_of_parameters_is_matched_only_where_it_is_asked_for(
    path: str, template: str | None
) -> None:
    assert found(path) == template


@given(st.lists(st.sampled_from(["a", "b", ";x=1", "x;y=1", ""]), min_size=1, max_size=5))
def test_P4_no_other_template_matches_what_a_server_may_take_for_nothing(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    template = found(path, "/a/{x}", "/{x}/{y}", "/{x}/b/{y}", "/{rest*}")
    if any(part.startswith(";") for part in parts):
        assert template is None


def test_a_method_is_served_once() -> None:
    tree: Templates[str] = Templates()
    tree.add("/a/{x}", ["GET"], "first")
    with pytest.raises(KeyError):
        tree.add("/a/{y}", ["POST", "GET"], "second")
