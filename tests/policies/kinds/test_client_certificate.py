"""``client_certificate``: whose certificate is accepted where."""

import asyncio
from typing import Any

import pytest

from policies.core.callers import NoClients
from policies.core.chain import Attached, compile_chain
from policies.core.values import PASS, Deny, Identity
from policies.kinds.client_certificate import ClientCertificate, ClientCertificateConfig

PARTNER = Identity(kind="client_certificate", subject="partner-a", client="partner-a")


class Clients(NoClients):
    """One certificate of one client."""

    def certificate(self, der: bytes, now: float) -> Identity | None:
        return PARTNER if der == b"the certificate" else None


@pytest.fixture
def run(make_services: Any, make_call: Any) -> Any:
    """What a route with the policy says of a call whose certificate is this one."""

    def ask(certificate: bytes | None, *fields: tuple[bytes, bytes], **options: Any) -> Any:
        services = make_services(clients=Clients())
        policy = ClientCertificate(ClientCertificateConfig(**options), services)
        chain = compile_chain([Attached(policy, "client_certificate")], lambda *_: None)
        call = make_call(certificate=certificate, fields=list(fields))
        decision = asyncio.run(chain.run(call))
        assert (decision is PASS) == (call.identity is PARTNER)
        return decision

    return ask


def test_the_certificate_of_a_client_passes(run: Any) -> None:
    assert run(b"the certificate") is PASS
    assert run(b"the certificate", clients=("partner-a",)) is PASS


def test_another_certificate_or_client_is_refused(run: Any) -> None:
    for refused in (run(b"another"), run(b"the certificate", clients=("b",))):
        assert isinstance(refused, Deny)
        assert (refused.code, refused.refusal.status) == ("client_refused", 403)


def test_D5_a_header_that_the_door_did_not_believe_is_no_certificate(run: Any) -> None:
    refused = run(None, (b"client-cert", b":dGhlIGNlcnRpZmljYXRl:"))
    assert isinstance(refused, Deny)
    assert (refused.code, refused.refusal.status) == ("credentials_missing", 401)
    assert refused.fields == ((b"www-authenticate", b'ClientCertificate realm="gatehouse"'),)
