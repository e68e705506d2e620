"""Sender-constrained tokens on the running gateway, minted by npm oidc-provider: D4 and D5."""

import base64
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority, der
from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import acme, api, bearer
from tests.e2e.dpop import Holder
from tests.e2e.gateway import Gateway
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer, Client
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def gateway(
    start: Start,
    provider: Provider,
    opaque_provider: Provider,
    upstream: Upstream,
    backend: Backend,
) -> Gateway:
    jwt = {"providers": ["acme"], "scopes": ["read"]}
    document = {
        "format": 1,
        "providers": [acme(provider), acme(opaque_provider, name="opaque", grants=[])],
        "apis": [
            api("plain", upstream.url, [{"jwt": jwt}]),
            api("dpop", upstream.url, [{"jwt": {**jwt, "sender_constraint": "dpop"}}]),
            api("nonce", upstream.url, [{"jwt": {**jwt, "dpop_nonce": True}}]),
            api("asked", upstream.url, [{"introspection": {"provider": "opaque"}}]),
            api("reported", upstream.url, [{"jwt": {**jwt, "mode": "report"}}, {"public": {}}]),
        ],
    }
    return start(document, backend(), workers=2)


class Caller:
    """Holds a key and a token that is bound to it."""

    def __init__(self, gateway: Gateway, provider: Provider) -> None:
        self.gateway = gateway
        self.holder = Holder()
        minting = self.holder.proof("POST", f"{provider.issuer}/token")
        self.token = provider.token(DPoP=minting)

    def url(self, path: str) -> str:
        """The address as the client writes it, Host included."""
        return f"http://gateway.test{path}"

    def fields(self, path: str, method: str = "GET", **claims: object) -> dict[str, str]:
        proof = self.holder.proof(method, self.url(path), self.token, **claims)
        return {"Authorization": f"DPoP {self.token}", "DPoP": proof}

    def call(self, path: str, **claims: object) -> Answer:
        return self.gateway.call("GET", path, self.fields(path, **claims))


@pytest.fixture
def caller(gateway: Gateway, provider: Provider) -> Caller:
    return Caller(gateway, provider)


def test_D4_a_bound_token_passes_with_a_proof_and_neither_goes_upstream(
    caller: Caller, upstream: Upstream
) -> None:
    upstream.clear()
    for path in ("/plain/a", "/dpop/a?b=c", "/plain/a%20b"):
        target = path.partition("?")[0]
        proof = caller.fields(target)
        assert caller.gateway.call("GET", path, proof).status == 200, path
    for seen in upstream.seen():
        assert not seen.all("authorization")
        assert not seen.all("dpop")


