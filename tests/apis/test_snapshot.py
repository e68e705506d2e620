"""A document compiled into a table: what is right is served, what is broken refuses."""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apis.config import Document
from apis.routing import NotMatched, Route, RoutingTable, UpstreamSpec
from apis.snapshot import Compiler, compile_table
from policies.core.browser import GATEWAY_COOKIES
from policies.core.chain import Attached, compile_chain
from policies.core.config import PolicyConfig, Problem
from policies.core.services import Services
from policies.core.values import NO_HEADERS, Call, Deny, Request
from policies.kinds.public import Public
from policies.references import STORED, SecretUnreadable
from policies.secrets import Keyring
from policies.stores.memory import MemoryState


def certificate() -> str:
    """A self-signed certificate in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode()


UNUSABLE = certificate()


class NoTokens:
    """Token verification where no provider is registered."""

    def provider(self, name: str) -> Any:
        raise KeyError(name)

    def recall(self, providers: tuple[str, ...], token: bytes, now: float) -> Any:
        raise AssertionError("no token is verified here")

    async def verify(self, providers: tuple[str, ...], token: bytes, now: float) -> Any:
        raise AssertionError("no token is verified here")


@dataclass(frozen=True)
class FakeCarrier:
    spec: UpstreamSpec


class Carriers:
    """One carrier for each equal spec, as the data plane keeps them."""

    def __init__(self) -> None:
        self.made: dict[UpstreamSpec, FakeCarrier] = {}

    def __call__(self, spec: UpstreamSpec) -> FakeCarrier:
        if spec.tls.ca == UNUSABLE:
            raise ValueError("tls.ca: no certificate in it")
        return self.made.setdefault(spec, FakeCarrier(spec))


SERVICES = Services(MemoryState(), NoTokens(), lambda: 0.0, MemoryState())


class Acme(NoTokens):
    """Token verification where every name is a provider."""

    def provider(self, name: str) -> Any:
        return None


KNOWING_ACME = replace(SERVICES, tokens=Acme())


def compiler(carriers: Carriers | None = None, **more: Any) -> Compiler:
    members = {
        "services": SERVICES,
        "carrier": carriers or Carriers(),
        "opener": Keyring(["k" * 32]),
        "on_report": lambda name, call, deny: None,
    }
    return Compiler(**(members | more))


def api(name: str = "orders", **more: Any) -> dict[str, Any]:
    base = {
        "name": name,
        "base_path": f"/{name}",
        "upstream": {"targets": [{"url": f"http://{name}.example.org:8080/v1/"}]},
        "policies": [{"public": {}}],
    }
    return base | more


def compiled(*apis: dict[str, Any], **more: Any) -> tuple[RoutingTable, list[Problem]]:
    members = {key: more.pop(key) for key in ("policies", "providers") if key in more}
    document = Document.model_validate({"format": 1, "apis": list(apis), **members})
    return compile_table(document, compiler(**more), 7)


def matched(table: RoutingTable, method: str, path: str, host: str = "gw.example.org") -> Route:
    route = table.match(host, method, path)
    assert isinstance(route, Route)
    return route


def test_an_api_without_routes_is_its_whole_base_path_for_every_method() -> None:
    table, problems = compiled(api())
    assert problems == []
    for method, path in (("GET", "/orders"), ("PATCH", "/orders/a/b"), ("DELETE", "/orders/")):
        route = matched(table, method, path)
        assert route.name == "orders ANY /{rest*}"
        assert route.refusal is None
    assert isinstance(table.match("gw.example.org", "GET", "/other"), NotMatched)


def test_a_target_is_taken_apart() -> None:
    table, _ = compiled(api())
    carrier = matched(table, "GET", "/orders").carrier
    assert carrier is not None
    (target,) = carrier.spec.targets
    assert (target.host, target.port, target.secure, target.path) == (
        "orders.example.org",
        8080,
        False,
        "/v1",
    )


def test_the_generation_stands_in_the_table() -> None:
    table, _ = compiled(api())
    assert table.generation == 7


# One thing that is broken in each way that can be; the sound API beside it is served.
BROKEN = {
    "no identity policy": ({"policies": []}, "identity policy"),
    "identity only reported": ({"policies": [{"public": {"mode": "report"}}]}, "identity policy"),
    "identity switched off": ({"policies": [{"public": {"mode": "off"}}]}, "identity policy"),
    "unreadable authorities": (
        {
            "upstream": {
                "targets": [{"url": "https://orders.example.org"}],
                "tls": {"ca": UNUSABLE},
            }
        },
        "tls.ca",
    ),
    "a policy that cannot be built": (
        {"policies": [{"public": {}}, {"forward_identity": {"headers": {"X-A": "a", "x-a": "b"}}}]},
        "forward_identity: headers",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_F5_what_is_broken_refuses_and_the_others_are_served(name: str) -> None:
    change, reason = BROKEN[name]
    table, problems = compiled(api("orders", **change), api("sound"))
    broken, sound = matched(table, "GET", "/orders/x"), matched(table, "GET", "/sound/x")
    assert broken.refusal is not None
    assert broken.refusal.code == "misconfigured"
    assert broken.chain is None
    assert sound.refusal is None
    assert sound.chain is not None
    assert [problem.path for problem in problems] == ["apis[0]"]
    assert reason in problems[0].message
    assert reason not in broken.refusal.detail


def test_F5_one_broken_route_leaves_the_others_of_its_api() -> None:
    table, problems = compiled(
        api(
            routes=[
                {"methods": ["GET"], "path": "/good"},
                {
                    "methods": ["GET"],
                    "path": "/bad",
                    "policies": [{"forward_identity": {"headers": {"X-A": "a", "x-a": "b"}}}],
                },
            ]
        )
    )
    assert matched(table, "GET", "/orders/good").refusal is None
    assert matched(table, "GET", "/orders/bad").refusal is not None
    assert [problem.path for problem in problems] == ["apis[0].routes[1]"]


def test_F5_a_secret_that_no_key_opens_is_a_refusing_route() -> None:
    sealed = Keyring(["another key"]).seal("PRIVATE KEY", "here")
    tls = {
        "cert": {"text": UNUSABLE},
        "key": {"sealed": sealed, "context": "here"},
    }
    stored = api(upstream={"targets": [{"url": "https://orders.example.org"}], "tls": tls})
    document = Document.model_validate({"format": 1, "apis": [stored]}, context=STORED)
    table, problems = compile_table(document, compiler(), 1)
    assert matched(table, "GET", "/orders").refusal is not None
    assert "not configured" in problems[0].message
    assert "PRIVATE" not in str(problems)
    with pytest.raises(SecretUnreadable):
        Keyring(["k" * 32]).open(sealed, "here")


def test_two_routes_for_one_request_are_no_table_at_all() -> None:
    routes = [
        {"methods": ["GET"], "path": "/items/{a}"},
        {"methods": ["GET"], "path": "/items/{b}"},
    ]
    with pytest.raises(ValueError, match="same method and path"):
        compiled(api(routes=routes))


def test_a_policy_attached_to_an_api_is_one_instance_for_all_its_routes() -> None:
    limit = {"rate_limit": {"limit": 1, "per": 60, "by": "route"}}
    routes = [{"methods": ["GET"], "path": "/a"}, {"methods": ["GET"], "path": "/b"}]
    table, _ = compiled(api(policies=[{"public": {}}, limit], routes=routes), api("other"))
    first, second = (matched(table, "GET", f"/orders/{name}").chain for name in "ab")
    assert first is not None
    assert second is not None
    assert first._steps[-1][1].policy is second._steps[-1][1].policy


def test_a_global_policy_is_one_instance_for_all_apis() -> None:
    table, _ = compiled(api(), api("other"), policies=[{"security_headers": {}}])
    editors = [matched(table, "GET", f"/{name}").chain for name in ("orders", "other")]
    assert editors[0] is not None
    assert editors[1] is not None
    assert editors[0]._editors == editors[1]._editors


def test_P14_authorization_is_not_forwarded_not_even_on_a_public_route() -> None:
    table, _ = compiled(api())
    assert b"authorization" in matched(table, "GET", "/orders").strip_fields


def test_P14_authorization_is_forwarded_where_the_route_says_so() -> None:
    passing = {"forward_identity": {"headers": {}, "authorization": "pass"}}
    table, _ = compiled(api(policies=[{"public": {}}, passing]), api("other"))
    assert b"authorization" not in matched(table, "GET", "/orders").strip_fields
    assert b"authorization" in matched(table, "GET", "/other").strip_fields


def test_P2_identity_names_of_one_route_are_reserved_on_every_route() -> None:
    telling = {"forward_identity": {"headers": {"X-Who": "sub"}}}
    table, _ = compiled(api(policies=[{"public": {}}, telling]), api("other"))
    for name in ("orders", "other"):
        assert b"x-who" in matched(table, "GET", f"/{name}").strip_fields


def test_P2_identity_names_of_a_broken_route_stay_reserved_on_every_other() -> None:
    telling = {"forward_identity": {"headers": {"X-Who": "sub"}}}
    table, problems = compiled(
        api(policies=[{"jwt": {"providers": ["nobody"]}}, telling]), api("other")
    )
    assert matched(table, "GET", "/orders").refusal is not None
    assert "provider 'nobody' is not registered" in problems[0].message
    assert b"x-who" in matched(table, "GET", "/other").strip_fields


def test_P14_a_credential_of_one_route_does_not_reach_its_api_on_another() -> None:
    routes = [
        {"path": "/a", "policies": [{"jwt": {"providers": ["acme"], "header": "X-Token"}}]},
        {"path": "/b", "policies": [{"jwt": {"providers": ["acme"], "cookie": "access"}}]},
        {"path": "/c"},
    ]
    table, problems = compiled(api(routes=routes), services=KNOWING_ACME)
    assert problems == []
    route = matched(table, "GET", "/orders/c")
    assert {b"x-token", b"authorization"} <= route.strip_fields
    assert route.strip_cookies == {"access"} | GATEWAY_COOKIES


def test_P14_the_gateways_own_cookies_reach_no_api() -> None:
    table, _ = compiled(api(policies=[{"public": {}}]))
    assert matched(table, "GET", "/orders").strip_cookies == GATEWAY_COOKIES


def test_builtin_routes_are_served_under_every_host_before_any_api() -> None:
    chain = compile_chain([Attached(Public(PolicyConfig(), SERVICES), "public")], lambda *_: None)
    auth = Route("auth", "gatehouse", "/auth", "/{rest*}", frozenset(), chain, internal=True)
    table, _ = compiled(
        api(base_path="/", hosts=["api.example.org"]), api("other", base_path="/"), builtin=(auth,)
    )
    for host in ("api.example.org", "elsewhere.example.org"):
        assert matched(table, "POST", "/auth/acme/token", host) is auth
        assert matched(table, "GET", "/authors", host).api != "gatehouse"


def test_the_same_document_and_carriers_make_the_same_table() -> None:
    document = Document.model_validate(
        {"format": 1, "apis": [api(), api("other")], "policies": [{"security_headers": {}}]}
    )
    carriers = Carriers()
    tables = [compile_table(document, compiler(carriers), 1)[0] for _ in range(2)]
    facts = [
        [(r.name, r.template, r.methods, r.strip_fields, r.carrier) for r in table.routes]
        for table in tables
    ]
    assert facts[0] == facts[1]
    for before, after in zip(tables[0].routes, tables[1].routes, strict=True):
        assert before.carrier is after.carrier
    assert len(carriers.made) == 2


def test_what_a_policy_in_report_mode_objects_to_is_handed_on() -> None:
    told: list[str] = []

    def on_report(name: str, call: Call, deny: Deny) -> None:
        told.append(f"{name} {deny.code}")

    document = Document.model_validate(
        {
            "format": 1,
            "apis": [
                api(policies=[{"public": {}}, {"body_limit": {"max_bytes": 1, "mode": "report"}}])
            ],
        }
    )
    table, _ = compile_table(document, replace(compiler(), on_report=on_report), 1)
    chain = matched(table, "POST", "/orders").chain
    assert chain is not None
    assert chain.on_report is on_report


def test_a_websocket_cannot_be_signed_and_refuses() -> None:
    routes = [{"path": "/feed", "websocket": True}, {"path": "/items"}]
    policies = [{"public": {}}, {"sign_response": {}}]
    table, problems = compiled(api(routes=routes, policies=policies))
    (problem,) = problems
    assert problem.path == "apis[0].routes[0]"
    assert "WebSocket" in problem.message
    assert matched(table, "GET", "/orders/feed").refusal is not None
    assert matched(table, "GET", "/orders/items").refusal is None
    reported = [{"public": {}}, {"sign_response": {"mode": "report"}}]
    assert compiled(api(routes=routes, policies=reported))[1] == []


def described(template: str) -> str:
    """An OpenAPI document with one operation, ``GET template``."""
    responses = {"200": {"description": "ok"}}
    info = {"title": "t", "version": "1"}
    paths = {template: {"get": {"responses": responses}}}
    return json.dumps({"openapi": "3.1.0", "info": info, "paths": paths})


def refuses(route: Route, path: str) -> str:
    """The code with which a route's chain refuses a call, empty when it passes."""
    assert route.chain is not None
    request = Request("GET", "gw.example.org", path, None, NO_HEADERS, "192.0.2.1")
    decision = asyncio.run(route.chain.run(Call(request, route.name, 0.0)))
    return decision.code if isinstance(decision, Deny) else ""


