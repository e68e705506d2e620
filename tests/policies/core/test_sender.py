"""Sender-constrained tokens on a route: D4 (DPoP) and D5 (mTLS), whoever verified the token."""

import asyncio
from types import MappingProxyType
from typing import Any

import pytest

from policies.core.callers import NoProofs, Proof
from policies.core.chain import Attached, compile_chain
from policies.core.sender import AHEAD, digest
from policies.core.values import PASS, Call, Deny, Identity
from policies.kinds.jwt import Jwt, JwtConfig
from tests.policies.conftest import NOW
from tests.policies.kinds.jwt_route import Tokens
from tests.policies.outage import Down, used_twice

TOKEN = b"aaa.bbb.ccc"
CERTIFICATE = b"a certificate"
KEY = {"cnf": {"jkt": "thumbprint"}}
TLS = {"cnf": {"x5t#S256": digest(CERTIFICATE)}}
BOTH = {"cnf": {**KEY["cnf"], **TLS["cnf"]}}
GOOD = Proof("thumbprint", "GET", "http://api.example/items", "id-1", NOW, digest(TOKEN), None)


class Proofs(NoProofs):
    """Reads every proof as the one that the test wants."""

    def __init__(self, proof: Proof | None) -> None:
        self.proof = proof

    def read(self, value: bytes) -> Proof | None:
        return self.proof

    def nonce(self, now: float) -> str:
        return "current"

    def takes_nonce(self, nonce: str, now: float) -> bool:
        return nonce in ("current", "former")


class Route:
    """A route for tokens with these claims; ``proof`` is what its caller's proof claims."""

    def __init__(self, services: Any, claims: dict[str, Any], **options: Any) -> None:
        identity = Identity(kind="jwt", subject="u", claims=MappingProxyType(claims))
        self.proofs = Proofs(GOOD)
        given = services(tokens=Tokens(identity), proofs=self.proofs)
        policy = Jwt(JwtConfig(providers=("acme",), **options), given)
        self.chain = compile_chain([Attached(policy, "jwt")], lambda *_: None)

    def run(self, call: Call) -> Any:
        decision = asyncio.run(self.chain.run(call))
        assert (decision is PASS) == (call.identity is not None)
        return decision

    def code(self, call: Call) -> str:
        decision = self.run(call)
        return "" if decision is PASS else decision.code


@pytest.fixture
def route(make_services: Any) -> Any:
    return lambda claims, **options: Route(make_services, claims, **options)


@pytest.fixture
def call(make_call: Any) -> Any:
    """A call with the token in this scheme, and these proofs."""

    def make(scheme: str = "DPoP", proofs: tuple[bytes, ...] = (b"proof",), **request: Any) -> Call:
        fields = [(b"host", request.pop("host", b"api.example"))]
        fields += [(b"authorization", scheme.encode() + b" " + TOKEN)]
        fields += [(b"dpop", proof) for proof in proofs]
        return make_call(fields=fields, **request)

    return make


def test_D4_a_bound_token_passes_with_its_proof(route: Any, call: Any) -> None:
    assert route(KEY).code(call()) == ""
    assert route(KEY).code(call("dpop")) == ""


@pytest.mark.parametrize("wanted", ["optional", "required", "dpop", "mtls"])
def test_D4_a_bound_token_is_never_a_bearer_token(route: Any, call: Any, wanted: str) -> None:
    for proofs in ((), (b"proof",)):
        refused = route(KEY, sender_constraint=wanted).run(call("Bearer", proofs))
        assert (refused.code, refused.refusal.status) == ("token_type", 401)
        assert b'error="invalid_token"' in refused.fields[0][1]


def test_D4_a_bound_token_in_a_cookie_is_a_bearer_token(route: Any, make_call: Any) -> None:
    call = make_call(fields=[(b"cookie", b"t=" + TOKEN), (b"dpop", b"proof")])
    assert route(KEY, cookie="t").code(call) == "token_type"


def test_D4_an_unbound_token_is_no_dpop_token(route: Any, call: Any) -> None:
    assert route({}).code(call("Bearer", ())) == ""
    assert route({}).code(call("Bearer")) == ""
    assert route({}).code(call()) == "token_type"


