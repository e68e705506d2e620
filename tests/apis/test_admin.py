"""The console pages of APIs, routes, upstreams and policies, used as a person uses them."""

from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from apis.validation import NO_IDENTITY
from oidc_clients.models import Provider
from tests.console_pages import Console, Page, superuser

pytestmark = pytest.mark.django_db

ORDERS = """
format: 1
providers:
  - {name: acme, issuer: "https://id.example.org", audiences: [orders], algorithms: [RS256]}
policies:
  - security_headers: {}
apis:
  - name: orders
    base_path: /orders
    upstream:
      targets: [{url: "https://orders.example.org"}]
      health: {path: /healthz, interval: 7}
      tls: {cert: {file: cert.pem}, key: {file: key.pem}}
    policies:
      - jwt: {providers: [acme], scopes: [read]}
      - rate_limit: {limit: 100, per: 60, by: ip}
    routes:
      - {methods: [GET], path: "/items/{id}"}
      - {methods: [POST], path: /items, policies: [{jwt: {providers: [acme], scopes: [write]}}]}
      - {methods: [GET], path: /status, policies: [{public: {}}]}
"""
BY_PAGES = """
format: 1
providers:
  - {name: acme, issuer: "https://id.example.org", audiences: [orders], algorithms: [RS256]}
apis:
  - name: orders
    base_path: /orders
    upstream:
      targets: [{url: "https://orders.example.org"}]
    policies:
      - jwt: {providers: [acme], scopes: [read]}
    routes:
      - {methods: [GET, HEAD], path: "/items/{id}"}
"""
PAGES = ["apis_api", "apis_route", "apis_upstream", "apis_attachedpolicy"]


@pytest.fixture
def console() -> Console:
    return Console(superuser())


def private_key() -> str:
    """A new key in PEM form."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return pem.decode()


def canary(pem: str) -> str:
    """What a leak of the key would show."""
    return pem.splitlines()[1]


@pytest.fixture
def tls_key(operator: Any) -> str:
    """The key of the orders API's upstream, as its file holds it."""
    key = private_key()
    operator.write(key, "key.pem")
    return key


@pytest.fixture
def orders(operator: Any, tls_key: str, authority: str) -> Api:
    operator.write(authority, "cert.pem")
    assert operator.apply(ORDERS).status == 0
    return Api.objects.get()


def upstream() -> Upstream:
    made = Upstream.objects.create(name="backend")
    Target.objects.create(upstream=made, url="https://backend.example.org")
    return made


def add_policy(console: Console, kind: str, place: str = "", **entries: Any) -> Page:
    page = console.open("apis_attachedpolicy_add", query=f"kind={kind}&place={place}")
    return console.send(page, **{f"config_{name}": value for name, value in entries.items()})


@pytest.mark.parametrize("name", PAGES)
def test_A4_every_page_renders_under_a_policy_without_inline_code(
    console: Console, orders: Api, name: str
) -> None:
    model = {"apis_api": Api, "apis_route": Route, "apis_upstream": Upstream}.get(
        name, AttachedPolicy
    )
    pages = [console.open(f"{name}_changelist"), console.open(f"{name}_add")]
    for row in model._default_manager.all():
        pages += [
            console.open(f"{name}_{view}", row.pk) for view in ("change", "delete", "history")
        ]
    for page in pages:
        assert page.status == 200
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.inline == []


