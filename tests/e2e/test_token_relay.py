"""A client gets a JWT through the gateway, calls the API with it, and the upstream answers."""

import json
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import Backend, Start
from tests.e2e.documents import acme, bearer, standard
from tests.e2e.gateway import Gateway
from tests.e2e.provider import PASSWORD, USER, Provider, basic, secret
from tests.e2e.raw import Answer
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def gateway(start: Start, provider: Provider, upstream: Upstream, backend: Backend) -> Gateway:
    document = standard(provider, upstream)
    machines = acme(provider, name="machines", grants=["client_credentials"], client=None)
    document["providers"].append({k: v for k, v in machines.items() if v is not None})
    return start(document, {**backend(), "GATEHOUSE_RELAY_RATE": "1000/m"}, only=None)


def _token(gateway: Gateway, form: dict[str, str], **headers: str) -> Answer:
    body = urlencode(form).encode()
    return gateway.call("POST", "/auth/acme/token", {**FORM, **headers}, body)


def _password_form(**changes: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": USER, "password": PASSWORD, "scope": "read"}
    return {**form, **changes}


def _client_credentials(gateway: Gateway) -> Answer:
    form = {"grant_type": "client_credentials", "scope": "read"}
    return _token(gateway, form, Authorization=basic("service", secret("service")))


def _in_the_body(gateway: Gateway) -> Answer:
    form = {"grant_type": "client_credentials", "scope": "read"}
    client = {"client_id": "service", "client_secret": secret("service")}
    return _token(gateway, {**form, **client})


def _password(gateway: Gateway) -> Answer:
    return _token(gateway, _password_form())


def _json(gateway: Gateway) -> Answer:
    body = json.dumps(_password_form()).encode()
    return gateway.call("POST", "/auth/acme/token", {"Content-Type": "application/json"}, body)


def _refresh(gateway: Gateway) -> Answer:
    first = _password(gateway).json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    return _token(gateway, form)


@pytest.mark.parametrize(
    ("grant", "subject"),
    [
        (_client_credentials, "service"),
        (_in_the_body, "service"),
        (_password, USER),
        (_json, USER),
        (_refresh, USER),
    ],
)
def test_a_token_by_each_grant_opens_the_api(
    gateway: Gateway, upstream: Upstream, grant, subject: str
) -> None:
    answer = grant(gateway)
    assert answer.status == 200, answer.body
    assert answer.get("cache-control") == "no-store"
    assert answer.get("content-type").startswith("application/json")
    assert answer.get("x-request-id")
    token = answer.json()["access_token"]
    assert answer.json()["token_type"] == "Bearer"

    upstream.clear()
    answer = gateway.call("GET", "/orders/items/7?q=%2F&q=2", bearer(token))
    assert answer.status == 200, answer.body
    assert answer.get("x-request-id")
    (seen,) = upstream.seen()
    assert seen.target == "/items/7?q=%2F&q=2"
    assert seen.all("x-subject") == [subject]
    assert seen.all("authorization") == []
    assert seen.all("x-request-id") == [answer.get("x-request-id")]
    assert token not in str(seen.fields)


def test_the_gateways_own_client_never_gets_a_token_for_nobody(gateway: Gateway) -> None:
    answer = _token(gateway, {"grant_type": "client_credentials"})
    assert answer.status == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.get("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        (_password_form(password="wrong"), {}, 400, "invalid_grant"),
        (_password_form(scope="admin"), {}, 400, "invalid_scope"),
        ({"grant_type": "refresh_token", "refresh_token": "none"}, {}, 400, "invalid_grant"),
        ({"grant_type": "urn:unheard-of"}, {}, 400, "unsupported_grant_type"),
        ({"username": USER}, {}, 400, "invalid_request"),
        (
            {"grant_type": "client_credentials"},
            {"Authorization": basic("service", "wrong")},
            401,
            "invalid_client",
        ),
    ],
    ids=["password", "scope", "refresh", "grant", "no-grant", "client"],
)
def test_errors_of_the_relay_are_those_of_oauth(
    gateway: Gateway, form: dict[str, str], headers: dict[str, str], status: int, error: str
) -> None:
    answer = _token(gateway, form, **headers)
    assert (answer.status, answer.json()["error"]) == (status, error)
    assert answer.get("cache-control") == "no-store"
    assert answer.get("x-request-id")
    if status == 401 and "Authorization" in headers:
        assert answer.get("www-authenticate")


def test_a_grant_that_the_provider_does_not_list_is_not_relayed(
    gateway: Gateway, provider: Provider
) -> None:
    before = provider.hits("/token")
    body = urlencode(_password_form()).encode()
    answer = gateway.call("POST", "/auth/machines/token", FORM, body)
    assert answer.status == 400
    assert answer.json()["error"] in ("unauthorized_client", "unsupported_grant_type")
    assert provider.hits("/token") == before


def test_an_unknown_provider_has_no_token_endpoint(gateway: Gateway) -> None:
    body = urlencode(_password_form()).encode()
    assert gateway.call("POST", "/auth/nobody/token", FORM, body).status == 404


def test_D7_a_provider_that_fails_is_not_the_clients_fault(
    gateway: Gateway, provider: Provider
) -> None:
    try:
        for mode in ("down", "500", "garbage", "html"):
            provider.fault(mode, "/token")
            answer = _token(gateway, _password_form())
            assert answer.status in (502, 503), (mode, answer.body)
            assert answer.json()["error"] in ("server_error", "temporarily_unavailable")
    finally:
        provider.fault("none")
    assert _token(gateway, _password_form()).status == 200


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/auth/../admin/", "/auth/acme"])
def test_A3_the_console_is_not_reached_through_the_public_listener(
    gateway: Gateway, path: str
) -> None:
    assert gateway.call("GET", path).status == 404
    console = f"127.0.0.1:{gateway.console_port}"
    assert gateway.call("GET", path, host=console).status == 404


def test_the_relay_is_limited_by_account_whatever_the_worker(
    start: Start, provider: Provider, upstream: Upstream, backend: Backend
) -> None:
    limited = start(
        standard(provider, upstream), {**backend(), "GATEHOUSE_RELAY_RATE": "5/h"}, only=None
    )
    statuses = [_token(limited, _password_form(password="guess")).status for _ in range(9)]
    assert statuses == [400] * 5 + [429] * 4
    refused = _token(limited, _password_form())
    assert refused.status == 429
    assert int(refused.get("retry-after")) >= 1


def test_B4_no_secret_is_logged(gateway: Gateway) -> None:
    """Runs last: everything above has been logged."""
    token = _password(gateway).json()["access_token"]
    gateway.call("GET", "/orders/items", bearer(token))
    logged = gateway.log(20000) + gateway.access_log()
    for canary in (secret("gateway"), secret("service"), PASSWORD, token.split(".")[2]):
        assert canary not in logged
