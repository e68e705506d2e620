"""The commands an operator types, on an installation that serves."""

import json
import sqlite3
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Start
from tests.e2e.documents import api, bearer, document, protected, standard
from tests.e2e.gateway import Gateway
from tests.e2e.mint import Mint
from tests.e2e.provider import Provider, secret
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def installation(start: Start, provider: Provider, upstream: Upstream) -> Gateway:
    return start(standard(provider, upstream), workers=1)


@pytest.fixture
def gateway(installation: Gateway, provider: Provider, upstream: Upstream) -> Gateway:
    """The installation as it was at first."""
    installation.apply(standard(provider, upstream), "--prune")
    until(lambda: installation.call("GET", "/ws/x").status == 401, 5, "the first configuration")
    return installation


def test_apply_config_is_idempotent_shows_a_diff_and_prunes(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    path = str(gateway.write(standard(provider, upstream)))
    again = gateway.command("apply_config", path)
    assert again.code == 0, again.output
    changed = standard(provider, upstream)
    changed["apis"] = [a for a in changed["apis"] if a["name"] != "ws"]
    changed["apis"].append(api("added", upstream.url))
    path = str(gateway.write(changed))
    shown = gateway.command("apply_config", path, "--prune", "--dry-run")
    assert shown.code == 0, shown.output
    assert "added" in shown.output
    assert "ws" in shown.output
    assert secret("gateway") not in shown.output
    assert gateway.call("GET", "/added/id/1").status == 404
    assert gateway.command("apply_config", path).code == 0
    until(lambda: gateway.call("GET", "/added/id/1").status == 200, 5, "the new API")
    assert gateway.call("GET", "/ws/x").status == 401  # not named, so it stays
    assert gateway.command("apply_config", path, "--prune").code == 0
    until(lambda: gateway.call("GET", "/ws/x").status == 404, 5, "the pruned API")


def test_apply_config_lists_every_problem_by_its_path_and_changes_nothing(
    gateway: Gateway, upstream: Upstream
) -> None:
    bad = document(
        None,
        api("one", "ftp://127.0.0.1/x"),
        api("two", upstream.url, [{"rate_limit": {"limit": 0, "per": 60}}, {"public": {}}]),
        api("three", upstream.url, colour="red"),
    )
    before = gateway.command("export_config").output
    result = gateway.command("apply_config", str(gateway.write(bad)))
    assert result.code == 2
    for place in ("apis[0].upstream.targets[0].url", "apis[1].policies[0]", "apis[2].colour"):
        assert place in result.output, result.output
    assert "Traceback" not in result.output
    assert gateway.command("export_config").output == before


def test_A1_an_export_holds_no_secret_and_is_accepted_as_it_is(
    gateway: Gateway, start: Start, provider: Provider, upstream: Upstream
) -> None:
    exported = gateway.command("export_config")
    assert exported.code == 0
    assert secret("gateway") not in exported.output
    content = yaml.safe_load(exported.output)
    assert content["format"] == 1
    assert {a["name"] for a in content["apis"]} == {"orders", "open", "ws"}
    path = gateway.folder / "exported.yaml"
    path.write_text(exported.output)
    again = gateway.command("apply_config", str(path), "--prune")
    assert again.code == 0, again.output
    assert gateway.command("export_config").output == exported.output
    database = (gateway.folder / "data" / "gatehouse.sqlite3").read_bytes()
    assert secret("gateway").encode() not in database


def test_explain_tells_route_verdicts_and_upstream_and_sends_nothing(
    gateway: Gateway, upstream: Upstream, mint: Mint
) -> None:
    upstream.clear()
    token = mint.token()
    header = f"Authorization: Bearer {token}"
    told = gateway.command("explain", "GET", "/orders/items/7?q=1", "-H", header)
    assert told.code == 0, told.output
    for part in ("orders", "jwt", "carol", "/items/7?q=1", "x-subject"):
        assert part in told.output.lower(), told.output
    assert token not in told.output
    refused = gateway.command("explain", "POST", "/orders/write")
    assert "credentials_missing" in refused.output
    missing = gateway.command("explain", "GET", "/nowhere")
    assert "route_not_found" in missing.output
    assert upstream.counts()["heads"] == 0


def test_import_openapi_makes_routes_and_validators_and_is_idempotent(
    gateway: Gateway, provider: Provider, upstream: Upstream, mint: Mint
) -> None:
    path = gateway.folder / "shop.json"
    path.write_text(json.dumps(_shop()))
    arguments = ("import_openapi", str(path), "--api", "shop", "--upstream", upstream.url)
    assert gateway.command(*arguments, "--dry-run").code == 0
    assert "shop" not in gateway.command("export_config").output
    first = gateway.command(*arguments)
    assert first.code == 0, first.output
    exported = gateway.command("export_config").output
    assert gateway.command(*arguments).code == 0
    assert gateway.command("export_config").output == exported
    (imported,) = (a for a in yaml.safe_load(exported)["apis"] if a["name"] == "shop")
    assert {r["path"] for r in imported["routes"]} == {"/things", "/things/{id}"}

    # Imported routes say nothing about identity, so they refuse until a policy is attached.
    content = yaml.safe_load(exported)
    base = imported.get("base_path", "/")
    until(lambda: gateway.call("GET", f"{base}/things").status == 503, 5, "the refusing route")
    assert gateway.call("GET", f"{base}/things").code == "misconfigured"
    for item in content["apis"]:
        if item["name"] == "shop":
            assert item["policies"] == [{"openapi": {}}]
            item["policies"].append({"jwt": {"providers": ["acme"], "scopes": ["read"]}})
    again = gateway.folder / "again.yaml"
    again.write_text(yaml.safe_dump(content))
    assert gateway.command("apply_config", str(again)).code == 0
    target = f"{base}/things/7"
    until(lambda: gateway.call("GET", target, bearer(mint.token())).status == 200, 5, "the route")
    assert gateway.call("DELETE", target, bearer(mint.token())).code == "method_not_allowed"
    upstream.clear()
    told = gateway.call("GET", f"{target}?undeclared=1", bearer(mint.token()))
    assert told.json()["errors"] == [
        {"in": "query", "name": "undeclared", "message": "is not declared"}
    ]
    assert upstream.counts()["heads"] == 0


def _shop() -> dict[str, object]:
    answer = {"responses": {"200": {"description": "ok"}}}
    by_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "shop", "version": "1"},
        "paths": {
            "/things": {"get": answer, "post": answer},
            "/things/{id}": {"parameters": [by_id], "get": answer},
        },
    }


