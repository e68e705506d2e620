"""The SSRF rule: which addresses the gateway connects to (promise S1)."""

from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.core.addresses import networks, refusal

EVERYTHING = networks(("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_S1_public_addresses_pass(address):
    assert refusal(address, ()) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "10.1.1.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "0.0.0.0", "::", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "224.0.0.1", "ff02::1", "ff0e::1", "fc00::1", "fd12::1", "fec0::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:7f00:1::1", "2001::1", "100::1", "4000::1",
    ],
)  # fmt: skip
def test_S1_anything_else_needs_a_listed_network(address):
    assert refusal(address, ()) is not None
    assert refusal(address, EVERYTHING) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "100.100.100.200",
        "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
        "fd00:ec2::254", "fd20:ce::254",
    ],
)  # fmt: skip
def test_S1_metadata_is_refused_even_if_listed(address):
    assert refusal(address, EVERYTHING) is not None


def test_S1_a_listed_network_admits_its_own_addresses_only():
    allowed = networks(("10.1.0.0/16", "fd12::/32"))
    assert refusal("10.1.2.3", allowed) is None
    assert refusal("::ffff:10.1.2.3", allowed) is None
    assert refusal("fd12::5", allowed) is None
    assert refusal("10.2.0.1", allowed) is not None
    assert refusal("fd13::5", allowed) is not None
    assert refusal("127.0.0.1", allowed) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4 "])
def test_S1_what_is_not_an_address_is_refused(text):
    assert refusal(text, EVERYTHING) is not None


def test_a_malformed_network_is_an_error():
    with pytest.raises(ValueError, match="does not appear"):
        networks(("10.0.0.0/8", "nonsense"))


@settings(deadline=None)  # the machine may be busy
@given(st.integers(0, 2**32 - 1))
def test_S1_every_way_to_write_an_ipv4_address_is_judged_alike(number):
    plain = str(IPv4Address(number))
    verdict = refusal(plain, ())
    assert refusal(f"::ffff:{plain}", ()) == verdict
    assert refusal(f"64:ff9b::{plain}", ()) == verdict


@settings(deadline=None)  # the machine may be busy
@given(st.integers(0, 2**128 - 1))
def test_S1_nothing_outside_the_handed_out_range_passes(number):
    address = ip_address(number.to_bytes(16, "big"))
    if refusal(str(address), ()) is None:
        assert (
            address in ip_network("2000::/3")
            or address.ipv4_mapped
            or address in ip_network("64:ff9b::/96")
        )
