"""The rest of the relay against the real provider: codes, revocation, introspection, a client
that has a key instead of a secret."""

import base64
import hashlib
import secrets
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import Document, acme, bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.provider import CALLBACK, PASSWORD, USER, Provider, basic, secret
from tests.e2e.raw import Answer
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRANTS = ["client_credentials", "password", "refresh_token", "authorization_code"]
SIGNER = {"id": "signer", "key_id": "signer-1"}


def _providers(provider: Provider) -> list[Document]:
    key = provider.signer_key()
    return [
        acme(provider, grants=GRANTS),
        acme(provider, name="keyed", client={**SIGNER, "key": key}, grants=GRANTS),
        acme(
            provider,
            name="endpoint",
            client={**SIGNER, "key": key, "assertion_audience": "endpoint"},
            grants=["password"],
        ),
        acme(
            provider,
            name="stranger",
            client={**SIGNER, "key": key, "key_id": "signer-2"},
            grants=["password"],
        ),
        acme(provider, name="closed", grants=[]),
    ]


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    document = standard(provider, upstream)
    document["providers"] = _providers(provider)
    return start(document, {"GATEHOUSE_RELAY_RATE": "1000/m"}, only=None)


def _post(gateway: Gateway, path: str, form: dict[str, str], **headers: str) -> Answer:
    return gateway.call("POST", path, {**FORM, **headers}, urlencode(form).encode())


def _person(gateway: Gateway, provider: str = "acme", scope: str = "read") -> Answer:
    form = {"grant_type": "password", "username": USER, "password": PASSWORD, "scope": scope}
    return _post(gateway, f"/auth/{provider}/token", form)


def _own(client: str = "gateway") -> dict[str, str]:
    return {"Authorization": basic(client, secret(client))}


def _pkce() -> tuple[str, str]:
    """A verifier and its S256 challenge (RFC 7636 4)."""
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _code(gateway: Gateway, code: str, headers: dict[str, str], **extra: str) -> Answer:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **extra}
    return _post(gateway, "/auth/acme/token", form, **headers)


@pytest.mark.parametrize("named", [True, False], ids=["own-credentials", "gateway-client"])
def test_a_code_is_redeemed_with_its_verifier(
    gateway: Gateway, provider: Provider, upstream: Upstream, named: bool
) -> None:
    verifier, challenge = _pkce()
    headers = _own() if named else {}
    answer = _code(gateway, provider.code(challenge), headers, code_verifier=verifier)
    assert answer.status == 200, answer.body
    assert answer.get("cache-control") == "no-store"
    upstream.clear()
    token = answer.json()["access_token"]
    assert gateway.call("GET", "/orders/items", bearer(token)).status == 200
    (seen,) = upstream.seen()
    assert seen.all("x-subject") == [USER]


