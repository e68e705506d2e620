"""One canonical path: every spelling of a path is that path, or it is refused (P4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis.gateway.canonical import (
    TargetRefused,
    canonical_path,
    host_name,
    origin_form,
    split_target,
)

# Forty ways to write /public/../admin that some server somewhere resolves to /admin.
SPELLINGS = [
    b"/public/../admin", b"/public/%2e%2e/admin", b"/public/%2E%2E/admin", b"/public/.%2e/admin",
    b"/public/%2e./admin", b"/public/./../admin", b"/public/.././admin", b"/public/x/../../admin",
    b"/public/%2e/%2e%2e/admin", b"/./public/../admin", b"/public/../%61dmin",
    b"/public/..%2fadmin", b"/public/..%2Fadmin", b"/public%2f..%2fadmin",
    b"/public/%2e%2e%2fadmin",
    b"/public/..\\admin", b"/public\\..\\admin", b"/public/..%5cadmin", b"/public/..%5Cadmin",
    b"/public/%2e%2e%5cadmin", b"/public/..;/admin", b"/public/..;x=1/admin",
    b"/public/..%3b/admin",
    b"/public/.;/../admin", b"/public/;/../admin", b"/public//../admin", b"//admin",
    b"/public/..//admin", b"/public/../admin%00", b"/public/%00/../admin", b"/public/../admin%0a",
    b"/public/../admin%0d%0a", b"/public/..\x00/admin", b"/public/..%c0%afadmin",
    b"/public/%c0%ae%c0%ae/admin", b"/public/..\xef\xbc\x8fadmin", b"/public/../admin#x",
    b"/public/../../admin", b"/public/%u002e%u002e/admin", b"/public/../admin%",
]  # fmt: skip


@pytest.mark.parametrize("raw", SPELLINGS)
def test_P4_every_spelling_is_the_admin_path_or_refused(raw: bytes) -> None:
    try:
        assert canonical_path(raw) == "/admin"
    except TargetRefused:
        return


def test_P4_the_spellings_are_forty() -> None:
    assert len(SPELLINGS) == len(set(SPELLINGS)) == 40


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/a/b", "/a/b"),
        (b"/a/b/", "/a/b/"),
        (b"/a/..", "/"),
        (b"/a/.", "/a/"),
        (b"/%7euser/%41", "/~user/A"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
        (b"/a%3Fb%25c", "/a%3Fb%25c"),
        (b"/m;color=red/x", "/m;color=red/x"),
        (b"/m/;color=red;size=%37/x", "/m/;color=red;size=7/x"),
        (b"/m/;color=red/../x", "/m/x"),
        (b"/.well-known/jwks.json", "/.well-known/jwks.json"),
        (b"/...", "/..."),
    ],
)
def test_paths_are_normalised(raw: bytes, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    "raw", [b"/a/;", b"/a/;x", b"/a/;=1", b"/a/;/b", b"/a/;x=1;/b", b"/a/%3bx=1", b"/a/;..=1/b"]
)
def test_P4_a_segment_of_parameters_has_names_and_values(raw: bytes) -> None:
    with pytest.raises(TargetRefused, match="dot segment"):
        canonical_path(raw)


@given(st.binary(max_size=60).map(lambda tail: b"/" + tail))
def test_P4_a_canonical_path_is_its_own_canonical_form(raw: bytes) -> None:
    try:
        path = canonical_path(raw)
    except TargetRefused:
        return
    assert canonical_path(path.encode("ascii")) == path
    assert path.startswith("/")
    segments = path.split("/")[1:]
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]
    assert "\\" not in path
    assert "%2F" not in path


@given(st.lists(st.sampled_from([b"..", b".", b"a", b"%2e", b"%2E%2e", b"b"]), max_size=8))
def test_P4_dot_segments_resolve_as_in_rfc3986(parts: list[bytes]) -> None:
    raw = b"/" + b"/".join(parts)
    expected: list[str] = []
    above = False
    for part in parts:
        plain = part.replace(b"%2e", b".").replace(b"%2E", b".").decode()
        if plain == "..":
            above = above or not expected
            expected = expected[:-1]
        elif plain != ".":
            expected.append(plain)
    if above:
        with pytest.raises(TargetRefused):
            canonical_path(raw)
    else:
        assert canonical_path(raw).rstrip("/") == ("/" + "/".join(expected)).rstrip("/")


def test_the_query_is_kept_byte_for_byte() -> None:
    assert split_target(b"/a?x=%2F&y=1?") == (b"/a", b"x=%2F&y=1?")
    assert split_target(b"/a?") == (b"/a", b"")
    assert split_target(b"/a") == (b"/a", None)


@pytest.mark.parametrize("raw", [b"/a?x#y", b"/a?\xe9", b"/a?x\x00", b"/a?a b"])
def test_a_query_with_raw_bytes_that_need_encoding_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused):
        split_target(raw)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"Example.ORG", "example.org"),
        (b"example.org:8443", "example.org"),
        (b"example.org.", "example.org"),
        (b"[::1]:80", "[::1]"),
    ],
)
def test_hosts_are_compared_without_case_and_port(raw: bytes, name: str) -> None:
    assert host_name(raw) == name


@pytest.mark.parametrize("raw", [b"", b"a b", b"a/b", b"a@b", b"a:b", b"a:123456", b"-a", b"\xe9"])
def test_P6_a_malformed_host_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused):
        host_name(raw)


def test_P6_an_absolute_target_must_name_the_host() -> None:
    assert origin_form(b"http://a.example/x?y", b"A.example") == b"/x?y"
    assert origin_form(b"http://a.example", b"a.example") == b"/"
    for target in (
        b"http://b.example/x",
        b"http://a.example@b/x",
        b"ftp://a.example/",
        b"*",
        b"a:80",
    ):
        with pytest.raises(TargetRefused):
            origin_form(target, b"a.example")
