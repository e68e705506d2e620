"""``signature`` as traffic: what must be covered, by whom, when, and once."""

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from policies.core.services import Services
from policies.core.values import Call, Headers
from policies.kinds.signature import SignatureConfig
from tests.policies.conftest import NOW, Clock
from tests.policies.kinds.signing import COMPONENTS, PRIVATE, Route, by_hmac, signed
from tests.policies.outage import Down, used_twice

MakeCall = Callable[..., Call]


@pytest.fixture
def route(make_services: Callable[..., Services]) -> Callable[..., Route]:
    return lambda **options: Route(options.pop("services", None) or make_services(), **options)


@pytest.fixture
def call(make_call: MakeCall) -> MakeCall:
    return lambda **members: make_call(
        **{"path": "/orders/items", "fields": [(b"host", b"api.example")]} | members
    )


def header(call: Call, name: bytes, change: Callable[[bytes], bytes]) -> Call:
    """The call with one header changed after it was signed."""
    fields = [(n, change(v) if n == name else v) for n, v in call.request.headers.fields]
    call.request = replace(call.request, headers=Headers(fields))
    return call


def test_a_signed_request_passes_and_proves_its_client(route: Any, call: Any) -> None:
    made = signed(call())
    assert route().code(made) == ""
    assert made.identity is not None
    assert (made.identity.kind, made.identity.client) == ("signature", "partner-a")


def test_a_shared_secret_signs_too(route: Any, call: Any) -> None:
    made = signed(call(), sign=by_hmac, keyid="b-1")
    assert route().code(made) == ""
    assert made.identity.client == "partner-b"


def test_an_unsigned_request_is_told_how_to_sign(route: Any, call: Any) -> None:
    deny = route(tag="orders").refusal(call())
    assert deny.code == "signature_missing"
    assert dict(deny.fields) == {
        b"www-authenticate": b'Signature realm="gatehouse"',
        b"accept-signature": b'sig1=("@method" "@path" "@query" "content-digest")'
        b';created;tag="orders"',
    }


# H1: what must be covered


@pytest.mark.parametrize("left_out", COMPONENTS)
def test_H1_a_signature_that_covers_less_is_refused(route: Any, call: Any, left_out: str) -> None:
    covered = [name for name in COMPONENTS if name != left_out]
    assert route().code(signed(call(method="POST"), covered, b"{}")) == "signature_invalid"


def test_H1_a_part_is_covered_by_the_whole(route: Any, call: Any) -> None:
    one = route(nonce=False)
    assert one.code(signed(call(query=b"a=1"), ["@method", "@target-uri"])) == ""
    assert one.code(signed(call(query=b"a=1"), ["@method", "@request-target"])) == ""
    assert one.code(signed(call(), ["@method", "@path"])) == "signature_invalid"


def test_H1_any_component_can_be_required(route: Any, call: Any) -> None:
    one = route(components=("@method", "authorization", '@query-param;name="id"'), nonce=False)
    fields = [(b"host", b"a"), (b"authorization", b"Bearer x")]
    covered = ["@method", "authorization", '@query-param;name="id"']
    assert one.code(signed(call(fields=fields, query=b"id=7&b=2"), covered)) == ""
    assert one.code(signed(call(fields=fields, query=b"id=7"), covered[:2])) == "signature_invalid"


@pytest.mark.parametrize(
    "change",
    [
        lambda call: replace(call, method="PUT"),
        lambda call: replace(call, path="/orders/other"),
        lambda call: replace(call, query=b"added=1"),
        lambda call: replace(call, query=b""),
    ],
)
def test_H1_what_is_changed_after_signing_is_refused(
    route: Any, call: Any, change: Callable[..., Any]
) -> None:
    made = signed(call(query=b"a=1"))
    made.request = change(made.request)
    assert route().code(made) == "signature_invalid"


def test_H1_the_content_digest_is_covered(route: Any, call: Any) -> None:
    made = signed(call(method="POST"), content=b"{}")
    swapped = header(made, b"content-digest", lambda value: value.replace(b"=:", b"=:A", 1))
    assert route().code(swapped) == "signature_invalid"


@pytest.mark.parametrize(
    ("created", "code"),
    [
        (NOW - 60, ""),
        (NOW + 60, ""),
        (NOW - 61, "signature_invalid"),
        (NOW + 61, "signature_invalid"),
    ],
)
def test_H1_created_is_exact_on_both_sides(
    route: Any, call: Any, created: float, code: str
) -> None:
    assert route().code(signed(call(), created=int(created))) == code


def test_H1_created_is_required_and_expires_is_honoured(route: Any, call: Any) -> None:
    assert route().code(signed(call(), created=None)) == "signature_invalid"
    assert route().code(signed(call(), expires=int(NOW))) == ""
    assert route().code(signed(call(), expires=int(NOW) - 1)) == "signature_invalid"


# H2: which key, which algorithm, which signature


@pytest.mark.parametrize("keyid", ["a-2", "A-1", "a-1 ", "", None, "b-1"])
def test_H2_the_keyid_is_exact(route: Any, call: Any, keyid: str | None) -> None:
    assert route().code(signed(call(), keyid=keyid)) == "signature_invalid"


def test_H2_alg_must_agree_with_the_key(route: Any, call: Any) -> None:
    assert route().code(signed(call(), alg="ed25519")) == ""
    assert route().code(signed(call(), alg="hmac-sha256")) == "signature_invalid"
    assert route().code(signed(call(), alg="none")) == "signature_invalid"


