"""TLS to upstreams: what is verified, and what the upstream may verify."""

import datetime
import ipaddress
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apis.gateway.upstream import UpstreamInvalid, UpstreamTimeout, UpstreamUnreachable
from apis.gateway.upstream_tls import client_context
from apis.routing import Tls
from tests.apis.gateway import scripted
from tests.apis.gateway.scripted import (
    OK,
    SkippingLoop,
    Visit,
    answering,
    call,
    calling,
    content_of,
    serving,
)


def general_name(name: str) -> x509.GeneralName:
    if name[0].isdigit():
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


class Authority:
    """A certificate authority of one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._certificate = self._sign(self._name, self._key.public_key(), [], ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str, days: int = 1) -> tuple[str, str]:
        """Certificate and key for DNS names and addresses, as PEM texts."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key.public_key(), names, days=days)
        return (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )

    def _sign(self, subject, public_key, names, days=1, ca=False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        begin = now - datetime.timedelta(days=2)
        builder = x509.CertificateBuilder(self._name, subject, public_key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
        builder = builder.not_valid_after(now + datetime.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if names:
            alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def server_context(tmp_path, certificate: str, key: str, client_ca: str | None = None):
    file = tmp_path / f"{os.urandom(4).hex()}.pem"
    file.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)
    return context


def over_tls(server, **options):
    target = scripted.target(server, secure=True)
    return calling(target, **options)


def test_a_verified_upstream_is_called_over_http_1_1(play, tmp_path):
    ca = Authority()

    async def scene():
        seen = []

        async def script(visit: Visit) -> None:
            seen.append(visit.writer.get_extra_info("ssl_object").selected_alpn_protocol())
            await answering(OK)(visit)

        context = server_context(tmp_path, *ca.issue("127.0.0.1"))
        async with serving(script, tls=context) as server:
            async with over_tls(server, tls=Tls(ca=ca.pem)) as upstream:
                for _ in range(3):
                    assert (await call(upstream)).content == b"ok"
            assert seen == ["http/1.1"]
            assert server.heads[0] == b"GET / HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % server.port

    play(scene())


def test_server_name_is_asked_for_and_verified(play, tmp_path):
    ca = Authority()

    async def scene():
        asked = []
        context = server_context(tmp_path, *ca.issue("api.example.org"))
        context.sni_callback = lambda connection, name, _: asked.append(name)
        async with serving(answering(OK), tls=context) as server:
            named = Tls(ca=ca.pem, server_name="api.example.org")
            async with over_tls(server, tls=named) as upstream:
                assert (await call(upstream)).status == 200
            assert asked == ["api.example.org"]

    play(scene())


@pytest.mark.parametrize("fault", ["name", "authority", "system authorities", "expired"])
def test_an_upstream_that_cannot_be_verified_gets_nothing(play, tmp_path, fault):
    ca = Authority()
    tls = {
        "name": Tls(ca=ca.pem, server_name="other.example.org"),
        "authority": Tls(ca=Authority().pem),
        "system authorities": Tls(),
        "expired": Tls(ca=ca.pem),
    }[fault]

    async def scene():
        issued = ca.issue("127.0.0.1", days=-1 if fault == "expired" else 1)
        async with serving(answering(OK), tls=server_context(tmp_path, *issued)) as server:
            async with over_tls(server, tls=tls) as upstream:
                with pytest.raises(UpstreamUnreachable):
                    await call(upstream)
            assert server.heads == []

    play(scene())


def test_the_gateway_shows_its_certificate(play, tmp_path):
    ca = Authority()
    certificate, key = ca.issue("gateway.example.org")

    async def scene():
        seen = []

        async def script(visit: Visit) -> None:
            seen.append(visit.writer.get_extra_info("peercert")["subjectAltName"])
            await answering(OK)(visit)

        context = server_context(tmp_path, *ca.issue("127.0.0.1"), client_ca=ca.pem)
        async with serving(script, tls=context) as server:
            tls = Tls(ca=ca.pem, cert=certificate, key=key)
            async with over_tls(server, tls=tls) as upstream:
                assert (await call(upstream)).status == 200
            assert seen == [(("DNS", "gateway.example.org"),)]
            async with over_tls(server, tls=Tls(ca=ca.pem)) as upstream:
                with pytest.raises((UpstreamUnreachable, UpstreamInvalid)):
                    await call(upstream)

    play(scene())


def test_an_upstream_without_tls_is_unreachable(play):
    async def scene():
        async def plain(visit: Visit) -> None:
            visit.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            assert b"GET /" not in await visit.rest()

        async with serving(plain) as server, over_tls(server) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await call(upstream)
            await server.done()

    play(scene())


def test_connect_timeout_bounds_the_handshake():
    async def scene():
        async def silent(visit: Visit) -> None:
            await visit.rest()

        async with serving(silent) as server, over_tls(server) as upstream:
            with pytest.raises(UpstreamTimeout):
                await call(upstream)
            await server.done()  # the connection is not left open

    scripted.play(scene(), SkippingLoop)


def test_large_content_comes_over_tls(play, tmp_path):
    ca = Authority()
    size = 8 * 1024 * 1024

    async def script(visit: Visit) -> None:
        await visit.head()
        assert await visit.read(size) == b"u" * size
        visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"d" * size)
        await visit.rest()

    async def scene():
        context = server_context(tmp_path, *ca.issue("127.0.0.1"))
        tls = Tls(ca=ca.pem)
        async with serving(script, tls=context) as server, over_tls(server, tls=tls) as upstream:
            upload = scripted.Upload((b"u" * 65536 for _ in range(size // 65536)), size)
            response = await call(upstream, "POST", body=upload)
            assert await content_of(response) == b"d" * size

    play(scene())


@pytest.mark.parametrize("clean", [True, False])
def test_content_until_the_close_counts_only_with_a_proper_end_of_tls(tmp_path, clean):
    """RFC 9112 9.8: without close_notify anybody may have cut the content off. The product's loop
    tells the difference; the standard one does not, so it is not asked here."""
    ca = Authority()

    async def script(visit: Visit) -> None:
        await visit.head()
        visit.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await visit.writer.drain()
        if clean:
            visit.close()
        else:
            visit.writer.transport.abort()

    async def scene():
        context = server_context(tmp_path, *ca.issue("127.0.0.1"))
        tls = Tls(ca=ca.pem)
        async with serving(script, tls=context) as server, over_tls(server, tls=tls) as upstream:
            response = await call(upstream)
            if clean:
                assert await content_of(response) == b"hello"
            else:
                with pytest.raises(UpstreamInvalid):
                    await content_of(response)

    scripted.play(scene())


CERTIFICATE, KEY = Authority().issue("gateway.example.org")
ENCRYPTED = (
    serialization.load_pem_private_key(KEY.encode(), None)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    .decode()
)


@pytest.mark.parametrize(
    "tls",
    [
        Tls(ca=""),
        Tls(ca="nonsense"),
        Tls(ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Tls(ca="\xfc"),
        Tls(ca=KEY),
        Tls(cert=CERTIFICATE),
        Tls(key=KEY),
        Tls(cert="nonsense", key=KEY),
        Tls(cert=CERTIFICATE, key="nonsense"),
        Tls(cert=CERTIFICATE, key=Authority().issue("other")[1]),
        Tls(cert=CERTIFICATE, key=ENCRYPTED),
        Tls(cert="", key=""),
    ],
)
def test_F5_certificates_that_cannot_be_used_are_an_error_without_secrets(tls):
    with pytest.raises(ValueError, match=r"^tls\.") as caught:
        client_context(tls)
    assert "PRIVATE" not in repr(caught.value)


def test_verification_has_no_switch_and_the_key_no_file():
    before = set(os.listdir("/proc/self/fd"))
    context = client_context(Tls(cert=CERTIFICATE, key=KEY))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert set(os.listdir("/proc/self/fd")) == before