@pytest.mark.parametrize("proofs", [(), (b"one", b"two")])
def test_D4_exactly_one_proof_is_needed(route: Any, call: Any, proofs: tuple[bytes, ...]) -> None:
    for claims in (KEY, {}):
        refused = route(claims).run(call(proofs=proofs))
        assert refused.code == "signature_missing"
        (header,) = refused.fields
        assert header[1].startswith(b'DPoP realm="gatehouse", error="invalid_dpop_proof"')
        assert b'algs="ES256 ' in header[1]


def test_D4_a_route_whose_scheme_is_dpop_asks_for_proofs_all_the_same(
    route: Any, call: Any
) -> None:
    assert route(KEY, scheme="DPoP").code(call()) == ""
    for proofs in ((), (b"one", b"two")):
        assert route(KEY, scheme="DPoP").code(call(proofs=proofs)) == "signature_missing"
    assert route({}, scheme="DPoP").code(call(proofs=())) == "token_type"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (None, "signature_invalid"),
        ({"method": "POST"}, "signature_invalid"),
        ({"method": "get"}, "signature_invalid"),
        ({"uri": "https://api.example/items"}, "signature_invalid"),
        ({"uri": "http://api.example/item"}, "signature_invalid"),
        ({"uri": "http://api.example/items/"}, "signature_invalid"),
        ({"uri": "http://api.example/x/../items"}, "signature_invalid"),
        ({"uri": "http://api.example:8080/items"}, "signature_invalid"),
        ({"uri": "http://api.example.org/items"}, "signature_invalid"),
        ({"uri": "http://u@api.example/items"}, "signature_invalid"),
        ({"uri": "http://api.example:x/items"}, "signature_invalid"),
        ({"uri": "/items"}, "signature_invalid"),
        ({"token_hash": digest(b"another")}, "signature_invalid"),
        ({"thumbprint": "another"}, "signature_invalid"),
        ({"issued_at": NOW - 61}, "timestamp_outside_window"),
        ({"issued_at": NOW + AHEAD + 1}, "timestamp_outside_window"),
    ],
)
def test_D4_a_proof_is_for_this_request_token_key_and_moment(
    route: Any, call: Any, changes: dict[str, Any] | None, code: str
) -> None:
    one = route(KEY)
    one.proofs.proof = None if changes is None else GOOD._replace(**changes)
    refused = one.run(call())
    assert (refused.code, refused.refusal.status) == (code, 401)
    assert b'error="invalid_dpop_proof"' in refused.fields[0][1]


@pytest.mark.parametrize(
    "uri",
    [
        "HTTP://API.example:80/items",
        "http://api.example./items",
        "http://api.example/items?a=b#c",
        "http://api.example/%69tems",
    ],
)
def test_D4_addresses_are_compared_in_normal_form(route: Any, call: Any, uri: str) -> None:
    one = route(KEY)
    one.proofs.proof = GOOD._replace(uri=uri)
    assert one.code(call()) == ""


def test_D4_the_address_is_the_one_the_client_called(route: Any, call: Any) -> None:
    one = route(KEY)
    one.proofs.proof = GOOD._replace(uri="https://[::1]:8443/a%20b")
    assert one.code(call(host=b"[::1]:8443", path="/a%20b", secure=True)) == ""
    assert one.code(call(host=b"[::1]:8444", path="/a%20b", secure=True)) == "signature_invalid"


def test_D4_a_proof_is_used_once(route: Any, call: Any) -> None:
    one = route(KEY)
    assert one.code(call()) == ""
    refused = one.run(call())
    assert refused.code == "nonce_replayed"
    assert b'error="invalid_dpop_proof"' in refused.fields[0][1]
    one.proofs.proof = GOOD._replace(id="id-2")
    assert one.code(call()) == ""


def test_D4_a_proof_is_used_once_on_all_routes_that_share_state(
    make_services: Any, call: Any
) -> None:
    services = make_services()
    routes = [
        Route(lambda **members: make_services(state=services.state, **members), KEY)
        for _ in range(2)
    ]
    assert [each.code(call()) for each in routes] == ["", "nonce_replayed"]