def test_H2_a_public_key_is_no_shared_secret(route: Any, call: Any) -> None:
    """The confusion of CVE-2022-29217: HMAC with the bytes of the public key."""
    raw = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    made = signed(call(), sign=lambda base: hmac.digest(raw, base, "sha256"), alg="hmac-sha256")
    assert route().code(made) == "signature_invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"signature", b"sig1=:AAAA:"),
        (b"signature", b"other=:AAAA:"),
        (b"signature", b"sig1=token"),
        (b"signature", b"sig1=:AAAA:, sig1=:AAAA:"),
        (b"signature-input", b'sig1=("@method";unknown);created=1;keyid="a-1"'),
        (b"signature-input", b'sig1=("@method" "@method");created=1;keyid="a-1"'),
        (b"signature-input", b"sig1=("),
        (b"signature-input", b""),
    ],
)
def test_H2_what_is_malformed_is_refused(route: Any, call: Any, name: bytes, value: bytes) -> None:
    assert route().code(header(signed(call()), name, lambda _: value)) == "signature_invalid"


def test_H2_a_signature_without_its_input_is_none(route: Any, call: Any) -> None:
    made = signed(call())
    kept = [field for field in made.request.headers.fields if field[0] != b"signature-input"]
    made.request = replace(made.request, headers=Headers(kept))
    assert route().code(made) == "signature_invalid"


def test_H2_of_several_only_the_one_that_the_route_names_counts(route: Any, call: Any) -> None:
    def both() -> Call:
        first = signed(call(), label="theirs", keyid="unknown", tag="theirs")
        return signed(first, label="ours", nonce="n-2", tag="ours")

    assert route().code(both()) == "credentials_ambiguous"
    assert route(label="ours").code(both()) == ""
    assert route(tag="ours").code(both()) == ""
    assert route(label="theirs").code(both()) == "signature_invalid"
    assert route(label="absent").code(both()) == "signature_missing"
    assert route(label="ours", tag="theirs").code(both()) == "signature_missing"


def test_a_client_that_is_not_named_is_refused(route: Any, call: Any) -> None:
    one = route(clients=("partner-b",))
    assert one.code(signed(call())) == "client_refused"
    assert one.code(signed(call(), sign=by_hmac, keyid="b-1")) == ""


def test_no_refusal_repeats_what_was_sent(route: Any, call: Any) -> None:
    canary = "canary-7f3a"
    for made in (
        signed(call(), keyid=canary),
        signed(call(), nonce=canary * 50),
        header(
            signed(call()), b"signature-input", lambda v: v.replace(b'"@path"', b'"canary-7f3a"')
        ),
    ):
        deny = route().refusal(made)
        assert deny is not None
        assert canary not in repr(deny)


# H4: once


def test_H4_a_nonce_is_asked_for_and_accepted_once(route: Any, call: Any) -> None:
    one = route()
    assert one.code(signed(call(), nonce=None)) == "nonce_missing"
    assert one.code(signed(call(), nonce="")) == "nonce_missing"
    assert one.code(signed(call(), nonce="x" * 257)) == "nonce_missing"
    assert one.code(signed(call())) == ""
    again = one.refusal(signed(call()))
    assert again is not None
    assert again.code == "nonce_replayed"
    assert dict(again.fields)[b"www-authenticate"] == b'Signature realm="gatehouse"'
    assert one.code(signed(call(), nonce="n-2")) == ""
    assert route(nonce=False).code(signed(call(), nonce=None)) == ""


def test_H4_a_nonce_is_used_up_by_its_owner_alone(route: Any, call: Any) -> None:
    one = route()
    forged = header(signed(call()), b"signature", lambda value: value[:-6] + b"AAAA=:")
    assert one.code(forged) == "signature_invalid"
    assert one.code(signed(call(), sign=by_hmac, keyid="b-1")) == ""
    assert one.code(signed(call())) == ""


def test_H4_a_nonce_is_remembered_as_long_as_it_could_be_accepted(
    route: Any, call: Any, clock: Clock
) -> None:
    one = route()
    assert one.code(signed(call(), created=int(NOW) + 60)) == ""
    clock.now = NOW + 120
    made = signed(call(), created=int(NOW) + 60)
    made.now = clock.now
    assert one.code(made) == "nonce_replayed"
    clock.now = NOW - 30  # a clock that was set back
    made.now = clock.now
    assert one.code(signed(call(), created=int(NOW))) == "nonce_replayed"


@used_twice
def test_H4_a_store_that_is_down_does_what_on_failure_says(
    route: Any, call: Any, make_services: Any, on_failure: str, codes: list[str]
) -> None:
    one = route(services=make_services(state=Down()), on_failure=on_failure)
    assert [one.code(signed(call())) for _ in range(2)] == codes


def test_what_proved_the_caller_is_not_forwarded(route: Any) -> None:
    assert route().policy.consumes == {b"signature", b"signature-input"}


@pytest.mark.parametrize(
    "components",
    [
        [],
        ["@status"],
        ["@method;req"],
        ["date;tr"],
        ["@nothing"],
        ["Date"],
        ["date;sf;bs"],
        ["@query-param"],
    ],
)
def test_components_that_no_request_has_cannot_be_required(components: list[str]) -> None:
    with pytest.raises(ValidationError):
        SignatureConfig(components=components)
