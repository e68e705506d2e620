"""The book of clients: whom a credential proves, and that what must not prove anybody does not."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oidc_clients.certificates import Certificate
from oidc_clients.client_book import MAX_API_KEY_BYTES, ClientBook, LiveClients
from oidc_clients.client_config import ClientConfig
from oidc_clients.credentials import Peppers
from policies.references import STORED, SecretUnreadable
from tests.oidc_clients.test_certificates import AFTER, BEFORE
from tests.oidc_clients.test_certificates import issued as make_certificate

NOW = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
PEPPERS = Peppers(["pepper"])


class Opener:
    """Opens what reads ``sealed:TEXT``."""

    def open(self, stored: str, context: str) -> str:
        if not stored.startswith("sealed:"):
            raise SecretUnreadable(f"{context}: does not open")
        return stored.removeprefix("sealed:")


def client(name="partner-a", *, enabled=True, api_keys=(), signing_keys=(), certificates=()):
    keys = [
        {"name": f"key-{at}", "value": {"sealed": digest, "context": "digest"}, **members}
        for at, (digest, members) in enumerate(api_keys)
    ]
    stored = {"name": name, "enabled": enabled, "api_keys": keys, "signing_keys": signing_keys}
    stored["certificates"] = certificates
    return ClientConfig.model_validate(stored, context=STORED)


def book(*clients, peppers=PEPPERS):
    return ClientBook(clients, peppers, Opener())


def issued(key, **members):
    return (PEPPERS.digest(key), members)


def test_B5_a_key_proves_its_client_with_the_scopes_of_the_key():
    found = book(client(api_keys=[issued("a key", scopes=["read"])]))
    identity = found.api_key(b"a key", NOW).identity
    assert (identity.kind, identity.subject) == ("api_key", "partner-a")
    assert identity.client == "partner-a"
    assert identity.scopes == {"read"}
    assert identity.claims["credential"] == "key-0"


@pytest.mark.parametrize("key", [b"", b"A key", b"a key ", b"a ke", b"\xff\xfe", b"a key\x00"])
def test_B5_only_the_very_key_proves_anybody(key):
    assert book(client(api_keys=[issued("a key")])).api_key(key, NOW) is None


def test_B5_two_keys_of_a_client_overlap_and_are_one_identity_for_limits():
    found = book(client(api_keys=[issued("old", scopes=["a"]), issued("new", scopes=["b"])]))
    old, new = found.api_key(b"old", NOW), found.api_key(b"new", NOW)
    assert old.identity.key == new.identity.key
    assert (old.identity.scopes, new.identity.scopes) == ({"a"}, {"b"})


def test_B5_a_key_ends_with_its_expiry():
    found = book(client(api_keys=[issued("a key", expires="2026-11-24")]))
    assert found.api_key(b"a key", NOW - 0.001) is not None
    assert found.api_key(b"a key", NOW) is None


def test_B5_a_client_that_is_switched_off_has_no_credentials():
    signing = [{"id": "s", "algorithm": "hmac-sha256", "secret": {"sealed": "sealed:0123456789"}}]
    off = book(client(enabled=False, api_keys=[issued("a key")], signing_keys=signing))
    assert off.api_key(b"a key", NOW) is None
    assert off.signing_key("s") is None


def test_B5_a_key_digested_under_an_older_secret_key_still_works():
    old = (Peppers(["old"]).digest("a key"), {})
    assert book(client(api_keys=[old]), peppers=Peppers(["new", "old"])).api_key(b"a key", NOW)
    assert book(client(api_keys=[old]), peppers=Peppers(["new"])).api_key(b"a key", NOW) is None


def test_a_key_that_is_larger_than_any_is_not_digested():
    key = "k" * (MAX_API_KEY_BYTES + 1)
    assert book(client(api_keys=[issued(key)])).api_key(key.encode(), NOW) is None


def test_a_signing_key_is_found_by_its_exact_id_ready_for_use():
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    found = book(
        client(
            signing_keys=[
                {"id": "a-1", "algorithm": "ed25519", "public_key": {"text": pem.decode()}},
                {
                    "id": "a-2",
                    "algorithm": "hmac-sha256",
                    "secret": {"sealed": "sealed:canary-secret-value"},
                },
            ]
        )
    )
    public, secret = found.signing_key("a-1"), found.signing_key("a-2")
    public.material.verify(private.sign(b"base"), b"base")
    assert secret.material == b"canary-secret-value"
    assert (secret.client, secret.algorithm) == ("partner-a", "hmac-sha256")
    assert (secret.identity.kind, secret.identity.subject) == ("signature", "partner-a")
    assert "canary" not in repr(secret)
    assert found.signing_key("A-1") is None


def test_F5_a_secret_that_does_not_open_is_missing_alone():
    keys = [
        {"id": "lost", "algorithm": "hmac-sha256", "secret": {"sealed": "x", "context": "row"}},
        {"id": "good", "algorithm": "hmac-sha256", "secret": {"sealed": "sealed:0123456789"}},
    ]
    found = book(client(), client("b", signing_keys=keys))
    assert found.signing_key("lost") is None
    assert found.signing_key("good") is not None
    assert [str(problem) for problem in found.problems] == [
        "clients[1].signing_keys[0]: row: does not open"
    ]


def test_the_book_in_force_is_replaced_as_a_whole():
    live = LiveClients()
    assert live.api_key(b"a key", NOW) is None
    assert live.signing_key("s") is None
    live.replace(book(client(api_keys=[issued("a key")])))
    assert live.api_key(b"a key", NOW) is not None
    live.replace(book(client()))
    assert live.api_key(b"a key", NOW) is None


ISSUER = "CN=Partner CA,O=Example"
NAMED = {"san": "dns:a.example.org", "issuer": ISSUER}


def certificate(*names, sha256="ab" * 32, issuer=ISSUER):
    return Certificate(sha256, frozenset(names), issuer, NOW - 10, NOW + 10)


def test_a_certificate_is_known_by_its_fingerprint_whatever_it_says():
    found = book(client(certificates=[{"sha256": "ab" * 32}]))
    identity = found.certificate(certificate("dns:b.example.org", issuer="CN=x"))
    assert (identity.kind, identity.client) == ("client_certificate", "partner-a")
    assert identity.claims["credential"] == "sha256:" + "ab" * 32
    assert found.certificate(certificate(sha256="ac" * 32)) is None


def test_a_certificate_is_known_by_its_name_and_issuer_together():
    found = book(client(certificates=[NAMED]))
    identity = found.certificate(certificate("dns:b.example.org", "dns:a.example.org"))
    assert identity.claims["credential"] == "dns:a.example.org"
    assert found.certificate(certificate("dns:a.example.org", issuer="CN=Partner CA")) is None
    assert found.certificate(certificate("dns:a.example.org", issuer=ISSUER.lower())) is None
    assert found.certificate(certificate("uri:a.example.org")) is None
    assert found.certificate(certificate()) is None


def test_a_certificate_with_the_names_of_two_clients_is_neithers():
    other = {"san": "uri:spiffe://b", "issuer": ISSUER}
    both = certificate("dns:a.example.org", "uri:spiffe://b")
    found = book(client(certificates=[NAMED]), client("b", certificates=[other]))
    assert found.certificate(both) is None
    one = book(client(certificates=[NAMED, other]))
    assert one.certificate(both).client == "partner-a"


def test_a_client_that_is_switched_off_has_no_certificate():
    off = book(client(enabled=False, certificates=[NAMED]))
    assert off.certificate(certificate("dns:a.example.org")) is None


def test_used_keys_are_told_once():
    live = LiveClients()
    live.replace(book(client(api_keys=[issued("one"), issued("two")])))
    for key in (b"one", b"one", b"three"):
        live.api_key(key, NOW)
    assert live.take_used() == {PEPPERS.digest("one")}
    assert live.take_used() == set()


def test_a_certificate_proves_its_client_while_it_is_valid_and_known():
    der = make_certificate(x509.DNSName("a.example.org"), issuer=ISSUER)
    live = LiveClients()
    valid = BEFORE.timestamp() + 1
    assert live.certificate(der, valid) is None
    live.replace(book(client(certificates=[NAMED])))
    assert live.certificate(der, valid).client == "partner-a"
    assert live.certificate(der, BEFORE.timestamp() - 1) is None
    assert live.certificate(der, AFTER.timestamp() + 1) is None
    assert live.certificate(b"no certificate", valid) is None
    live.replace(book(client()))
    assert live.certificate(der, valid) is None


def test_J15_what_is_compared_is_a_keyed_digest_and_no_key_is_held():
    found = book(client(api_keys=[issued("canary-key")]))
    assert found.api_key(b"canary-key", NOW) is not None
    assert "canary-key" not in repr(vars(found))
    digests = list(PEPPERS.digests(b"canary-key"))
    assert digests != list(Peppers(["another"]).digests(b"canary-key"))
    assert found.api_key(digests[0].encode(), NOW) is None
