"""Client certificates: what of one decides whom it proves (RFC 5280, RFC 8705). Pure.

That a certificate was issued by somebody to be believed, and that the caller holds its key, was
checked where TLS ends: by this listener against ``GATEHOUSE_TLS_CLIENT_CA``, or by a trusted
proxy. Here it is only read.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MAX_CERTIFICATE_BYTES = 16_384
MAX_NAMES = 100

_X509 = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_TYPED = re.compile(r"(dns|uri|email|ip):(.*)", re.DOTALL)
_DNS = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,500}")


class Certificate(NamedTuple):
    """What one certificate says. ``names`` are its subject alternative names as
    ``alternative_name`` writes them; times are seconds since the epoch."""

    sha256: str
    names: frozenset[str]
    issuer: str
    not_before: float
    not_after: float

    def holds(self, now: float) -> bool:
        """Whether it is valid at this moment (RFC 5280 4.1.2.5)."""
        return self.not_before <= now <= self.not_after


def fingerprint(der: bytes) -> str:
    """SHA-256 of the certificate, in lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def read(der: bytes) -> Certificate | None:
    """The certificate; None for what cannot be read as one, or is larger than any should be."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        return None
    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            fingerprint(der),
            frozenset(_names(found)),
            found.issuer.rfc4514_string(),
            found.not_valid_before_utc.timestamp(),
            found.not_valid_after_utc.timestamp(),
        )
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, *_X509):
        return None


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for at, name in enumerate(extension.value):
        if at >= MAX_NAMES:
            raise ValueError("too many names")
        match name:
            case x509.DNSName(value=value):
                yield f"dns:{value.lower()}"
            case x509.UniformResourceIdentifier(value=value):
                yield f"uri:{value}"
            case x509.RFC822Name(value=value):
                yield f"email:{value}"
            case x509.IPAddress(value=value):
                yield f"ip:{value}"


def alternative_name(text: str) -> str:
    """A subject alternative name in the form that is compared: ``dns:``, ``uri:``, ``email:`` or
    ``ip:``, then the name; the type is told from the name where it is not given.

    Host names and addresses are compared in their usual form, everything else character by
    character. Raises ``ValueError``.
    """
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("use printable ASCII characters, without blanks")
    typed = _TYPED.fullmatch(text)
    kind, name = typed.groups() if typed else (_kind(text), text)
    if kind == "ip":
        return f"ip:{ipaddress.ip_address(name)}"
    if kind == "dns":
        name = name.lower()
        if not _DNS.fullmatch(name):
            raise ValueError("give one host name; a wildcard names nobody")
    elif not name or (kind == "email" and "@" not in name) or (kind == "uri" and ":" not in name):
        raise ValueError(f"this is not the form of {kind}: names")
    return f"{kind}:{name}"


def _kind(name: str) -> str:
    if "://" in name:
        return "uri"
    if "@" in name:
        return "email"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if ":" in name:
            raise ValueError("say what it is: dns:, uri:, email: or ip: before it") from None
        return "dns"
    return "ip"


def distinguished_name(text: str) -> str:
    """A name in the one form that is compared (RFC 4514), e.g. ``CN=Partner CA,O=Example``.

    Order, case and spelling of values count. Raises ``ValueError``.
    """
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError as error:
        raise ValueError(
            "write it as RFC 4514 does, the most specific part first: CN=Partner CA,O=Example"
        ) from error
    if not name.rdns:
        raise ValueError("the name is empty")
    return name.rfc4514_string()


def sha256_fingerprint(text: str) -> str:
    """A fingerprint as ``fingerprint`` writes it; colons and upper case are taken. Raises
    ``ValueError``."""
    plain = text.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError("give the SHA-256 of the certificate, 64 hexadecimal digits")
    return plain
