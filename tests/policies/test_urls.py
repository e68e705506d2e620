"""Configured addresses: what is taken apart, what is refused."""

import pytest

from policies.urls import web_address


def test_an_address_is_taken_apart():
    address = web_address("https://Orders.Internal:8443/v1/")
    assert (address.scheme, address.host, address.port, address.path) == (
        "https",
        "orders.internal",
        8443,
        "/v1/",
    )


@pytest.mark.parametrize(("url", "port"), [("http://h", 80), ("https://h", 443), ("http://h:1", 1)])
def test_the_port_is_the_schemes_own_when_left_out(url, port):
    assert web_address(url).port == port


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000/", True),
        ("http://localhost", True),
        ("http://localhost.example", False),
        ("http://10.0.0.1", False),
        ("http://[::2]", False),
    ],
)
def test_loopback_is_known_by_its_name(url, loopback):
    assert web_address(url).is_loopback is loopback


@pytest.mark.parametrize(
    "url",
    [
        *["gopher://h", "javascript:x", "//h", "http:h", "http:///x", "http://a@evil@good"],
        *[
            "http://h\r\nX: y",
            "http://h/\t",
            "http://é",
            "http://%6c",
            "http://h:8O",
            "http://h:-1",
        ],
        *[
            "http://1",
            "http://0x7f000001",
            "http://017700000001",
            "http://127.0.0.1.",
            "http://a..b",
        ],
        *["http://[::1%25lo]", "http://[127.0.0.1]", "http://h/?", "http://h/#", "http://h/`"],
    ],
)
def test_S1_anything_that_two_parsers_could_read_differently_is_refused(url):
    with pytest.raises(ValueError, match="URL"):
        web_address(url)
