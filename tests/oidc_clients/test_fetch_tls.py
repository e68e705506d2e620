"""TLS to providers: the name is verified although the address is pinned."""

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from oidc_clients import fetch
from oidc_clients.fetch import FetchError, Reach, get_json

Resolve = Callable[..., list[str]]


def certificate(name: str, issuer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """A certificate for a name with its key; signed by itself or by ``issuer``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer or (None, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key()),
            critical=False,
        )
        .sign(signer[1], hashes.SHA256())
    )
    return made, key


class TlsProvider:
    """Answers ``{}`` over TLS and notes the server names that it was asked for."""

    def __init__(self, folder: Path, name: str, authority: tuple[Any, Any]) -> None:
        cert, key = certificate(name, authority)
        pem = folder / "server.pem"
        pem.write_bytes(
            cert.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        context.sni_callback = lambda sock, server_name, context: self.names.append(server_name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(context,), daemon=True)
        self._thread.start()

    def _serve(self, context: ssl.SSLContext) -> None:
        while True:
            plain, _ = self._listener.accept()
            with plain:
                plain.settimeout(5)
                try:
                    with context.wrap_socket(plain, server_side=True) as sock:
                        if sock.recv(4096):
                            sock.sendall(
                                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                b"Content-Length: 2\r\n\r\n{}"
                            )
                except OSError:
                    if self.names and self.names[-1] == "stop.example":
                        return

    def stop(self) -> None:
        """One more handshake, which ends the loop."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with (
            socket.create_connection(("127.0.0.1", self.port)) as sock,
            pytest.raises(ssl.SSLError),
        ):
            context.wrap_socket(sock, server_hostname="stop.example")
        self._thread.join()
        self._listener.close()


@pytest.fixture
def tls_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProvider]:
    authority = certificate("Test authority")
    store = tmp_path / "authority.pem"
    store.write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    fetch.trust.cache_clear()
    made = TlsProvider(tmp_path, "op.example", authority)
    yield made
    made.stop()
    fetch.trust.cache_clear()


def test_S1_tls_verifies_the_name_though_the_address_is_pinned(
    tls_provider: TlsProvider, resolve_to: Resolve
) -> None:
    resolve_to(["127.0.0.1"])
    reach = Reach(("127.0.0.0/8",))
    assert get_json(f"https://op.example:{tls_provider.port}/", reach).json == {}
    assert tls_provider.names == ["op.example"]
    with pytest.raises(FetchError, match="certificate"):
        get_json(f"https://other.example:{tls_provider.port}/", reach)
    with pytest.raises(FetchError, match="certificate"):
        get_json(f"https://127.0.0.1:{tls_provider.port}/", reach)


def test_S1_an_unknown_authority_is_not_trusted(
    tls_provider: TlsProvider, monkeypatch: pytest.MonkeyPatch, resolve_to: Resolve
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    fetch.trust.cache_clear()
    resolve_to(["127.0.0.1"])
    with pytest.raises(FetchError, match="certificate"):
        get_json(f"https://op.example:{tls_provider.port}/", Reach(("127.0.0.0/8",)))
