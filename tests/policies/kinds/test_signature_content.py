"""``signature`` and the content of requests: no complete request whose digest fails goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.core.chain import Attached
from policies.core.config import PolicyConfig
from policies.core.services import Services
from policies.core.values import Call, Headers, Request
from policies.kinds.public import Public
from policies.stores.memory import MemoryState
from tests.policies.conftest import NOW
from tests.policies.kinds.signing import COMPONENTS, Route, digest, signed

CONTENT = b'{"hello": "world"}'


@pytest.fixture
def route(make_services: Callable[..., Services]) -> Callable[..., Route]:
    return lambda **options: Route(make_services(), **options)


def post(content: bytes | None, length: int | None = 0, **parameters: Any) -> Call:
    headers = Headers([(b"host", b"api.example")])
    request = Request(
        "POST", "api.example", "/items", None, headers, "192.0.2.7", body_length=length
    )
    return signed(Call(request, "orders", NOW), content=content, **parameters)


@pytest.mark.parametrize("length", [0, None])
def test_H3_content_that_agrees_goes_on(route: Any, length: int | None) -> None:
    one, made = route(), post(CONTENT, length)
    assert one.code(made) == ""
    assert one.stream(made, [CONTENT[:5], CONTENT[5:]]) == ("", len(CONTENT))


def test_H3_of_a_declared_length_the_last_chunk_is_held_back(route: Any) -> None:
    one, made = route(), post(CONTENT)
    assert one.code(made) == ""
    forged = CONTENT[:-1] + b"!"
    assert one.stream(made, [forged[:5], forged[5:]]) == ("digest_mismatch", 5)
    assert one.stream(made, [forged]) == ("digest_mismatch", 0)


def test_H3_of_chunked_content_the_end_is_held_back(route: Any) -> None:
    one, made = route(), post(CONTENT, None)
    assert one.code(made) == ""
    assert one.stream(made, [CONTENT, b"more"])[0] == "digest_mismatch"
    assert one.stream(made, [CONTENT[:-1]])[0] == "digest_mismatch"
    assert one.stream(made, [])[0] == "digest_mismatch"


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300), st.integers(1, 40))
def test_H3_whatever_the_chunks_nothing_complete_goes_on(
    signed_content: bytes, sent: bytes, size: int
) -> None:
    services = Services(MemoryState(), None, lambda: NOW, MemoryState())  # type: ignore[arg-type]
    one = Route(services, nonce=False)
    made = post(signed_content)
    made.request.body_length = len(sent)
    assert one.code(made) == ""
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    code, forwarded = one.stream(made, chunks)
    if sent == signed_content:
        assert (code, forwarded) == ("", len(sent))
    else:
        assert code == "digest_mismatch"
        assert forwarded < len(sent)


def test_H3_a_request_without_content_needs_no_digest_but_may_not_have_a_wrong_one(
    route: Any,
) -> None:
    one = route(nonce=False)
    assert one.code(post(None)) == ""
    assert one.code(post(b"")) == ""
    made = post(CONTENT)
    made.request.body_length = 0
    assert one.code(made) == "digest_mismatch"


def test_H3_content_that_was_added_is_refused(route: Any) -> None:
    made = post(None)
    made.request.body_length = 5
    assert route().code(made) == "signature_invalid"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:", "digest_mismatch"),
        (b"sha-256=token", "digest_mismatch"),
        (b"sha-256", "digest_mismatch"),
        (b"=", "digest_mismatch"),
        (digest(CONTENT) + b", " + digest(CONTENT), "digest_mismatch"),
        (digest(CONTENT, "sha-512"), ""),
        (b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:, " + digest(CONTENT), ""),
    ],
)
def test_H3_only_a_digest_that_proves_something_is_one(route: Any, field: bytes, code: str) -> None:
    request = post(None).request
    request.headers = Headers([(b"host", b"api.example"), (b"content-digest", field)])
    request.body_length = len(CONTENT)
    made = signed(Call(request, "orders", NOW))
    assert route().code(made) == code


def test_H3_a_digest_that_is_not_asked_for_is_compared_all_the_same(route: Any) -> None:
    one = route(components=("@method", "@path"), nonce=False)
    assert one.code(post(b"other", components=COMPONENTS[:2])) == ""
    assert one.stream(post(b"other"), [CONTENT[:5]])[0] == "digest_mismatch"


def test_in_report_mode_it_is_reported_and_passes(make_services: Callable[..., Services]) -> None:
    class Reporting(Route):
        def attached(self, mode: str) -> list[Attached]:
            public = Attached(Public(PolicyConfig(), self.services), "public")
            return [public, *super().attached("report")]

    one = Reporting(make_services())
    unsigned = Call(post(None).request, "orders", NOW)
    unsigned.request.headers = Headers([(b"host", b"api.example")])
    assert one.code(unsigned) == ""
    assert one.reported == ["signature_missing"]
    assert unsigned.identity is not None
    assert unsigned.identity.kind == "public"

    made = post(CONTENT)
    assert one.code(made) == ""
    assert one.stream(made, [b"x" * len(CONTENT)]) == ("", len(CONTENT))
    assert one.reported == ["signature_missing", "digest_mismatch"]
