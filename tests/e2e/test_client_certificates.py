"""Client certificates on the running gateway: over its own TLS, and told by a trusted proxy."""

import base64
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.certificates import Authority, der
from tests.e2e.conftest import Start
from tests.e2e.documents import api
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Answer, Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def partner(authority: Authority) -> Pair:
    """Names a workload; known by name and issuer."""
    return authority.issue("partner", x509.UniformResourceIdentifier("spiffe://example.org/a"))


@pytest.fixture(scope="module")
def pinned(authority: Authority) -> Pair:
    return authority.issue("pinned", x509.DNSName("b.example.org"))


@pytest.fixture(scope="module")
def stranger(authority: Authority) -> Pair:
    """Good, but of nobody who is known here."""
    return authority.issue("stranger", x509.DNSName("spiffe.example.org"))


def document(upstream: Upstream, authority: Authority, pinned: Pair) -> dict[str, Any]:
    identity = {"forward_identity": {"headers": {"X-Subject": "sub", "X-Credential": "credential"}}}
    named = [{"client_certificate": {"clients": ["partner-a"]}}]
    reported = [{"client_certificate": {"mode": "report"}}, {"public": {}}]
    return {
        "format": 1,
        "clients": [
            {
                "name": "partner-a",
                "certificates": [{"san": "spiffe://example.org/a", "issuer": authority.name}],
            },
            {
                "name": "partner-b",
                "certificates": [{"sha256": hashlib.sha256(der(pinned[0])).hexdigest()}],
            },
            {
                "name": "partner-c",
                "certificates": [{"san": "spiffe.example.org", "issuer": "CN=another authority"}],
            },
        ],
        "apis": [
            api("mutual", upstream.url, [{"client_certificate": {}}, identity]),
            api("named", upstream.url, named),
            api("reported", upstream.url, reported),
        ],
    }


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, authority: Authority, pinned: Pair) -> Gateway:
    certificate, key = authority.issue("server")
    return start(
        document(upstream, authority, pinned),
        {
            "GATEHOUSE_TLS_CERT": str(certificate),
            "GATEHOUSE_TLS_KEY": str(key),
            "GATEHOUSE_TLS_CLIENT_CA": str(authority.path),
        },
        tls=ssl.create_default_context(cafile=authority.path),
        workers=1,
    )


@pytest.fixture(scope="module")
def behind(start: Start, upstream: Upstream, authority: Authority, pinned: Pair) -> Gateway:
    """Stands behind a proxy that ends TLS: whoever connects from loopback is believed."""
    trusted = {"GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8"}
    return start(document(upstream, authority, pinned), trusted, workers=1)


def present(gateway: Gateway, authority: Authority, pair: Pair, path: str = "/mutual/a") -> Answer:
    """One call over a TLS connection with this certificate."""
    context = ssl.create_default_context(cafile=authority.path)
    context.load_cert_chain(*pair)
    with Client(gateway.address, context) as client:
        client.request("GET", path)
        return client.answer()


def told(pair: Pair) -> dict[str, str]:
    """What a proxy says of the certificate of its client."""
    value = base64.b64encode(der(pair[0])).decode()
    return {"Client-Cert": f":{value}:", "X-Forwarded-For": "192.0.2.7"}


def test_a_client_is_known_by_name_and_issuer_or_by_fingerprint(
    gateway: Gateway, upstream: Upstream, authority: Authority, partner: Pair, pinned: Pair
) -> None:
    upstream.clear()
    assert present(gateway, authority, partner).status == 200
    assert present(gateway, authority, pinned).status == 200
    first, second = upstream.seen()
    assert first.get("x-subject") == "partner-a"
    assert first.get("x-credential") == "uri:spiffe://example.org/a"
    assert second.get("x-subject") == "partner-b"


def test_any_other_certificate_is_refused_and_nothing_reaches_the_upstream(
    gateway: Gateway, upstream: Upstream, authority: Authority, stranger: Pair, pinned: Pair
) -> None:
    upstream.clear()
    answer = present(gateway, authority, stranger)
    assert (answer.status, answer.code) == (403, "client_refused")
    answer = present(gateway, authority, pinned, "/named/a")
    assert (answer.status, answer.code) == (403, "client_refused")
    answer = gateway.call("GET", "/mutual/a")
    assert (answer.status, answer.code) == (401, "credentials_missing")
    assert (answer.get("www-authenticate") or "").startswith("ClientCertificate realm=")
    assert upstream.counts()["heads"] == 0


def test_D5_a_client_cert_line_from_anybody_means_nothing_and_is_not_forwarded(
    gateway: Gateway, upstream: Upstream, partner: Pair
) -> None:
    upstream.clear()
    assert gateway.call("GET", "/mutual/a", told(partner)).code == "credentials_missing"
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", "/reported/a", told(partner)).status == 200
    (seen,) = upstream.seen()
    assert not seen.all("client-cert")


def test_D5_a_trusted_proxy_tells_the_certificate_of_its_client(
    behind: Gateway, upstream: Upstream, partner: Pair, stranger: Pair
) -> None:
    upstream.clear()
    assert behind.call("GET", "/mutual/a", told(partner)).status == 200
    (seen,) = upstream.seen()
    assert seen.get("x-subject") == "partner-a"
    assert not seen.all("client-cert")
    upstream.clear()
    assert behind.call("GET", "/mutual/a", told(stranger)).code == "client_refused"
    twice = [*told(partner).items(), ("Client-Cert", told(partner)["Client-Cert"])]
    with Client(behind.address) as client:
        client.request("GET", "/mutual/a", twice)
        assert client.answer().code == "credentials_missing"
    spoiled = {"Client-Cert": told(partner)["Client-Cert"].strip(":")}
    assert behind.call("GET", "/mutual/a", spoiled).code == "credentials_missing"
    assert behind.call("GET", "/mutual/a", {"Client-Cert": ":AAEC:"}).code == "client_refused"
    assert upstream.counts()["heads"] == 0


def test_D5_the_certificate_of_a_trusted_proxy_is_not_that_of_its_clients(
    start: Start, upstream: Upstream, authority: Authority, pinned: Pair, partner: Pair
) -> None:
    """The proxy's own connection is mutual TLS too, with a certificate that is known here."""
    certificate, key = authority.issue("server-2")
    gateway = start(
        document(upstream, authority, pinned),
        {
            "GATEHOUSE_TLS_CERT": str(certificate),
            "GATEHOUSE_TLS_KEY": str(key),
            "GATEHOUSE_TLS_CLIENT_CA": str(authority.path),
            "GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8",
        },
        tls=ssl.create_default_context(cafile=authority.path),
        workers=1,
    )
    context = ssl.create_default_context(cafile=authority.path)
    context.load_cert_chain(*pinned)
    upstream.clear()
    with Client(gateway.address, context) as proxy:
        proxy.request("GET", "/mutual/a", [("X-Forwarded-For", "192.0.2.7")])
        assert proxy.answer().code == "credentials_missing"
        assert upstream.counts()["heads"] == 0
        proxy.request("GET", "/mutual/a", list(told(partner).items()))
        assert proxy.answer().status == 200
    (seen,) = upstream.seen()
    assert seen.get("x-subject") == "partner-a"


def test_in_report_mode_a_stranger_passes_and_is_said(
    gateway: Gateway, authority: Authority, stranger: Pair
) -> None:
    answer = present(gateway, authority, stranger, "/reported/a")
    assert answer.status == 200
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["client_certificate: client_refused"]
    counted = (logged["route"], "client_certificate", "client_refused")
    until(lambda: gateway.reported().get(counted) == 1, 10, "the counter")
