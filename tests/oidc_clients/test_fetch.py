"""Requests to providers that do whatever they like."""

import json
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import urllib3

from oidc_clients import fetch
from oidc_clients.fetch import FetchError, Reach, Response, check_url, get_json, post_form
from policies.urls import PORTS

VECTORS = Path(__file__).parents[2] / "../shared/vectors"
Resolve = Callable[..., list[str]]
LOOPBACK = Reach(("127.0.0.0/8",), insecure_http=True)


def test_D1_a_json_object_is_fetched(provider: Any) -> None:
    answer = get_json(provider.url("/jwks"), LOOPBACK)
    assert isinstance(answer, Response)
    assert answer.json == {"keys": provider.keys}
    assert provider.hits == {"jwks": 1}
    (_, headers, _) = provider.seen[0]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Accept"] == "application/json"


def test_D7_a_form_is_posted_with_its_headers(provider: Any) -> None:
    answer = post_form(
        provider.url("/token"), {"grant_type": "x&y"}, {"Authorization": "Basic Z3c6cw=="}, LOOPBACK
    )
    assert answer.json == {"what": "token"}
    ((path, headers, body),) = provider.seen
    assert path == "/token"
    assert headers["Authorization"] == "Basic Z3c6cw=="
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"grant_type=x%26y"


def test_D1_only_status_200_is_metadata_but_a_form_shows_every_answer(provider: Any) -> None:
    provider.fault = "error"
    with pytest.raises(FetchError, match="status 500"):
        get_json(provider.url("/jwks"), LOOPBACK)
    answer = post_form(provider.url("/token"), {}, {}, LOOPBACK)
    assert answer.status == 500
    assert answer.json == {"error": "server_error"}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("down", "cannot be reached"),
        ("html", "not JSON"),
        ("garbage", "invalid JSON"),
        ("twice", "member twice"),
        ("truncated", "broke the connection"),
        ("redirect", "redirects"),
        ("compressed", "compressed"),
    ],
)
def test_D1_answers_that_are_not_what_was_asked_for(
    provider: Any, fault: str, message: str
) -> None:
    provider.fault = fault
    with pytest.raises(FetchError, match=message):
        get_json(provider.url("/jwks"), LOOPBACK)
    with pytest.raises(FetchError, match=message):
        post_form(provider.url("/token"), {"password": "canary"}, {}, LOOPBACK)
    assert provider.hits["elsewhere"] == 0


@pytest.mark.parametrize("fault", ["silent", "drip_head", "drip_body"])
def test_D1_an_exchange_ends_in_its_time_and_its_connection_is_cut(
    provider: Any, fault: str
) -> None:
    provider.fault = fault
    with pytest.raises(FetchError, match=r"within 0\.3 seconds"):
        get_json(provider.url("/jwks"), LOOPBACK, timeout=0.3)
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(5)
            assert not thread.is_alive()


def test_D1_a_name_that_never_resolves_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *a, **k: release.wait(20) and [])
    with pytest.raises(FetchError, match=r"op\.example did not answer within 0\.2 seconds"):
        get_json("https://op.example/jwks", Reach(), timeout=0.2)
    release.set()


def test_D1_a_gibibyte_is_not_read(provider: Any) -> None:
    provider.fault = "huge"
    before = psutil.Process().memory_info().rss
    with pytest.raises(FetchError, match="more than 262144 bytes"):
        get_json(provider.url("/jwks"), LOOPBACK)
    assert psutil.Process().memory_info().rss - before < 32 * 1024**2
    assert provider.hits["MiB sent"] < 64


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/_",
        "ftp://op.example/",
        "http://op.example/",
        "https://user:password@op.example/",
        "https://op.example@evil.example/",
        "https://op.example\\@evil.example/",
        "https://op.example#@evil.example/",
        "https://op.example/#fragment",
        "https://op.example?a#b",
        "https://op.example/ x",
        "https://op.example/\r\nHost: x",
        "https://op.exam\tple/",
        "https://öp.example/",
        "https://op.example:0/",
        "https://op.example:65536/",
        "https://op.example:/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https:///jwks",
        "//op.example/",
        "op.example",
        "",
        "https://op.example/" + "a" * 2000,
    ],
)
def test_S1_urls_that_are_refused_before_anything_is_resolved(
    url: str, resolve_to: Resolve
) -> None:
    asked = resolve_to(["127.0.0.1"])
    with pytest.raises(FetchError):
        get_json(url, Reach(("127.0.0.0/8", "::1/128")))
    assert asked == []