@used_twice
def test_D4_without_shared_state_proofs_are_treated_as_declared(
    make_services: Any, call: Any, on_failure: str, codes: list[str]
) -> None:
    def down(**members: Any) -> Any:
        return make_services(state=Down(), **members)

    one = Route(down, KEY, on_failure=on_failure)
    assert [one.code(call()) for _ in range(2)] == codes


def test_D4_a_nonce_is_asked_for_and_taken(route: Any, call: Any) -> None:
    one = route(KEY, dpop_nonce=True)
    for nonce in (None, "", "of somebody else"):
        one.proofs.proof = GOOD._replace(nonce=nonce)
        refused = one.run(call())
        assert refused.code == "nonce_missing"
        fields = dict(refused.fields)
        assert fields[b"dpop-nonce"] == b"current"
        assert b'error="use_dpop_nonce"' in fields[b"www-authenticate"]
    one.proofs.proof = GOOD._replace(nonce="current")
    asked = call()
    assert one.code(asked) == ""
    assert asked.response_fields == []
    one.proofs.proof = GOOD._replace(nonce="former", id="id-2")
    asked = call()
    assert one.code(asked) == ""
    assert asked.response_fields == [(b"dpop-nonce", b"current")]


def test_D5_a_token_is_taken_only_over_a_connection_with_its_certificate(
    route: Any, call: Any
) -> None:
    assert route(TLS).code(call("Bearer", (), certificate=CERTIFICATE)) == ""
    for other in (None, b"another certificate"):
        refused = route(TLS).run(call("Bearer", (), certificate=other))
        assert (refused.code, refused.refusal.status) == ("token_type", 401)
        assert b'Bearer realm="gatehouse", error="invalid_token"' in refused.fields[0][1]


def test_D5_both_bindings_must_hold(route: Any, call: Any) -> None:
    assert route(BOTH).code(call(certificate=CERTIFICATE)) == ""
    assert route(BOTH).code(call()) == "token_type"
    assert route(BOTH).code(call("Bearer", (), certificate=CERTIFICATE)) == "token_type"


@pytest.mark.parametrize("cnf", [{}, None, "x", [], {"jwk": {}}, {"kid": "1"}, {"jku": "x"}])
def test_a_binding_that_is_not_understood_is_refused(route: Any, call: Any, cnf: object) -> None:
    for scheme, proofs in (("Bearer", ()), ("DPoP", (b"proof",))):
        refused = route({"cnf": cnf}).run(call(scheme, proofs, certificate=CERTIFICATE))
        assert isinstance(refused, Deny)
        assert refused.code == "token_type"


@pytest.mark.parametrize("value", [None, 1, "", ["thumbprint"]])
def test_a_thumbprint_that_is_no_text_matches_nothing(route: Any, call: Any, value: object) -> None:
    assert route({"cnf": {"jkt": value}}).code(call()) == "signature_invalid"
    bound = {"cnf": {"x5t#S256": value}}
    assert route(bound).code(call("Bearer", (), certificate=CERTIFICATE)) == "token_type"


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("optional", {"plain", "key", "tls", "both"}),
        ("required", {"key", "tls", "both"}),
        ("dpop", {"key", "both"}),
        ("mtls", {"tls", "both"}),
    ],
)
def test_a_route_may_want_tokens_to_be_bound(
    route: Any, call: Any, wanted: str, taken: set[str]
) -> None:
    kinds = {"plain": {}, "key": KEY, "tls": TLS, "both": BOTH}
    passed = set()
    for name, claims in kinds.items():
        scheme, proofs = (
            ("DPoP", (b"proof",)) if "key" in name or "both" in name else ("Bearer", ())
        )
        one = route(claims, sender_constraint=wanted)
        if one.code(call(scheme, proofs, certificate=CERTIFICATE)) == "":
            passed.add(name)
    assert passed == taken


def test_B1_a_call_without_a_token_is_asked_for_the_right_one(route: Any, make_call: Any) -> None:
    refused = route({}, sender_constraint="dpop").run(make_call())
    assert refused.code == "credentials_missing"
    assert refused.fields[0][1].startswith(b'DPoP realm="gatehouse", algs="')
    refused = route({}, sender_constraint="mtls").run(make_call())
    assert refused.fields == ((b"www-authenticate", b'Bearer realm="gatehouse"'),)
