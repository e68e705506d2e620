"""``sign_response``: what is covered, that it verifies, and what is never sent unsigned."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from policies.core.chain import Attached, Chain, compile_chain
from policies.core.config import PolicyConfig
from policies.core.services import Services
from policies.core.values import PASS, Call, Deny, Headers
from policies.http.algorithms import verify
from policies.http.components import RequestMessage, ResponseMessage
from policies.http.digests import RunningDigest, parse_digest
from policies.http.signatures import Signature, signatures
from policies.kinds.public import Public
from policies.kinds.sign_response import SignResponse, SignResponseConfig
from tests.policies.conftest import NOW
from tests.policies.gateway_signer import made_key, made_signer
from tests.policies.kinds.signing import signed

KEY = made_key()
CONTENT = b'{"id": 7}'
JSON = (b"content-type", b"application/json")
Make = Callable[..., SignResponse]


@pytest.fixture
def policy(make_services: Callable[..., Services]) -> Make:
    def make(signer: Any = None, **options: Any) -> SignResponse:
        services = make_services(signer=signer or made_signer(KEY))
        return SignResponse(SignResponseConfig(**options), services)

    return make


def sealed(policy: SignResponse, call: Call, *fields: tuple[bytes, bytes], **given: Any) -> Headers:
    status, content = given.get("status", 200), given.get("content", CONTENT)
    return Headers(policy.seal(call, status, list(fields), content))


def covered(headers: Headers) -> list[str]:
    return [component.text for component in only(headers).components]


def only(headers: Headers) -> Signature:
    (signature,) = signatures(headers)
    return signature


def verifies(headers: Headers, call: Call, status: int = 200) -> bool:
    message = ResponseMessage(status, headers, RequestMessage.of(call.request))
    signature = only(headers)
    public = KEY.private.public_key()
    return verify("ecdsa-p256-sha256", public, signature.value, signature.base(message))


@pytest.fixture
def call(make_call: Callable[..., Call]) -> Call:
    return make_call(path="/orders/7", query=b"a=1", fields=[(b"host", b"api.example")])


def test_H3_an_answer_is_signed_with_its_digest_and_its_request(policy: Make, call: Call) -> None:
    headers = sealed(policy(), call, JSON)
    assert covered(headers) == [
        '"@status"',
        '"content-digest"',
        '"content-type"',
        '"@method";req',
        '"@authority";req',
        '"@path";req',
        '"@query";req',
    ]
    running = RunningDigest(parse_digest(headers.all(b"content-digest")))
    running.feed(CONTENT)
    assert running.agrees()
    parameters = only(headers).parameters
    assert (parameters.created, parameters.keyid) == (int(NOW), KEY.id)
    assert parameters.alg == "ecdsa-p256-sha256"
    assert verifies(headers, call)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, method="POST"),
        lambda request: replace(request, path="/orders/8"),
        lambda request: replace(request, query=b"a=2"),
        lambda request: replace(request, headers=Headers([(b"host", b"other.example")])),
    ],
)
def test_H3_an_answer_is_none_to_another_request(
    policy: Make, call: Call, change: Callable[[Any], Any]
) -> None:
    headers = sealed(policy(), call, JSON)
    other = Call(change(call.request), call.route, call.now)
    assert not verifies(headers, other)
    unbound = sealed(policy(bind_request=False), call, JSON)
    assert verifies(unbound, other)


def test_H3_nothing_of_a_signed_answer_can_be_changed(policy: Make, call: Call) -> None:
    headers = sealed(policy(), call, JSON)
    assert not verifies(headers, call, status=201)
    for name in (b"content-type", b"content-digest"):
        changed = [(n, v + b"x" if n == name else v) for n, v in headers.fields]
        assert not verifies(Headers(changed), call)


def test_H3_the_signature_of_the_request_is_bound_too(policy: Make, call: Call) -> None:
    asked = signed(call, content=b"{}")
    headers = sealed(policy(), asked, JSON)
    assert covered(headers)[-3:] == [
        '"signature";req',
        '"signature-input";req',
        '"content-digest";req',
    ]
    assert verifies(headers, asked)
    fields = [(n, v.replace(b"=:", b"=:A", 1)) for n, v in asked.request.headers.fields]
    asked.request = replace(asked.request, headers=Headers(fields))
    assert not verifies(headers, asked)


def test_what_an_answer_does_not_have_is_not_covered(policy: Make, call: Call) -> None:
    headers = sealed(policy(bind_request=False), call, status=204, content=b"")
    assert covered(headers) == ['"@status"', '"content-digest"']
    assert verifies(headers, call, status=204)


def test_a_value_that_is_no_text_is_covered_as_bytes(policy: Make, call: Call) -> None:
    options = {"components": ("@status", "x-name", "set-cookie"), "bind_request": False}
    lines = [(b"x-name", b"caf\xe9"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    headers = sealed(policy(**options), call, *lines)
    assert covered(headers) == ['"@status"', '"x-name";bs', '"set-cookie";bs']
    assert verifies(headers, call)


def test_the_other_digest(policy: Make, call: Call) -> None:
    headers = sealed(policy(digest="sha-512"), call, JSON)
    (value,) = parse_digest(headers.all(b"content-digest")).items()
    assert value == ("sha-512", hashlib.sha512(CONTENT).digest())


def test_an_upstreams_own_signature_is_replaced(policy: Make, call: Call) -> None:
    theirs = [
        (b"content-digest", b"sha-256=:AAAA:"),
        (b"signature", b"gatehouse=:AAAA:"),
        (b"signature-input", b'gatehouse=("@status");created=1'),
    ]
    headers = sealed(policy(), call, JSON, *theirs)
    assert verifies(headers, call)
    for name in (b"content-digest", b"signature", b"signature-input"):
        assert len(headers.all(name)) == 1


def test_another_key_signs_when_its_time_has_come(policy: Make, call: Call) -> None:
    one = policy(made_signer(made_key("old", NOW - 10), made_key("new", NOW + 10)))
    assert only(sealed(one, call, JSON)).parameters.keyid == "old"
    call.now = NOW + 10
    assert only(sealed(one, call, JSON)).parameters.keyid == "new"


def test_without_a_key_the_upstream_is_not_asked(policy: Make, call: Call) -> None:
    one = policy(made_signer(made_key(signs_from=NOW + 1)))
    decision = one.check(call)
    assert isinstance(decision, Deny)
    assert decision.code == "misconfigured"
    assert sealed(one, call, JSON).fields == [JSON]
    call.now = NOW + 1
    assert one.check(call) is PASS


def test_an_answer_is_held_up_to_its_bound_and_a_stream_is_not(policy: Make, call: Call) -> None:
    one = policy(max_bytes=1000)
    assert one.holds_answer(call, 200, [JSON]) == 1000
    stream = (b"content-type", b"text/event-stream; charset=utf-8")
    assert one.holds_answer(call, 200, [stream]) == 1


def chain(policy: SignResponse, mode: str, reported: list[str]) -> Chain:
    public = Attached(Public(PolicyConfig(), None), "public")  # type: ignore[arg-type]
    attached = [public, Attached(policy, "sign_response", mode)]  # type: ignore[arg-type]
    return compile_chain(attached, lambda name, call, would: reported.append(would.code))


def test_an_answer_that_is_too_large_is_refused(policy: Make, call: Call) -> None:
    one = chain(policy(max_bytes=5), "enforce", [])
    holders = one.answer_holders(call, 200, [JSON])
    assert one.check_answer(call, holders, 200, [JSON], b"12345") is None
    deny = one.check_answer(call, holders, 200, [JSON], b"123456")
    assert deny is not None
    assert deny.code == "upstream_invalid"


def test_in_report_mode_it_is_reported_and_nothing_is_signed(policy: Make, call: Call) -> None:
    reported: list[str] = []
    without_key = made_signer(made_key(signs_from=NOW + 1))
    one = chain(policy(without_key, max_bytes=5), "report", reported)
    assert asyncio.run(one.run(call)) is PASS
    assert not one.seals
    holders = one.answer_holders(call, 200, [JSON])
    assert one.check_answer(call, holders, 200, [JSON], b"123456") is None
    assert reported == ["misconfigured", "upstream_invalid"]


@pytest.mark.parametrize(
    "component",
    [
        "@method",
        "@path;req",
        "content-type;tr",
        "content-length",
        "signature",
        "Content-Type",
        "@x",
    ],
)
def test_what_no_answer_has_when_it_is_signed_cannot_be_covered(component: str) -> None:
    with pytest.raises(ValidationError):
        SignResponseConfig(components=(component,))


def test_it_says_that_it_needs_a_key() -> None:
    assert SignResponseConfig().signs