def test_B5_create_api_key_prints_the_key_alone_and_keeps_only_a_digest(
    gateway: Gateway,
) -> None:
    clients = {"format": 1, "clients": [{"name": "partner"}]}
    assert gateway.command("apply_config", str(gateway.write(clients))).code == 0
    made = gateway.command("create_api_key", "--client", "partner", "--scopes", "read")
    assert made.code == 0, made.output
    (key,) = made.output.split()
    assert len(key) >= 26
    assert key not in gateway.command("export_config").output
    assert key.encode() not in (gateway.folder / "data" / "gatehouse.sqlite3").read_bytes()


def test_rotate_secrets_keeps_every_secret_readable(
    start: Start, provider: Provider, upstream: Upstream
) -> None:
    gateway = start(standard(provider, upstream), workers=1)
    data = gateway.folder / "data"
    old = (data / "secret.key").read_text().strip()
    sealed = _sealed(data)
    gateway.environ["GATEHOUSE_SECRET_KEYS"] = f"a-new-key-of-at-least-some-length-0123456789,{old}"
    rotated = gateway.command("rotate_secrets")
    assert rotated.code == 0, rotated.output
    assert _sealed(data) != sealed
    gateway.environ["GATEHOUSE_SECRET_KEYS"] = "a-new-key-of-at-least-some-length-0123456789"
    assert gateway.command("rotate_secrets").code == 0


def _sealed(data: Path) -> str:
    with sqlite3.connect(data / "gatehouse.sqlite3") as database:
        (stored,) = database.execute("select secret from oidc_clients_providerclient").fetchone()
    return str(stored)


def test_a_broken_route_refuses_and_the_others_serve(
    gateway: Gateway, provider: Provider, upstream: Upstream
) -> None:
    """F5: a provider that is switched off leaves its routes refusing its tokens, not open."""
    off = standard(provider, upstream)
    off["providers"][0]["enabled"] = False
    token = provider.token()
    assert gateway.call("GET", "/orders/id/1", bearer(token)).status == 200
    gateway.apply(off)
    until(
        lambda: gateway.call("GET", "/orders/id/1", bearer(token)).code == "token_issuer",
        5,
        "the provider to be off",
    )
    assert gateway.call("GET", "/open/id/1").status == 200


def test_a_route_without_identity_does_not_go_into_service(
    gateway: Gateway, upstream: Upstream
) -> None:
    naked = protected("naked", upstream.url)
    naked["policies"] = [{"body_limit": {}}]
    result = gateway.command("apply_config", str(gateway.write(document(None, naked))))
    assert result.code == 2
    assert "identity" in result.output
    assert "public" in result.output
