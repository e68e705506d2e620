"""``manage.py check``: what it says of the stored configuration and of the installation."""

from typing import Any

import pytest
from django.core.checks import Error, Tags, Warning, run_checks
from django.db import DatabaseError

from apis import checks
from apis.models import Api, Target, Upstream

pytestmark = pytest.mark.django_db

GOOD = """
format: 1
providers:
  - {name: acme, issuer: "https://id.example.org", audiences: [a], algorithms: [RS256]}
apis:
  - name: orders
    upstream: {targets: [{url: "https://orders.example.org"}]}
    policies: [{jwt: {providers: [acme]}}]
"""


def said() -> list[tuple[str | None, str]]:
    found = run_checks(tags=[Tags.database], databases=["default"])
    assert all(isinstance(item, Warning) and item.hint for item in found)
    return [(item.id, item.msg) for item in found]


def test_a_good_configuration_has_nothing_said_about_it(operator: Any) -> None:
    assert operator.apply(GOOD).status == 0
    assert said() == []


def test_a_database_without_tables_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api._meta, "db_table", "not_there_yet")
    assert said() == []


def test_a_database_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise DatabaseError("no such column")

    monkeypatch.setattr(checks, "refusing", fails)
    assert said() == [("apis.W004", "The configuration cannot be read: no such column")]


def test_what_refuses_calls_is_named(operator: Any) -> None:
    upstream = Upstream.objects.create(name="backend")
    Target.objects.create(upstream=upstream, url="https://backend.example.org")
    Api.objects.create(name="open", hosts=["*"], upstream=upstream)
    [(number, text)] = said()
    assert number == "apis.W001"
    assert text.startswith("API open: nothing here says who may call")


def test_a_route_whose_policies_cannot_be_made_is_named(operator: Any) -> None:
    assert operator.apply(GOOD).status == 0
    [api] = Api.objects.all()
    twice = {"headers": {"X-A": "sub", "x-a": "sub"}}
    api.policies.create(kind="forward_identity", config=twice)
    [(number, text)] = said()
    assert number == "apis.W001"
    assert text.startswith("API orders: orders ANY /{rest*}: forward_identity: ")


def test_D6_the_password_grant_is_warned_of_where_it_is_used(operator: Any) -> None:
    grants = GOOD.replace("[RS256]}", "[RS256], grants: [password]}")
    assert operator.apply(grants).status == 0
    assert said() == [("apis.W002", "provider acme: the password grant is relayed.")]
    off = grants.replace("[password]}", "[password], enabled: false}")
    assert operator.apply(off).status == 0
    assert said() == []


def test_a_provider_without_tls_is_warned_of(operator: Any) -> None:
    plain = GOOD.replace("https://id.example.org", "http://127.0.0.1:9").replace(
        "[RS256]}", "[RS256], insecure_http: true}"
    )
    assert operator.apply(plain).status == 0
    assert said() == [("apis.W003", "provider acme: is spoken to without TLS.")]


def test_A2_an_installation_that_would_not_start_is_an_error(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(
        update={"trusted_proxies": ("0.0.0.0/0",)}
    )
    found = {
        item.id: item
        for item in run_checks(tags=[Tags.security], include_deployment_checks=True)
        if str(item.id).startswith("gatewaysite.")
    }
    assert isinstance(found["gatewaysite.E001"], Error)
    assert "GATEHOUSE_CONSOLE_HOSTS" in found["gatewaysite.E001"].msg
    assert "GATEHOUSE_TRUSTED_PROXIES" in found["gatewaysite.W001"].msg
