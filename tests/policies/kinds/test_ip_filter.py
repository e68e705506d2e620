"""``ip_filter``: networks allowed and denied, and addresses in each of their forms."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.core.phase import Phase
from policies.core.values import PASS, Call, Deny, Headers, Request
from policies.kinds.ip_filter import IpFilter, IpFilterConfig


def policy(allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> IpFilter:
    return IpFilter(IpFilterConfig(allow=allow, deny=deny), None)  # type: ignore[arg-type]


def call(client: str) -> Call:
    return Call(Request("GET", "h", "/", None, Headers([]), client), "r", 0.0)


def passes(filtered: IpFilter, client: str) -> bool:
    decision = filtered.check(call(client))
    if decision is PASS:
        return True
    assert isinstance(decision, Deny)
    assert (decision.code, decision.refusal.status) == ("ip_refused", 403)
    assert client not in decision.detail or not client
    return False


@pytest.mark.parametrize(
    ("client", "passing"),
    [
        ("10.1.2.3", True),
        ("10.9.0.1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.9.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("2001:db8:bad::1", False),
        ("2001:db9::1", False),
        ("::10.1.2.3", False),
        ("", False),
        ("unix", False),
    ],
)
def test_deny_comes_before_allow(client: str, passing: bool) -> None:
    filtered = policy(
        allow=("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"),
        deny=("10.9.0.0/16", "2001:db8:bad::/48"),
    )
    assert passes(filtered, client) is passing
    assert passes(filtered, client) is passing  # remembered


def test_mapped_networks_mean_their_ipv4_networks() -> None:
    filtered = policy(deny=("::ffff:10.0.0.0/104",))
    assert not passes(filtered, "10.1.2.3")
    assert not passes(filtered, "::ffff:10.1.2.3")
    assert passes(filtered, "11.1.2.3")


def test_without_a_list_everybody_passes_and_with_deny_alone_all_others_do() -> None:
    assert passes(policy(), "10.1.2.3")
    assert passes(policy(), "")
    assert passes(policy(deny=("10.0.0.0/8",)), "11.1.2.3")
    assert not passes(policy(deny=("10.0.0.0/8",)), "")


def test_all_of_ipv4_is_not_ipv6() -> None:
    everyone = policy(allow=("0.0.0.0/0",))
    assert passes(everyone, "203.0.113.9")
    assert not passes(everyone, "2001:db8::1")


@given(
    st.lists(st.ip_addresses(v=4, network="10.0.0.0/24"), max_size=3),
    st.lists(st.integers(20, 32), min_size=3, max_size=3),
    st.ip_addresses(v=4, network="10.0.0.0/20"),
)
def test_look_up_agrees_with_the_standard_library(
    addresses: list[ipaddress.IPv4Address], lengths: list[int], client: ipaddress.IPv4Address
) -> None:
    pairs = zip(addresses, lengths, strict=False)
    networks = [ipaddress.ip_network(f"{a}/{length}", strict=False) for a, length in pairs]
    expected = not networks or any(client in network for network in networks)
    filtered = policy(allow=tuple(map(str, networks)))
    assert passes(filtered, str(client)) is expected
    assert passes(filtered, f"::ffff:{client}") is expected


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.org", "", "10.0.0.0/8 "])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="give a network"):
        IpFilterConfig(deny=(text,))


def test_it_runs_first_and_explains_itself(make_call: Any) -> None:
    assert policy().phase is Phase.ADMIT
    described = policy(allow=("192.0.2.0/24",)).describe(make_call(client="192.0.2.7"))
    assert described == "the client's address 192.0.2.7 is allowed"
    assert policy().describe(make_call()).endswith("is not denied")