def test_D4_every_other_use_is_refused_and_nothing_reaches_the_upstream(
    caller: Caller, gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    path, other = "/plain/a", Caller(gateway, provider)
    good = caller.fields(path)
    foreign = other.fields(path)
    now = int(time.time())
    cases = {
        "as bearer": (bearer(caller.token), "token_type"),
        "as bearer, with a proof": ({**good, **bearer(caller.token)}, "token_type"),
        "without a proof": ({"Authorization": good["Authorization"]}, "signature_missing"),
        "another's proof": ({**good, "DPoP": foreign["DPoP"]}, "signature_invalid"),
        "another's token": (
            {**good, "Authorization": foreign["Authorization"]},
            "signature_invalid",
        ),
        "another method": (caller.fields(path, "POST"), "signature_invalid"),
        "another path": (caller.fields("/plain/b"), "signature_invalid"),
        "another host": (caller.fields(path, htu="http://localhost/plain/a"), "signature_invalid"),
        "no token hash": (caller.fields(path, ath=None), "signature_invalid"),
        "old": (caller.fields(path, iat=now - 120), "timestamp_outside_window"),
        "from the future": (caller.fields(path, iat=now + 120), "timestamp_outside_window"),
        "not a proof": ({**good, "DPoP": caller.token}, "signature_invalid"),
        "an unsigned proof": (
            {**good, "DPoP": good["DPoP"].rpartition(".")[0] + "."},
            "signature_invalid",
        ),
        "an unbound token": (
            {**good, "Authorization": f"DPoP {provider.token()}"},
            "token_type",
        ),
    }
    for name, (fields, code) in cases.items():
        answer = gateway.call("GET", path, fields)
        assert (answer.status, answer.code) == (401, code), (name, answer.body)
        assert "error=" in (answer.get("www-authenticate") or ""), name
    with Client(gateway.address) as client:
        client.request("GET", path, [*good.items(), ("DPoP", good["DPoP"])])
        assert client.answer().code == "signature_missing"
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", path, good).status == 200, "none of these used it up"


def test_D4_a_proof_is_used_once_by_all_workers(
    caller: Caller, gateway: Gateway, upstream: Upstream
) -> None:
    fields = caller.fields("/plain/a")
    upstream.clear()
    with ThreadPoolExecutor(30) as pool:
        calls = [pool.submit(gateway.call, "GET", "/plain/a", fields) for _ in range(30)]
        answers = [call.result() for call in calls]
    codes = sorted(str(answer.code) for answer in answers)
    assert codes == ["None"] + ["nonce_replayed"] * 29
    assert upstream.counts()["heads"] == 1


def test_D4_a_nonce_is_asked_for_and_then_taken(caller: Caller, upstream: Upstream) -> None:
    upstream.clear()
    answer = caller.call("/nonce/a")
    assert (answer.status, answer.code) == (401, "nonce_missing")
    assert 'error="use_dpop_nonce"' in (answer.get("www-authenticate") or "")
    nonce = answer.get("dpop-nonce")
    assert nonce
    forged = ("B" if nonce[0] == "A" else "A") + nonce[1:]
    assert caller.call("/nonce/a", nonce=forged).code == "nonce_missing"
    assert upstream.counts()["heads"] == 0
    assert caller.call("/nonce/a", nonce=nonce).status == 200


def test_D4_a_route_may_take_bound_tokens_alone(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    upstream.clear()
    token = provider.token()
    assert gateway.call("GET", "/dpop/a", bearer(token)).code == "token_type"
    answer = gateway.call("GET", "/dpop/a")
    assert answer.code == "credentials_missing"
    assert (answer.get("www-authenticate") or "").startswith("DPoP realm=")
    assert upstream.counts()["heads"] == 0
    assert gateway.call("GET", "/plain/a", bearer(token)).status == 200


def test_D4_an_opaque_token_is_bound_as_well(
    gateway: Gateway, opaque_provider: Provider, upstream: Upstream
) -> None:
    caller = Caller(gateway, opaque_provider)
    assert caller.call("/asked/a").status == 200
    upstream.clear()
    assert gateway.call("GET", "/asked/a", bearer(caller.token)).code == "token_type"
    assert upstream.counts()["heads"] == 0


def test_in_report_mode_a_wrong_use_passes_and_is_said(caller: Caller, gateway: Gateway) -> None:
    answer = gateway.call("GET", "/reported/a", bearer(caller.token))
    assert answer.status == 200
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["jwt: token_type"]
    counted = (logged["route"], "jwt", "token_type")
    until(lambda: gateway.reported().get(counted) == 1, 10, "the counter")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def secured(start: Start, provider: Provider, upstream: Upstream, authority: Authority) -> Gateway:
    certificate, key = authority.issue("server")
    jwt = {"providers": ["acme"]}
    document = {
        "format": 1,
        "providers": [acme(provider)],
        "apis": [
            api("plain", upstream.url, [{"jwt": jwt}]),
            api("mtls", upstream.url, [{"jwt": {**jwt, "sender_constraint": "mtls"}}]),
        ],
    }
    environ = {
        "GATEHOUSE_TLS_CERT": str(certificate),
        "GATEHOUSE_TLS_KEY": str(key),
        "GATEHOUSE_TLS_CLIENT_CA": str(authority.path),
    }
    trusting = ssl.create_default_context(cafile=authority.path)
    return start(document, environ, tls=trusting, workers=1)


def _over(gateway: Gateway, authority: Authority, pair: Pair, path: str, token: str) -> Answer:
    """A call over a TLS connection with this certificate."""
    context = ssl.create_default_context(cafile=authority.path)
    context.load_cert_chain(*pair)
    with Client(gateway.address, context) as client:
        client.request("GET", path, list(bearer(token).items()))
        return client.answer()


def test_D5_a_token_is_taken_only_over_a_connection_with_its_certificate(
    secured: Gateway, provider: Provider, upstream: Upstream, authority: Authority
) -> None:
    mine, theirs = authority.issue("mine"), authority.issue("theirs")
    told = base64.b64encode(der(mine[0])).decode()
    token = provider.token("bound", x_certificate=told)
    assert _over(secured, authority, mine, "/plain/a", token).status == 200
    assert _over(secured, authority, mine, "/mtls/a", token).status == 200
    upstream.clear()
    assert _over(secured, authority, theirs, "/plain/a", token).code == "token_type"
    claimed = {**bearer(token), "Client-Cert": f":{told}:"}
    answer = secured.call("GET", "/plain/a", claimed)
    assert (answer.status, answer.code) == (401, "token_type")
    unbound = provider.token()
    assert _over(secured, authority, mine, "/mtls/a", unbound).code == "token_type"
    assert upstream.counts()["heads"] == 0
    assert _over(secured, authority, theirs, "/plain/a", unbound).status == 200
