"""Client certificates: what is read of one, and in which form names are compared."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from oidc_clients import certificates
from oidc_clients.certificates import (
    MAX_CERTIFICATE_BYTES,
    alternative_name,
    distinguished_name,
    sha256_fingerprint,
)

KEY = generate_private_key(SECP256R1())
BEFORE, AFTER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def issued(*names: x509.GeneralName, issuer: str = "CN=Partner CA,O=Example") -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=ignored.example.org"))
        .issuer_name(x509.Name.from_rfc4514_string(issuer))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(BEFORE)
        .not_valid_after(AFTER)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_every_type_of_alternative_name_is_read_as_what_it_is() -> None:
    found = certificates.read(
        issued(
            x509.DNSName("Partner.Example.org"),
            x509.UniformResourceIdentifier("spiffe://example.org/a"),
            x509.RFC822Name("ops@example.org"),
            x509.IPAddress(ip_address("2001:db8::1")),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        )
    )
    assert found is not None
    assert found.names == {
        "dns:partner.example.org",
        "uri:spiffe://example.org/a",
        "email:ops@example.org",
        "ip:2001:db8::1",
    }
    assert found.issuer == "CN=Partner CA,O=Example"


def test_the_common_name_is_no_alternative_name() -> None:
    found = certificates.read(issued())
    assert found is not None
    assert found.names == frozenset()


def test_a_certificate_holds_from_its_first_to_its_last_second() -> None:
    found = certificates.read(issued())
    assert found is not None
    assert found.holds(BEFORE.timestamp())
    assert found.holds(AFTER.timestamp())
    assert not found.holds(BEFORE.timestamp() - 1)
    assert not found.holds(AFTER.timestamp() + 1)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"x" * 100, issued()[:-1], issued() + b"\x00"])
def test_what_is_no_certificate_is_none(der: bytes) -> None:
    assert certificates.read(der) is None


def test_a_certificate_beyond_any_size_or_number_of_names_is_none() -> None:
    many = [x509.DNSName(f"h{number}.example.org") for number in range(101)]
    assert certificates.read(issued(*many)) is None
    assert certificates.read(issued(*many[:100])) is not None
    assert certificates.read(issued() + b"\x00" * MAX_CERTIFICATE_BYTES) is None


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.binary(max_size=400))
def test_no_bytes_make_reading_fail(der: bytes) -> None:
    certificates.read(der)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_no_damage_makes_reading_fail(at: int, byte: int) -> None:
    der = bytearray(issued(x509.DNSName("a.example.org")))
    der[at % len(der)] = byte
    certificates.read(bytes(der))


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("partner.Example.org", "dns:partner.example.org"),
        ("dns:partner.example.org", "dns:partner.example.org"),
        ("spiffe://example.org/A", "uri:spiffe://example.org/A"),
        ("uri:urn:uuid:1", "uri:urn:uuid:1"),
        ("Ops@example.org", "email:Ops@example.org"),
        ("2001:DB8:0::1", "ip:2001:db8::1"),
        ("ip:192.0.2.7", "ip:192.0.2.7"),
    ],
)
def test_a_name_is_written_in_the_form_in_which_it_is_compared(text: str, compared: str) -> None:
    assert alternative_name(text) == compared
    assert alternative_name(compared) == compared


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "*.example.org", "dns:*.example.org", "urn:uuid:1", "ip:host", "email:ops"),
        *("uri:x", "dns:", "dns:-a", "dns:a..b", "a.example.org:80", "ü.example.org", "dns:a\n"),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        alternative_name(text)


def test_an_issuer_is_written_as_rfc_4514_says() -> None:
    assert distinguished_name("CN=Partner CA,O=Example") == "CN=Partner CA,O=Example"
    for text in ("", "Partner CA", "CN=a, O=b", "cn=a"):
        with pytest.raises(ValueError, match=r"RFC 4514|empty"):
            distinguished_name(text)


def test_a_fingerprint_is_taken_with_and_without_colons() -> None:
    assert sha256_fingerprint("AB:" * 31 + "CD") == "ab" * 31 + "cd"
    for text in ("", "ab", "g" * 64, "ab" * 33):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            sha256_fingerprint(text)