def test_D6_a_code_is_refused_without_the_verifier_it_was_made_for(
    gateway: Gateway, provider: Provider
) -> None:
    _, challenge = _pkce()
    other, _ = _pkce()
    wrong = _code(gateway, provider.code(challenge), {}, code_verifier=other)
    assert (wrong.status, wrong.json()["error"]) == (400, "invalid_grant")
    before = provider.hits("/token")
    missing = _code(gateway, provider.code(challenge), {})
    assert (missing.status, missing.json()["error"]) == (400, "invalid_request")
    assert provider.hits("/token") == before  # the gateway's client redeems no bare code
    unproven = _code(gateway, provider.code(challenge), _own())
    assert (unproven.status, unproven.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_good_once(gateway: Gateway, provider: Provider) -> None:
    verifier, challenge = _pkce()
    code = provider.code(challenge)
    assert _code(gateway, code, {}, code_verifier=verifier).status == 200
    again = _code(gateway, code, {}, code_verifier=verifier)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")


def test_a_revoked_refresh_token_refreshes_no_more(gateway: Gateway) -> None:
    token = _person(gateway).json()["refresh_token"]
    revoked = _post(
        gateway, "/auth/acme/revoke", {"token": token, "token_type_hint": "refresh_token"}
    )
    assert (revoked.status, revoked.body) == (200, b"")
    assert revoked.get("cache-control") == "no-store"
    form = {"grant_type": "refresh_token", "refresh_token": token}
    refreshed = _post(gateway, "/auth/acme/token", form)
    assert (refreshed.status, refreshed.json()["error"]) == (400, "invalid_grant")


def test_revoking_what_is_no_token_succeeds(gateway: Gateway) -> None:
    """RFC 7009 2.2: the purpose is met."""
    assert _post(gateway, "/auth/acme/revoke", {"token": "no-such-token"}).status == 200


def test_a_client_introspects_with_its_own_credentials(gateway: Gateway) -> None:
    token = _person(gateway).json()["refresh_token"]
    known = _post(gateway, "/auth/acme/introspect", {"token": token}, **_own())
    assert known.status == 200, known.body
    assert known.json()["active"] is True
    assert known.json()["client_id"] == "gateway"
    unknown = _post(gateway, "/auth/acme/introspect", {"token": "none"}, **_own("service"))
    assert unknown.json() == {"active": False}


@pytest.mark.parametrize("form", [{}, {"client_id": "gateway"}])
def test_nobody_introspects_with_the_gateways_credentials(
    gateway: Gateway, provider: Provider, form: dict[str, str]
) -> None:
    before = provider.hits("/token/introspection")
    answer = _post(gateway, "/auth/acme/introspect", {"token": "x", **form})
    assert (answer.status, answer.json()["error"]) == (401, "invalid_client")
    assert answer.get("www-authenticate")
    assert provider.hits("/token/introspection") == before


def test_wrong_credentials_are_the_providers_error(gateway: Gateway) -> None:
    headers = {"Authorization": basic("service", "wrong")}
    for path in ("revoke", "introspect"):
        answer = _post(gateway, f"/auth/acme/{path}", {"token": "x"}, **headers)
        assert (answer.status, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("path", ["revoke", "introspect"])
def test_a_question_is_asked_by_post_about_one_token(gateway: Gateway, path: str) -> None:
    target = f"/auth/acme/{path}"
    assert gateway.call("GET", target).status == 405
    empty = _post(gateway, target, {"client_id": "x"}, **_own())
    assert (empty.status, empty.json()["error"]) == (400, "invalid_request")
    query = _post(gateway, f"{target}?token=x", {"token": "x"}, **_own())
    assert (query.status, query.json()["error"]) == (400, "invalid_request")
    for name in ("nobody", "closed"):
        assert _post(gateway, f"/auth/{name}/{path}", {"token": "x"}, **_own()).status == 404


@pytest.mark.parametrize("name", ["keyed", "endpoint"])
def test_D7_the_gateways_client_proves_itself_by_its_key(
    gateway: Gateway, upstream: Upstream, name: str
) -> None:
    answer = _person(gateway, name)
    assert answer.status == 200, answer.body
    upstream.clear()
    token = answer.json()["access_token"]
    assert gateway.call("GET", "/orders/items", bearer(token)).status == 200
    assert upstream.counts()["heads"] == 1


def test_D7_a_key_that_the_provider_does_not_know_is_the_operators_fault(gateway: Gateway) -> None:
    answer = _person(gateway, "stranger")
    assert answer.status == 503
    assert answer.json()["code"] == "misconfigured"
    assert "refuses the gateway's client" in gateway.log()


def test_B4_no_credential_is_logged(gateway: Gateway, provider: Provider) -> None:
    """Runs last: everything above has been logged."""
    verifier, challenge = _pkce()
    code = provider.code(challenge)
    token = _code(gateway, code, {}, code_verifier=verifier).json()["access_token"]
    logged = gateway.log(20000) + gateway.access_log()
    key = provider.signer_key().splitlines()[1]
    for canary in (secret("gateway"), PASSWORD, code, verifier, token.split(".")[2], key):
        assert canary not in logged
