"""What is forwarded, what is not, and whose word is believed (P1, P2, P7)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis.gateway import headers
from policies.core.values import Headers

IDENTITY = b"x-subject"
DROPPED = headers.dropped_names(frozenset({IDENTITY, b"authorization"}))


def forwarded(*fields: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    lines = headers.forward_lines(Headers(list(fields)), DROPPED)
    return dict(line.split(b": ", 1) for line in lines)


def test_P1_what_connection_names_is_not_forwarded() -> None:
    sent = forwarded(
        (b"connection", b"close, X-Hop, TE"),
        (b"x-hop", b"1"),
        (b"te", b"trailers"),
        (b"x-end", b"2"),
    )
    assert sent == {b"x-end": b"2"}


def test_P1_every_connection_line_counts() -> None:
    sent = forwarded(
        (b"connection", b"keep-alive"),
        (b"connection", b"X-Hop"),
        (b"x-hop", b"1"),
        (b"x-end", b"2"),
    )
    assert sent == {b"x-end": b"2"}
    answer = [(b"connection", b"close"), (b"connection", b"X-Hop"), (b"x-hop", b"1")]
    assert headers.answer_fields(answer) == []


@pytest.mark.parametrize("name", [b"Content-Type", b"COOKIE", b"Via"])
def test_P1_connection_cannot_remove_what_the_gateway_checks(name: bytes) -> None:
    sent = forwarded((b"connection", b"close, " + name), (name.lower(), b"kept"))
    assert sent == {name.lower(): b"kept"}


@given(
    st.sampled_from(sorted(headers.RESERVED | {IDENTITY})),
    st.data(),
)
def test_P2_no_spelling_of_a_reserved_name_is_forwarded(name: bytes, data: st.DataObject) -> None:
    spelled = bytes(data.draw(st.sampled_from([c, ord(".")])) if c == ord("-") else c for c in name)
    assert forwarded((spelled, b"spoofed"), (b"accept", b"*/*")) == {b"accept": b"*/*"}


def test_answers_lose_hop_by_hop_lines_and_the_servers_name() -> None:
    fields = [
        (b"connection", b"keep-alive, X-Internal"), (b"x-internal", b"1"),
        (b"server", b"origin/1.0"),
        (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"3"),
    ]  # fmt: skip
    assert headers.answer_fields(fields) == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_only_the_named_cookie_is_taken_out() -> None:
    received = Headers([(b"cookie", b"a=1; token=secret; b=2"), (b"accept", b"*/*")])
    kept = headers.without_cookies(received, frozenset({"token"}))
    assert kept.all(b"cookie") == [b"a=1; b=2"]
    assert (
        headers.without_cookies(Headers([(b"cookie", b"token=s")]), frozenset({"token"})).fields
        == []
    )


TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("203.0.113.7", b"1.2.3.4", "203.0.113.7"),  # an untrusted peer is the client
        ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),  # right-most untrusted
        ("10.0.0.1", b"6.6.6.6, junk", "10.0.0.1"),
        ("10.0.0.1", b"::ffff:1.2.3.4", "1.2.3.4"),
    ],
)
def test_P7_the_client_is_the_right_most_untrusted_address(
    peer: str, told: bytes, client: str
) -> None:
    chain = headers.client_chain(peer, Headers([(b"x-forwarded-for", told)]), TRUSTED)
    assert chain.split(", ")[0] == client


def test_P7_a_mapped_peer_is_its_ipv4_address() -> None:
    assert headers.unmapped("::ffff:192.0.2.1") == "192.0.2.1"
    assert headers.unmapped("2001:db8::1") == "2001:db8::1"


def test_forwarding_lines_name_client_scheme_and_host() -> None:
    lines = headers.forwarding_lines("2001:db8::1", True, b"api.example:8443").decode()
    assert lines == (
        'forwarded: for="[2001:db8::1]";host="api.example:8443";proto=https\r\n'
        "x-forwarded-for: 2001:db8::1\r\nx-forwarded-proto: https\r\n"
        "x-forwarded-host: api.example:8443\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "certificate"),
    [
        ([], None),
        ([b":AAEC:"], b"\x00\x01\x02"),
        ([b" :AAEC:; ignored=1 "], b"\x00\x01\x02"),
        ([b":AAEC:", b":AAEC:"], None),
        ([b":AAEC:, :AAEC:"], None),
        ([b"::"], None),
        ([b":A_-C:"], None),
        ([b'"AAEC"'], None),
        ([b"AAEC"], None),
        ([b"\xff"], None),
    ],
)
def test_a_certificate_is_told_as_one_byte_sequence(
    lines: list[bytes], certificate: bytes | None
) -> None:
    received = Headers([(b"client-cert", line) for line in lines])
    assert headers.told_certificate(received) == certificate
