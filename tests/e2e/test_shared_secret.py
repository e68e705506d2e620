"""A provider with a shared secret through the running gateway: right and wrong tokens, and a
rotation that refuses nobody."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.conftest import Start
from tests.e2e.documents import Document, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import encode
from tests.e2e.provider import AUDIENCE
from tests.e2e.raw import Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

ISSUER = "https://hs.example"
OLD, NEW = b"the-old-secret-of-thirty-two-byte", b"the-new-secret-of-thirty-two-byte"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _document(upstream: Upstream, **secrets: str) -> Document:
    provider = {
        "name": "acme",
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "algorithms": ["HS256"],
        **secrets,
    }
    return document(None, protected("orders", upstream.url), providers=[provider])


def _token(secret: Any, alg: str = "HS256", **claims: Any) -> str:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "carol", "scope": "read"}
    return encode({"alg": alg, "typ": "at+jwt"}, {**usual, "exp": now + 300, **claims}, secret)


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    return start(_document(upstream, shared_secret=OLD.decode()))


def _wrong() -> Iterator[tuple[str, str]]:
    public = KEY.public_key()
    form = serialization.PublicFormat
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        for kind in (form.SubjectPublicKeyInfo, form.PKCS1):
            yield _token(public.public_bytes(encoding, kind)), "token_signature"
    yield _token(KEY, "RS256"), "token_algorithm"
    yield _token(None, "none"), "token_algorithm"
    yield _token(OLD, "HS512"), "token_algorithm"
    yield _token(base64.b64encode(OLD)), "token_signature"
    yield _token(OLD + b"\n"), "token_signature"
    yield _token(b""), "token_signature"
    yield _token(NEW), "token_signature"
    yield _token(OLD, iss=ISSUER + "/"), "token_issuer"
    yield _token(OLD, exp=1), "token_expired"


def test_J1_only_the_secret_verifies(gateway: Gateway, upstream: Upstream) -> None:
    assert gateway.call("GET", "/orders/items", bearer(_token(OLD))).status == 200
    upstream.clear()
    for token, code in _wrong():
        answer = gateway.call("GET", "/orders/items", bearer(token))
        assert (answer.status, answer.code) == (401, code), token
    assert upstream.counts()["heads"] == 0


def test_a_rotation_refuses_nobody(gateway: Gateway, upstream: Upstream) -> None:
    workers = gateway.client_of_each_worker()

    def codes(secret: bytes) -> set[str | None]:
        return {_code(worker, _token(secret)) for worker in workers}

    both = {"shared_secret": NEW.decode(), "former_shared_secret": OLD.decode()}
    gateway.apply(_document(upstream, **both))
    until(lambda: codes(NEW) == {None}, 20, "the new secret in every worker")
    assert codes(OLD) == {None}
    held = _token(OLD)
    assert {_code(worker, held) for worker in workers} == {None}
    gateway.apply(_document(upstream, shared_secret=NEW.decode()))
    until(lambda: codes(OLD) == {"token_signature"}, 20, "the old one out of every worker")
    assert {_code(worker, held) for worker in workers} == {"token_signature"}
    assert codes(NEW) == {None}
    for worker in workers:
        worker.close()


def _code(worker: Client, token: str) -> str | None:
    worker.request("GET", "/orders/items", bearer(token).items())
    return worker.answer().code


def test_A1_no_secret_is_logged_exported_or_stored_in_clear(gateway: Gateway) -> None:
    """Runs last: everything above has been logged."""
    told = gateway.log(20000) + gateway.access_log() + gateway.command("export_config").output
    stored = b"".join(
        path.read_bytes() for path in (gateway.folder / "data").iterdir() if path.is_file()
    )
    for secret in (OLD, NEW):
        assert secret.decode() not in told
        assert secret not in stored
    assert json.dumps("HS256").strip('"') in told
