"""``signature`` on the wire: signed by another implementation, refused with zero upstream hits."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import api, bearer, document
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider
from tests.e2e.raw import Answer
from tests.e2e.servers import until
from tests.e2e.signing import KEYS, Request, clients, signed
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

BODY = b'{"item": 7}'


def described(provider: Provider, upstream: Upstream, **client: Any) -> dict[str, Any]:
    url = upstream.url
    jwt = {"jwt": {"providers": ["acme"], "scopes": ["read"]}}
    report = {"signature": {"mode": "report"}}
    return document(
        provider,
        api("orders", url, [{"signature": {}}], strip_base_path=True),
        api("both", url, [jwt, {"signature": {"components": ["@method", "authorization"]}}]),
        api("watched", url, [{"public": {}}, report]),
        api("others", url, [{"signature": {"clients": ["partner-b"]}}]),
        clients=[{**clients(), **client}, {"name": "partner-b"}],
    )


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    return start(described(provider, upstream), backend())


def send(gateway: Gateway, request: Request, **changes: Any) -> Answer:
    """A request as it was signed, but for what is changed."""
    method = changes.get("method", request.method)
    target = changes.get("target", request.target)
    fields = [*request.headers.items(), *changes.get("more", ())]
    return gateway.call(method, target, fields, changes.get("body", request.body))


@pytest.fixture
def refused(gateway: Gateway, upstream: Upstream) -> Any:
    """Send, and see that it was refused and that nothing reached the upstream."""

    def one(request: Request, status: int, code: str, **changes: Any) -> Answer:
        upstream.clear()
        answer = send(gateway, request, **changes)
        assert (answer.status, answer.code) == (status, code), answer.body
        assert upstream.counts()["heads"] == 0
        return answer

    return one


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_what_another_implementation_signs_is_accepted(
    gateway: Gateway, upstream: Upstream, algorithm: str
) -> None:
    upstream.clear()
    request = signed("POST", "/orders/items?dry=1", BODY, algorithm=algorithm)
    answer = send(gateway, request)
    assert answer.status == 200, answer.body
    (seen,) = upstream.seen()
    assert (seen.target, seen.body) == ("/items?dry=1", BODY.decode())
    assert seen.get("content-digest") == request.headers["Content-Digest"]
    assert seen.all("signature") == seen.all("signature-input") == []


def test_a_request_that_is_not_signed_is_told_how(refused: Any) -> None:
    answer = refused(Request("GET", "/orders/a"), 401, "signature_missing")
    assert answer.get("www-authenticate") == 'Signature realm="gatehouse"'
    assert answer.get("accept-signature").startswith('sig1=("@method" "@path" "@query"')


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "DELETE"},
        {"target": "/orders/items"},
        {"target": "/orders/other?dry=1"},
        {"target": "/orders/items?dry=1&dry=2"},
        {"target": "/orders/items?dry=%31"},
    ],
)
def test_H1_what_was_changed_on_the_way_is_refused(refused: Any, changes: Any) -> None:
    refused(signed("POST", "/orders/items?dry=1", BODY), 401, "signature_invalid", **changes)


def test_H1_the_path_is_signed_as_the_client_asks_for_it(gateway: Gateway, refused: Any) -> None:
    """Before the base path is stripped, and in the canonical form by which it is routed."""
    refused(signed("GET", "/items"), 401, "signature_invalid", target="/orders/items")
    spelt = signed("GET", "/orders/a-b")
    assert send(gateway, spelt, target="/orders/%61%2Db").status == 200


@pytest.mark.parametrize("left_out", ["@method", "@path", "@query"])
def test_H1_covering_less_is_refused(refused: Any, left_out: str) -> None:
    covered = [name for name in ("@method", "@path", "@query") if name != left_out]
    refused(signed("GET", "/orders/a", covered=covered), 401, "signature_invalid")


def test_H1_a_signature_has_its_time(gateway: Gateway, refused: Any) -> None:
    assert send(gateway, signed("GET", "/orders/a", age=50)).status == 200
    refused(signed("GET", "/orders/a", age=70), 401, "signature_invalid")
    refused(signed("GET", "/orders/a", age=-70), 401, "signature_invalid")


def test_H2_several_signatures_are_refused(refused: Any) -> None:
    first, second = signed("GET", "/orders/a"), signed("GET", "/orders/a", label="sig2")
    refused(first, 400, "credentials_ambiguous", more=second.headers.items())
    refused(first, 401, "signature_invalid", more=first.headers.items())


def test_a_client_that_is_not_named_is_refused(refused: Any) -> None:
    refused(signed("GET", "/others/a"), 403, "client_refused")


def test_beside_a_token_both_are_required(
    gateway: Gateway, upstream: Upstream, refused: Any, mint: Mint
) -> None:
    token = bearer(mint.token())
    covered = ("@method", "authorization")
    request = signed("GET", "/both/a", covered=covered, headers=token)
    assert send(gateway, request).status == 200
    refused(Request("GET", "/both/a", headers=token), 401, "signature_missing")
    refused(signed("GET", "/both/a"), 401, "credentials_missing")
    stolen = signed("GET", "/both/a", covered=covered, headers=bearer(mint.token(sub="other")))
    swapped = {**stolen.headers, **token}
    refused(Request("GET", "/both/a", headers=swapped), 401, "signature_invalid")


# H3: content


def test_H3_another_content_is_refused_before_anything_goes_on(refused: Any) -> None:
    request = signed("POST", "/orders/a", BODY)
    refused(request, 400, "digest_mismatch", body=BODY.replace(b"7", b"8"))
    refused(Request("POST", "/orders/a", b"", request.headers), 400, "digest_mismatch")
    refused(signed("GET", "/orders/a"), 401, "signature_invalid", body=b"added")


@pytest.mark.parametrize("chunked", [False, True])
def test_H3_an_upstream_never_gets_a_complete_request_whose_digest_fails(
    gateway: Gateway, upstream: Upstream, chunked: bool
) -> None:
    content = b"0123456789abcdef" * 65536  # a megabyte: more than is ever held
    request = signed("POST", "/orders/large", content)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content)}"
    head = f"POST /orders/large HTTP/1.1\r\nHost: gateway.test\r\n{lines}{framing}\r\n\r\n"

    def sent(content: bytes) -> Answer:
        with gateway.client() as client:
            client.send(head.encode(), "POST")
            if chunked:
                content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
            client.send(content)
            return client.answer()

    upstream.clear()
    answer = sent(content[:-1] + b"!")
    assert (answer.status, answer.code) == (400, "digest_mismatch")
    assert upstream.counts()["complete"] == 0

    answer = sent(content)
    assert (answer.status, answer.code) == (401, "nonce_replayed"), "a nonce is used up"
    request = signed("POST", "/orders/large", content)
    assert send(gateway, request).status == 200
    assert upstream.counts()["complete"] == 1


# H4: once


def test_H4_of_a_hundred_at_once_with_one_nonce_exactly_one_is_accepted(
    gateway: Gateway, upstream: Upstream
) -> None:
    for _ in range(3):
        upstream.clear()
        request = signed("POST", "/orders/once", BODY)
        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(partial(send, gateway), [request] * 100))
        codes = [answer.code or answer.status for answer in answers]
        assert codes.count(200) == 1
        assert codes.count("nonce_replayed") == 99
        assert upstream.counts()["heads"] == 1


def test_in_report_mode_it_passes_and_is_counted_and_logged(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.clear()
    answer = gateway.call("GET", "/watched/unsigned")
    assert answer.status == 200
    assert upstream.counts()["heads"] == 1
    logged = gateway.logged(answer.get("x-request-id"))
    assert logged["reported"] == ["signature: signature_missing"]
    counted = ("watched ANY /{rest*}", "signature", "signature_missing")
    until(lambda: gateway.reported().get(counted) == 1, 20, "the counter")


def test_a_client_that_is_switched_off_is_refused_within_a_second(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    assert send(gateway, signed("GET", "/orders/a")).status == 200
    gateway.apply(described(provider, upstream, enabled=False))
    until(
        lambda: send(gateway, signed("GET", "/orders/a")).code == "signature_invalid",
        20,
        "a refusal",
    )
    gateway.apply(described(provider, upstream))
