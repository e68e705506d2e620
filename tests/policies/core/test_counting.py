"""The keys that limits count by."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.core.counting import address_group, counted_by, readable
from policies.core.values import Call, Headers, Identity, Request

WAYS = ["identity", "ip", "client", "route", "claim:team", "header:X-Tenant"]
texts = st.text(max_size=400)


def call_of(subject: str, client: str, team: Any, tenant: bytes, address: str) -> Call:
    headers = Headers([(b"x-tenant", tenant)])
    identity = Identity("jwt", subject, "https://op", client=client, claims={"team": team})
    return Call(Request("GET", "h", "/", None, headers, address), subject, 0.0, identity)


@given(texts, texts, texts | st.integers() | st.lists(texts), st.binary(), st.ip_addresses())
def test_every_key_is_short_ascii(
    subject: str, client: str, team: Any, tenant: bytes, address: Any
) -> None:
    call = call_of(subject, client, team, tenant, str(address))
    for by in WAYS:
        key = counted_by(by)(call)
        assert key.isascii()
        assert key.isprintable()
        assert len(key) <= 256


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("identity", "3:ali:ce (jwt of https://op)"),
        ("client", "client web of https://op"),
        ("claim:team", 'claim {"a": 1} of https://op'),
        ("ip", "ip:192.0.2.7"),
        ("route", "route:3:ali:ce"),
        ("header:X-Tenant", "header:9:blue"),
    ],
)
def test_a_key_can_be_read(by: str, text: str) -> None:
    call = call_of("3:ali:ce", "web", {"a": 1}, b"9:blue", "192.0.2.7")
    assert readable(counted_by(by)(call)) == text


@given(texts)
def test_whatever_is_counted_has_a_text(text: str) -> None:
    call = call_of(text, text, text, text.encode("utf-8", "replace"), text)
    for by in WAYS:
        assert readable(counted_by(by)(call))
    assert readable(text) is not None


@given(texts)
def test_keys_of_different_things_never_collide(text: str) -> None:
    call = call_of(text, f"c{text}", text, text.encode("utf-8", "replace"), text)
    keys = [counted_by(by)(call) for by in WAYS if by != "ip"]
    assert len(set(keys)) == len(keys)


@given(texts, texts)
def test_two_subjects_are_never_one_key(one: str, two: str) -> None:
    key = counted_by("identity")
    keys = {key(call_of(subject, "", None, b"", "")) for subject in (one, two)}
    assert len(keys) == len({one, two})


@given(texts)
def test_keys_begin_with_their_own_prefix_for_one_identity_too(text: str) -> None:
    call = call_of(text, f"c{text}", text, b"", "")
    ways = [(by, prefix) for by in WAYS for prefix in ("", "a ", "b ", "b", "a by ")]
    ways += [("claim:a by identity", "x "), ("identity", "x by claim:a ")]
    for by, prefix in ways * 2:
        assert counted_by(by, prefix)(call) == prefix + counted_by(by)(call)


@pytest.mark.parametrize("by", ["", "user", "identity:x", "claim:", "header:", "header:a b", "IP"])
def test_what_cannot_be_counted_by_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match="say identity"):
        counted_by(by)


@given(st.ip_addresses(v=6))
def test_R5_an_ipv6_network_of_64_is_one_address(address: Any) -> None:
    if address.ipv4_mapped is not None:
        assert address_group(str(address)) == str(address.ipv4_mapped)
        return
    first = int(address) >> 64 << 64
    group = address_group(str(address))
    assert group.endswith("/64")
    for neighbour in (first, first + 1, first + 2**64 - 1):
        mapped = first == 0 and neighbour >> 32 == 0xFFFF
        assert mapped or address_group(str(type(address)(neighbour))) == group
    if first + 2**64 < 2**128:
        assert address_group(str(type(address)(first + 2**64))) != group


def test_what_is_no_address_stays_as_it_is() -> None:
    assert address_group("") == ""
    assert address_group("unix:") == "unix:"
