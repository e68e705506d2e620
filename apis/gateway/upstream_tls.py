"""TLS towards upstreams. Verification has no switch."""

import os
import ssl

from apis.routing import Tls


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of one upstream: verifies certificate and name, offers HTTP/1.1 only.

    ``tls.ca`` replaces the system's authorities. Raises ``ValueError`` with a message for the
    administrator when a PEM text cannot be used.
    """
    try:
        if tls.ca is not None and not (tls.ca and tls.ca.isascii()):
            raise ValueError  # an empty text would mean the system's authorities
        context = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError):
        raise ValueError("tls.ca holds no readable certificate (PEM)") from None
    context.set_alpn_protocols(["http/1.1"])
    if (tls.cert is None) != (tls.key is None):
        raise ValueError("tls.cert and tls.key are needed together")
    if tls.cert is not None and tls.key is not None:
        _load_identity(context, f"{tls.cert}\n{tls.key}\n")
    return context


def _load_identity(context: ssl.SSLContext, pem: str) -> None:
    """The ssl module reads a certificate from files only: this one lives in memory and has no name,
    so that a private key never reaches a disk."""
    descriptor = os.memfd_create("upstream-identity")
    with os.fdopen(descriptor, "w") as file:
        file.write(pem)
        file.flush()
        try:
            # An encrypted key is refused; without a password OpenSSL would ask the terminal.
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
        except (ssl.SSLError, OSError, ValueError):
            raise ValueError("tls.cert and tls.key are not a readable pair (PEM)") from None