def test_a_policy_for_all_apis_is_made_for_each_with_its_document() -> None:
    table, problems = compiled(
        api("orders", openapi=described("/items")),
        api("stock", openapi=described("/shelves")),
        policies=[{"openapi": {}}],
    )
    assert problems == []
    for name, path in (("orders", "/items"), ("stock", "/shelves")):
        route = matched(table, "GET", f"/{name}{path}")
        assert refuses(route, f"/{name}{path}") == ""
        assert refuses(route, f"/{name}/other") == "route_not_found"
    other = matched(table, "GET", "/orders/shelves")
    assert refuses(other, "/orders/shelves") == "route_not_found"


def test_F5_a_document_that_does_not_compile_refuses_on_its_api_alone() -> None:
    broken = described("/items").replace('"description": "ok"', '"descr": "ok"')
    routes = [{"path": "/a"}, {"path": "/b"}]
    table, problems = compiled(
        api("orders", openapi=broken, routes=routes),
        api("stock", openapi=described("/shelves")),
        policies=[{"openapi": {}}],
    )
    for path in ("/a", "/b"):
        refusal = matched(table, "GET", f"/orders{path}").refusal
        assert refusal is not None
        assert refusal.code == "misconfigured"
    assert matched(table, "GET", "/stock/shelves").refusal is None
    assert [problem.path for problem in problems] == ["apis[0].routes[0]", "apis[0].routes[1]"]
    assert "paths./items.get.responses.200.description: is missing" in problems[0].message


def test_an_unrelated_change_does_not_compile_a_document_again() -> None:
    judged = api("orders", openapi=described("/items"), policies=[{"public": {}}, {"openapi": {}}])
    before, _ = compiled(judged)
    began = document_of(matched(before, "GET", "/orders/items"))
    after, _ = compiled(judged, api("stock"))
    assert document_of(matched(after, "GET", "/orders/items")) is began


def document_of(route: Route) -> Any:
    assert route.chain is not None
    (found,) = [item.policy for item in route.chain._body_holders]
    return found._document  # type: ignore[attr-defined]