def test_the_way_to_a_protected_api_by_pages_alone(console: Console, operator: Any) -> None:
    add = console.open("oidc_clients_provider_add")
    console.send(
        add, name="acme", issuer="https://id.example.org", audiences="orders", algorithms="RS256"
    )
    add = console.open("apis_upstream_add")
    console.send(add, name="orders", targets__0__url="https://orders.example.org")
    add = console.open("apis_api_add")
    page = console.send(
        add, name="orders", base_path="/orders", upstream=str(Upstream.objects.get().pk)
    )
    assert page.url == reverse("admin:apis_api_change", args=[Api.objects.get().pk])
    assert "1 of 1 route refuses every call" in page.text
    add = console.open("apis_route_add", query=f"api={Api.objects.get().pk}")
    page = console.send(add, methods="GET HEAD", path="/items/{id}")
    assert "This route refuses every call" in page.text
    kinds = console.open("apis_attachedpolicy_add", query=f"place=api:{Api.objects.get().pk}")
    assert "Requires a token of an OpenID provider." in kinds.text
    page = add_policy(
        console, "jwt", f"api:{Api.objects.get().pk}", providers=["acme"], scopes="read"
    )
    assert page.url == reverse("admin:apis_api_change", args=[Api.objects.get().pk])
    assert "refuses every call" not in page.text
    assert yaml.safe_load(operator.export()) == yaml.safe_load(BY_PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_sent_as_it_opened_changes_nothing(
    console: Console, orders: Api, operator: Any, tls_key: str, name: str
) -> None:
    before = operator.export()
    model = {"apis_api": Api, "apis_route": Route, "apis_upstream": Upstream}.get(
        name, AttachedPolicy
    )
    for row in model._default_manager.all():
        page = console.send(console.open(f"{name}_change", row.pk))
        assert page.url != reverse(f"admin:{name}_change", args=[row.pk]) or page.status == 200
        assert "was changed successfully" in page.text
    assert operator.export() == before
    assert Upstream.objects.get().tls_key.reveal() == tls_key.strip()


@pytest.mark.parametrize(
    ("page", "entries", "field", "message"),
    [
        ("api", {"name": "Orders"}, "name", "lower-case"),
        ("api", {"hosts": "*\nAPI.example.org"}, "hosts", "entry 2: write a host in lower case"),
        ("api", {"hosts": ""}, "hosts", "required"),
        ("api", {"base_path": "orders"}, "base_path", "a path begins with a slash"),
        ("api", {"base_path": "/orders/"}, "base_path", "leave out the slash at the end"),
        ("api", {"openapi": "openapi: 2.0"}, "openapi", "in the OpenAPI document: "),
        ("route", {"methods": "get"}, "methods", "entry 1: write a method in capital letters"),
        ("route", {"path": "/a/{b"}, "path", "a parameter is a whole segment"),
        ("route", {"path": "/items/{other}"}, "", "has the same host, path and method"),
        ("route", {"websocket": "on", "methods": "POST"}, "websocket", "add GET to the methods"),
        ("upstream", {"read_timeout": "0"}, "read_timeout", "more than 0"),
        ("upstream", {"health_path": "", "health_interval": "5"}, "health_path", "is missing"),
        ("upstream", {"tls_ca": "no certificate"}, "tls_ca", "PEM"),
        ("upstream", {"targets__0__url": "ftp://x"}, "targets-0-url", "http"),
        (
            "upstream",
            {"targets__0__url": "http://10.0.0.1"},
            "",
            "10.0.0.1 may not be connected to",
        ),
        ("upstream", {"targets__0__DELETE": "on"}, "", "Give at least one target"),
        ("policy", {"config_scopes": "a b"}, "config_scopes", "entry 1: "),
        (
            "policy",
            {"config_audiences": "other"},
            "config_audiences",
            "none of these providers has",
        ),
        ("policy", {"name": "Bad Name"}, "name", "lower-case"),
    ],
)
def test_bad_input_is_told_at_its_field_and_nothing_is_changed(
    console: Console,
    orders: Api,
    operator: Any,
    page: str,
    entries: dict[str, str],
    field: str,
    message: str,
) -> None:
    rows = {
        "api": ("apis_api_change", orders.pk),
        "route": ("apis_route_change", orders.routes.last().pk),  # type: ignore[union-attr]
        "upstream": ("apis_upstream_change", orders.upstream_id),
        "policy": ("apis_attachedpolicy_change", orders.policies.get(kind="jwt").pk),
    }
    before, generation = operator.export(), operator.generation()
    answer = console.send(console.open(*rows[page]), **entries)
    assert answer.status == 200
    assert list(answer.errors) == [field], answer.errors
    assert message in " ".join(answer.errors[field])
    assert (operator.export(), operator.generation()) == (before, generation)
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize(
    ("file", "entries"),
    [
        ("scopes: [read], header: a_b", {"config_header": "a_b"}),
        ("scopes: [read], max_lifetime: 0", {"config_max_lifetime": "0"}),
        ("scopes: [read], audiences: [other]", {"config_audiences": "other"}),
        ("scopes: [read], claims: {a: {b: 1}}", {"config_claims": 'a: {"b": 1}'}),
        ("name: Main", {"name": "Main", "config_scopes": ""}),
    ],
)
def test_the_console_refuses_what_apply_config_refuses_in_the_same_words(
    console: Console, orders: Api, operator: Any, file: str, entries: dict[str, str]
) -> None:
    wrong = ORDERS.replace("[acme], scopes: [read]", f"[acme], {file}")
    problems = operator.apply(wrong).problems
    page = console.open("apis_attachedpolicy_change", orders.policies.get(kind="jwt").pk)
    answer = console.send(page, **entries)
    [[said]] = answer.errors.values()
    assert said.rpartition(": ")[2] == problems[0].rpartition(": ")[2]


def test_what_was_wrong_before_does_not_stand_in_the_way(console: Console, orders: Api) -> None:
    Route.objects.create(api=orders, methods=["GET"], path="/status")  # past every check
    page = console.open("apis_route_change", orders.routes.get(path="/items").pk)
    assert "was changed successfully" in console.send(page, path="/things").text


def test_a_broken_value_can_be_mended_though_it_hid_another_problem(
    console: Console, orders: Api
) -> None:
    Route.objects.create(api=orders, methods=["GET"], path="/status")
    wrong = Route.objects.create(api=orders, methods=["get"], path="/other")
    page = console.open("apis_route_change", wrong.pk)
    assert "The configuration cannot be read" in page.text
    assert "was changed successfully" in console.send(page, methods="GET").text


@pytest.mark.parametrize("how", ["page", "action"])
def test_what_is_still_needed_cannot_be_deleted(console: Console, orders: Api, how: str) -> None:
    provider = Provider.objects.get()
    if how == "page":
        page = console.open("oidc_clients_provider_delete", provider.pk)
        answer = console.send(page, post="yes")
    else:
        page = console.open("oidc_clients_provider_changelist")
        answer = console.send(
            page,
            "index",
            action="delete_selected",
            _selected_action=str(provider.pk),
            post="yes",
        )
    assert "no provider is called acme: add it to providers" in answer.text
    assert "deleted" not in answer.text
    assert Provider.objects.exists()
    assert LogEntry.objects.count() == 0


def test_an_api_that_says_nobody_may_call_is_kept_with_a_warning(console: Console) -> None:
    page = console.open("apis_api_add")
    answer = console.send(page, name="open", upstream=str(upstream().pk))
    assert "refuses every call" in answer.text
    assert reverse("admin:apis_attachedpolicy_add") + "?place=api:" in answer.text
    overview = console.open("index")
    assert NO_IDENTITY.replace("{}", "{}") in overview.text
    assert reverse("admin:apis_api_change", args=[Api.objects.get().pk]) in overview.text


def test_policies_in_force_stand_in_the_order_in_which_they_run(
    console: Console, orders: Api
) -> None:
    page = console.open("apis_api_change", orders.pk)
    shown = {
        (route.methods, route.path): [(policy.title, policy.source) for policy in route.policies]
        for route in page.context["routes"]
    }
    assert shown[("GET", "/orders/items/{id}")] == [
        ("rate_limit", "API"),  # by ip: before credentials
        ("jwt", "API"),
        ("security_headers", "global"),
    ]
    assert shown[("POST", "/orders/items")][1] == ("jwt", "this route")
    assert shown[("GET", "/orders/status")][1] == ("public", "this route")


def test_operations_of_an_openapi_document_are_shown_as_routes(console: Console) -> None:
    document = "openapi: 3.1.0\ninfo: {}\npaths: {/items: {get: {responses: {}}}}\n"
    page = console.open("apis_api_add")
    text = document.replace("\n", "\r\n")  # as a browser sends it
    answer = console.send(page, name="items", upstream=str(upstream().pk), openapi=text)
    assert [(item.methods, item.path) for item in answer.context["routes"]] == [("GET", "/items")]
    assert Api.objects.get().openapi == document


def test_a_policy_moves_and_is_placed_behind_the_others(console: Console, orders: Api) -> None:
    page = add_policy(console, "body_limit", f"api:{orders.pk}", max_bytes="10")
    policy = AttachedPolicy.objects.get(kind="body_limit")
    assert (policy.api, policy.position, policy.config) == (orders, 2, {"max_bytes": 10})
    assert page.url == reverse("admin:apis_api_change", args=[orders.pk])
    route = orders.routes.get(path="/items")
    page = console.open("apis_attachedpolicy_change", policy.pk)
    console.send(page, place=f"route:{route.pk}", mode="report", config_max_bytes="1048576")
    policy.refresh_from_db()
    assert (policy.api, policy.route, policy.mode, policy.config) == (None, route, "report", {})


def test_options_that_do_not_go_together_are_told_at_the_top(
    console: Console, orders: Api, operator: Any
) -> None:
    apart = {"limit": "1", "per": "2678400", "burst": "1000000000"}
    answer = add_policy(console, "rate_limit", **apart, by="ip")
    [said] = answer.errors[""]
    page = console.open("apis_attachedpolicy_change", orders.policies.get(kind="rate_limit").pk)
    answer = console.send(page, **{f"config_{name}": value for name, value in apart.items()})
    assert answer.errors == {"": [said]}
    wrong = ORDERS.replace(
        "{limit: 100, per: 60, by: ip}", "{limit: 1, per: 2678400, burst: 1000000000}"
    )
    assert operator.apply(wrong).problems[0].endswith(said)


def test_the_same_kind_twice_in_one_place_needs_a_name(console: Console, orders: Api) -> None:
    answer = add_policy(console, "body_limit", f"api:{orders.pk}")
    answer = add_policy(console, "body_limit", f"api:{orders.pk}")
    [said] = answer.errors[""]
    assert "give one of them a name of its own" in said


def test_a_kind_that_this_version_lacks_can_only_be_deleted(console: Console, orders: Api) -> None:
    odd = AttachedPolicy.objects.create(kind="from_the_future")
    page = console.browser.get(reverse("admin:apis_attachedpolicy_change", args=[odd.pk]))
    assert page["Location"] == reverse("admin:apis_attachedpolicy_delete", args=[odd.pk])
    console.send(console.open("apis_attachedpolicy_delete", odd.pk), post="yes")
    assert not AttachedPolicy.objects.filter(pk=odd.pk).exists()


def test_A1_a_private_key_is_written_and_never_shown(console: Console, orders: Api) -> None:
    kept = Upstream.objects.get().tls_key.reveal()
    pem = private_key()
    page = console.open("apis_upstream_change", orders.upstream_id)
    assert "stored: yes" in page.text
    console.send(page, tls_key=pem.replace("\n", "\r\n"))  # as a browser sends it
    assert Upstream.objects.get().tls_key.reveal() == pem.strip()
    page = console.open("apis_upstream_change", orders.upstream_id)
    refused = console.send(page, tls_key=pem, read_timeout="0")
    assert "read_timeout" in refused.errors
    console.send(refused, tls_key="", tls_cert="", read_timeout="15", tls_key_remove="on")
    assert not Upstream.objects.get().tls_key
    console.open("apis_upstream_history", orders.upstream_id)
    seen = [
        *console.shown,
        repr(list(LogEntry.objects.values())),
        repr(dict(console.browser.session)),
    ]
    for secret in (kept, pem):
        assert canary(secret) not in "".join(seen)


def test_members_of_staff_see_what_their_permissions_allow(
    orders: Api, django_user_model: type[User]
) -> None:
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_api"))
    console = Console(reader)
    assert "security_headers" in console.open("apis_api_change", orders.pk).text
    url = reverse("admin:apis_api_change", args=[orders.pk])
    assert console.browser.post(url, {"name": "x"}).status_code == 403
    for name in PAGES[1:]:
        assert console.browser.get(reverse(f"admin:{name}_changelist")).status_code == 403
    kinds = reverse("admin:apis_attachedpolicy_add")
    assert console.browser.get(kinds).status_code == 403


def test_the_bare_address_leads_to_the_console() -> None:
    assert Client().get("/")["Location"] == reverse("admin:index")


def test_nobody_sees_a_page_without_signing_in() -> None:
    for name in PAGES:
        answer = Client().get(reverse(f"admin:{name}_changelist"))
        assert answer["Location"].startswith(reverse("admin:login"))