def test_S1_plain_http_is_for_loopback_only(resolve_to: Resolve) -> None:
    resolve_to(["10.1.2.3"])
    with pytest.raises(FetchError, match="plain http is for loopback only"):
        get_json("http://op.internal/", Reach(("10.0.0.0/8",), insecure_http=True))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "100.64.0.1"],
)
def test_S1_a_public_name_with_a_private_address_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch, resolve_to: Resolve
) -> None:
    resolve_to([address])
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("connected"))
    with pytest.raises(FetchError, match=r"op\.example cannot be reached"):
        get_json("https://op.example/jwks", Reach())


def test_S1_metadata_services_stay_refused_even_when_listed(
    resolve_to: Resolve,
) -> None:
    resolve_to(["169.254.169.254"])
    with pytest.raises(FetchError, match="link-local"):
        get_json("https://op.example/", Reach(("0.0.0.0/0",)))


def test_S1_the_address_that_was_checked_is_the_one_connected_to(
    provider: Any, resolve_to: Resolve
) -> None:
    """A name that resolves differently each time is resolved once (DNS rebinding)."""
    asked = resolve_to(["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"])
    port = provider.issuer.rpartition(":")[2]
    answer = get_json(f"http://op.example:{port}/jwks", LOOPBACK)
    assert answer.json == {"keys": provider.keys}
    assert asked == ["op.example"]
    assert provider.seen[0][1]["Host"] == f"op.example:{port}"


def test_S1_only_the_acceptable_ones_of_several_addresses_are_tried(
    provider: Any, resolve_to: Resolve
) -> None:
    resolve_to(["10.0.0.1", "169.254.169.254", "127.0.0.1"])
    port = provider.issuer.rpartition(":")[2]
    assert get_json(f"http://op.example:{port}/jwks", LOOPBACK).status == 200


def test_S1_an_address_that_refuses_the_connection_is_followed_by_the_next(
    provider: Any, resolve_to: Resolve
) -> None:
    resolve_to(["127.0.0.2", "127.0.0.1"])  # the provider listens on one of them
    port = provider.issuer.rpartition(":")[2]
    assert get_json(f"http://op.example:{port}/jwks", LOOPBACK).status == 200


def test_S3_nothing_is_taken_from_the_environment(
    provider: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert get_json(provider.url("/jwks"), LOOPBACK).status == 200
    assert "Authorization" not in provider.seen[0][1]


def same_host(one: str, other: str) -> bool:
    """An IPv6 address has several spellings."""
    return one == other or (":" in one and ip_address(one) == ip_address(other))


def test_S1_guard_and_client_agree_on_the_host_of_every_wpt_url() -> None:
    path = VECTORS / "url/wpt_urltestdata.json"
    if not path.is_file():
        pytest.skip("../shared/vectors is absent")
    cases = [case for case in json.loads(path.read_text()) if isinstance(case, dict)]
    assert len(cases) == 891
    accepted = 0
    for case in cases:
        url = case["input"]
        try:
            address = check_url(url, insecure_http=True)
        except FetchError:
            continue
        accepted += 1
        prepared = requests.Request("GET", url).prepare().url
        assert prepared is not None
        client = urllib3.util.parse_url(prepared)
        assert client.host is not None
        assert client.host.strip("[]") == address.host, url
        assert (client.port or PORTS[address.scheme]) == address.port, url
        if not case.get("failure"):
            assert same_host(case["hostname"].strip("[]"), address.host), url
    assert accepted == 66


def test_B4_messages_hold_nothing_of_request_or_answer(provider: Any) -> None:
    for fault in ("down", "error", "html", "garbage", "redirect"):
        provider.fault = fault
        with pytest.raises(FetchError) as caught:
            get_json(provider.url("/jwks?canary=1"), LOOPBACK)
        for text in ("canary", "Log in", "server_error"):
            assert text not in str(caught.value)


def test_concurrent_exchanges_do_not_disturb_each_other(provider: Any) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(get_json(provider.url("/jwks"), LOOPBACK).status)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 8
