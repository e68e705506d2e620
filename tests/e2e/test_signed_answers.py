"""``sign_response``, the identity token and the key set, as clients and upstreams verify them."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import jwt
import pytest
from http_message_signatures import InvalidSignature

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, bearer, document, protected
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer, Client
from tests.e2e.servers import until
from tests.e2e.signing import Request, clients, signed, verified
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

JWKS = "/.well-known/jwks.json"
SIGNED = {"sign_response": {}}


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    url = upstream.url
    told = {"forward_identity": {"token": "X-Identity", "headers": {}}}
    return start(
        document(
            provider,
            api("open", url, [{"public": {}}, SIGNED]),
            api("small", url, [{"public": {}}, {"sign_response": {"max_bytes": 1000}}]),
            api("reported", url, [{"public": {}}, {"sign_response": {"mode": "report"}}]),
            api("signed", url, [{"signature": {}}, SIGNED]),
            protected("told", url, told),
            clients=[clients()],
        ),
        backend(),
    )


def keys(gateway: Gateway) -> dict[str, Any]:
    answer = gateway.call("GET", JWKS)
    assert answer.status == 200
    document: dict[str, Any] = answer.json()
    return document


def ask(gateway: Gateway, method: str, target: str, body: bytes = b"") -> tuple[Answer, Request]:
    return gateway.call(method, target, body=body), Request(method, target)


def test_the_key_set_holds_one_public_key_and_may_be_cached(gateway: Gateway) -> None:
    answer = gateway.call("GET", JWKS)
    assert answer.get("content-type") == "application/json"
    assert answer.get("cache-control") == "max-age=300"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in key
    assert gateway.call("POST", JWKS).code == "method_not_allowed"
    assert gateway.call("HEAD", JWKS).status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/open/id/1?a=1", 200),
        ("HEAD", "/open/id/1", 200),
        ("GET", "/open/chunked/500000", 200),
        ("GET", "/open/until-close/5000", 200),
        ("GET", "/open/status/204", 204),
        ("GET", "/open/status/304", 304),
        ("GET", "/open/status/404", 404),
        ("GET", "/open/status/500", 500),
        ("GET", "/open/rst", 502),
    ],
)
def test_H3_every_answer_verifies_with_another_implementation(
    gateway: Gateway, method: str, target: str, status: int
) -> None:
    answer, request = ask(gateway, method, target)
    assert answer.status == status
    covered = verified(answer, request, keys(gateway))
    assert {'"@status"', '"content-digest"', '"@path";req', '"@query";req'} <= set(covered)
    with pytest.raises(InvalidSignature):
        verified(answer, Request(method, target + "x"), keys(gateway))


def test_H3_an_answer_is_bound_to_the_signature_of_its_request(gateway: Gateway) -> None:
    def send(request: Request) -> Answer:
        return gateway.call(request.method, request.target, request.headers, request.body)

    first = signed("POST", "/signed/a", b"{}")
    second = signed("POST", "/signed/a", b"{}")
    answer, other = send(first), send(second)
    assert answer.status == other.status == 200
    covered = verified(answer, first, keys(gateway))
    assert {'"signature";req', '"content-digest";req'} <= set(covered)
    with pytest.raises(InvalidSignature):
        verified(other, first, keys(gateway))


def test_a_refusal_is_signed_too(gateway: Gateway, upstream: Upstream) -> None:
    upstream.clear()
    answer, request = ask(gateway, "GET", "/signed/a")
    assert answer.code == "signature_missing"
    assert verified(answer, request, keys(gateway))
    assert upstream.counts()["heads"] == 0


@pytest.mark.parametrize("target", ["/small/download/1001", "/small/chunked/2000", "/small/sse"])
def test_an_answer_that_cannot_be_held_is_refused_not_sent_unsigned(
    gateway: Gateway, target: str
) -> None:
    answer, request = ask(gateway, "GET", target)
    assert (answer.status, answer.code) == (502, "upstream_invalid")
    assert verified(answer, request, keys(gateway))
    assert ask(gateway, "GET", "/small/download/1000")[0].status == 200


def test_in_report_mode_nothing_is_signed_and_everything_passes(gateway: Gateway) -> None:
    answer, _ = ask(gateway, "GET", "/reported/download/9000000")
    assert answer.status == 200
    assert len(answer.body) == 9000000
    assert answer.get("signature") is None
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == [
        "sign_response: not_applied",
        "sign_response: upstream_invalid",
    ]
    counted = ("reported ANY /{rest*}", "sign_response", "upstream_invalid")
    until(lambda: gateway.reported().get(counted) == 1, 20, "the counter")


def test_an_upstreams_own_signature_is_replaced(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script(
        b"HTTP/1.1 200 OK\r\nContent-Digest: sha-256=:AAAA:\r\nSignature: gatehouse=:AAAA:\r\n"
        b'Signature-Input: gatehouse=("@status");created=1\r\nContent-Length: 2\r\n\r\nok'
    )
    answer, request = ask(gateway, "GET", "/open/raw")
    assert answer.status == 200
    assert verified(answer, request, keys(gateway))


# The identity token


def identity(gateway: Gateway, token: str, audience: str) -> dict[str, Any]:
    """What an upstream learns that trusts the key set alone."""
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = (key for key in keys(gateway)["keys"] if key["kid"] == kid)
    claims: dict[str, Any] = jwt.decode(token, jwt.PyJWK(key), ["ES256"], audience=audience)
    return claims


def test_the_upstream_verifies_who_is_calling(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    forged = [("X-Identity", "forged"), *bearer(mint.token(sub="carol")).items()]
    assert gateway.call("GET", "/told/a", forged).status == 200
    assert gateway.call("GET", "/open/a", [("X-Identity", "forged")]).status == 200
    told, other = upstream.seen()
    (token,) = told.all("x-identity")
    claims = identity(gateway, token, "told")
    assert claims["sub"] == "carol"
    assert claims["exp"] - claims["iat"] == 60
    assert other.all("x-identity") == []


# The life of the keys


@pytest.fixture
def each_worker(gateway: Gateway) -> Iterator[list[Client]]:
    connections = gateway.client_of_each_worker()
    yield connections
    for connection in connections:
        connection.close()


def published(client: Client) -> list[str]:
    client.request("GET", JWKS)
    return [key["kid"] for key in json.loads(client.answer().body)["keys"]]


def shows(client: Client, number: int) -> bool:
    return len(published(client)) == number


def hides(client: Client, key: str) -> bool:
    return key not in published(client)


def shell(gateway: Gateway, statement: str) -> None:
    code = f"from policies import key_life; from policies.models import GatewayKey; {statement}"
    result = gateway.command("shell", "-c", code)
    assert result.code == 0, result.output


def test_a_successor_is_published_by_every_worker_before_it_signs(
    gateway: Gateway, each_worker: list[Client]
) -> None:
    (before,) = published(each_worker[0])
    shell(gateway, "key_life.succeed()")
    for client in each_worker:
        until(partial(shows, client, 2), 20, "the successor")
        answer, request = ask(gateway, "GET", "/open/id/1")
        assert f'keyid="{before}"' in str(answer.get("signature-input"))
        assert verified(answer, request, keys(gateway))


def test_a_revoked_key_is_gone_from_every_worker_and_another_one_signs(
    gateway: Gateway, each_worker: list[Client]
) -> None:
    answer, request = ask(gateway, "GET", "/open/id/1")
    signs = str(answer.get("signature-input")).partition('keyid="')[2].partition('"')[0]
    shell(gateway, f"key_life.revoke(GatewayKey.objects.get(key_id='{signs}'))")
    for client in each_worker:
        until(partial(hides, client, signs), 20, "the end")
    after, request = ask(gateway, "GET", "/open/id/1")
    assert signs not in str(after.get("signature-input"))
    assert verified(after, request, keys(gateway))
    with pytest.raises(InvalidSignature):
        verified(answer, request, keys(gateway))
