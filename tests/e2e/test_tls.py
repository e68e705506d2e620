"""TLS on both sides: the public listener with its certificate, and https upstreams verified."""

import hashlib
import os
import ssl
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Client, NoAnswer
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder, "stranger")


def _trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.path)


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, authority: Authority) -> Gateway:
    certificate, key = authority.issue("server")
    return start(
        document(None, api("open", upstream.url)),
        {
            "GATEHOUSE_TLS_CERT": str(certificate),
            "GATEHOUSE_TLS_KEY": str(key),
            "GATEHOUSE_TLS_CLIENT_CA": str(authority.path),
        },
        tls=_trusting(authority),
        workers=1,
    )


def test_requests_and_bodies_pass_over_tls(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    body = os.urandom(3_000_000)
    answer = gateway.call("POST", "/open/a", body=body)
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()
    (seen,) = upstream.seen()
    assert seen.all("x-forwarded-proto") == ["https"]
    assert "proto=https" in (seen.get("forwarded") or "")
    assert len(gateway.call("GET", "/open/download/3000000").body) == 3_000_000


def test_many_requests_on_one_connection(gateway: Gateway) -> None:
    with gateway.client() as client:
        for number in range(20):
            client.request("GET", f"/open/id/{number}")
            assert client.answer().body == b"/id/%d" % number


def test_a_client_certificate_is_welcome_but_must_be_good(
    gateway: Gateway, authority: Authority, stranger: Authority
) -> None:
    good = _trusting(authority)
    good.load_cert_chain(*authority.issue("client"))
    with Client(gateway.address, good) as client:
        client.request("GET", "/open/id/1")
        assert client.answer().status == 200
    bad = _trusting(authority)
    bad.load_cert_chain(*stranger.issue("intruder"))
    assert _cut_off(gateway, bad)


def _cut_off(gateway: Gateway, context: ssl.SSLContext) -> bool:
    """Whether TLS ends before an answer; with TLS 1.3 a client learns it when it reads."""
    try:
        with Client(gateway.address, context) as client:
            client.request("GET", "/open/id/1")
            client.answer()
    except (ssl.SSLError, ConnectionError, NoAnswer):
        return True
    return False


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_tls_and_plain_http_are_refused(gateway: Gateway, authority: Authority) -> None:
    old = _trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert _cut_off(gateway, old)
    with Client(gateway.address) as plain:
        plain.send(b"GET /open/id/1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET")
        assert plain.closed()
    assert gateway.call("GET", "/open/id/1").status == 200


def test_an_https_upstream_is_verified(
    gateway: Gateway, start: Start, authority: Authority, stranger: Authority
) -> None:
    """The TLS listener of one gateway is the upstream of another."""
    url = f"https://127.0.0.1:{gateway.port}/open"
    certificate, key = authority.issue("upstream-client")
    trusted = {"ca": {"file": str(authority.path)}}
    mutual = {**trusted, "cert": {"file": str(certificate)}, "key": {"file": str(key)}}
    front = start(
        document(
            None,
            api("trusted", url, upstream={"tls": trusted}),
            api("mutual", url, upstream={"tls": mutual}),
            api("named", url, upstream={"tls": {**trusted, "server_name": "localhost"}}),
            api("misnamed", url, upstream={"tls": {**trusted, "server_name": "else.test"}}),
            api("stranger", url, upstream={"tls": {"ca": {"file": str(stranger.path)}}}),
            api("public", url),
        ),
        workers=1,
    )
    for name in ("trusted", "mutual", "named"):
        answer = front.call("GET", f"/{name}/id/1")
        assert (answer.status, answer.body) == (200, b"/id/1"), name
    for name in ("misnamed", "stranger", "public"):
        answer = front.call("GET", f"/{name}/id/1")
        assert (answer.status, answer.code) == (502, "upstream_unreachable"), name
