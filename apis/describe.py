"""Models -> Document: the stored configuration as it would stand in a file.

Secrets stay sealed, and are marked with where they came from if that is known. A text that
was read from a file is said to come from there as long as it is still what the file held. The
number of queries does not depend on how much is stored.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from django.db.models import Prefetch
from pydantic import ValidationError

from apis import openapi
from apis.config import ApiConfig, Document
from apis.models import Api, AttachedPolicy, Route, Upstream
from oidc_clients.credentials import ISSUED
from oidc_clients.models import (
    ApiKey,
    Client,
    ClientCertificate,
    Provider,
    ProviderClient,
    SigningKey,
)
from policies.core.config import Problem, problems_of
from policies.models import Generation
from policies.references import STORED, text_digest
from policies.secrets import SealedValue

# What of the document each generation counts.
SECTIONS = {
    Generation.CONFIGURATION: ("providers", "policies", "apis"),
    Generation.CREDENTIALS: ("clients",),
}


class NotDescribable(Exception):
    """What is stored is no valid configuration; every reason with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def describe(generation: str | None = None) -> Document:
    """The stored configuration, everything in a stable order; with the name of a generation
    only what that one counts.

    An API with an OpenAPI document and no routes of its own has the document's operations.
    Raises ``NotDescribable``.
    """
    members = SECTIONS[generation] if generation is not None else _SECTIONS
    data = {"format": 1, **{name: _SECTIONS[name]() for name in members}}
    try:
        document = Document.model_validate(data, context=STORED)
    except ValidationError as error:
        raise NotDescribable(problems_of(error)) from error
    apis = tuple(_with_operations(at, api) for at, api in enumerate(document.apis))
    return ordered(document.model_copy(update={"apis": apis}))


def ordered(document: Document) -> Document:
    """The same document with its named parts sorted by name: databases sort in many ways."""
    clients = [
        client.model_copy(
            update={
                "api_keys": tuple(sorted(client.api_keys, key=attrgetter("name"))),
                "signing_keys": tuple(sorted(client.signing_keys, key=attrgetter("id"))),
                "certificates": tuple(sorted(client.certificates, key=attrgetter("known_by"))),
            }
        )
        for client in document.clients
    ]
    sections = {"providers": document.providers, "clients": clients, "apis": document.apis}
    return document.model_copy(
        update={
            name: tuple(sorted(section, key=attrgetter("name")))
            for name, section in sections.items()
        }
    )


def _providers() -> list[dict[str, Any]]:
    return [_provider(row) for row in Provider.objects.select_related("client")]


def _clients() -> list[dict[str, Any]]:
    held = ("api_keys", "signing_keys", "certificates")
    return [_client(row) for row in Client.objects.prefetch_related(*held)]


def _global_policies() -> list[dict[str, Any]]:
    return _policies(AttachedPolicy.objects.filter(api=None, route=None))


def _apis() -> list[dict[str, Any]]:
    routes = Route.objects.prefetch_related("policies")
    rows = Api.objects.select_related("upstream").prefetch_related(
        "upstream__targets", "policies", Prefetch("routes", queryset=routes)
    )
    return [_api(row) for row in rows]


_SECTIONS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "providers": _providers,
    "clients": _clients,
    "policies": _global_policies,
    "apis": _apis,
}


def _with_operations(at: int, api: ApiConfig) -> ApiConfig:
    if api.routes or api.openapi is None:
        return api
    try:
        return api.model_copy(update={"routes": openapi.routes(api.openapi.text)})
    except openapi.DocumentRefused as error:
        raise NotDescribable(
            [
                Problem(path=f"apis[{at}].openapi", message=f"in the OpenAPI document: {problem}")
                for problem in error.problems
            ]
        ) from error


def _provider(provider: Provider) -> dict[str, Any]:
    client = getattr(provider, "client", None)
    return {
        "name": provider.name,
        "issuer": provider.issuer,
        "jwks_uri": provider.jwks_uri or None,
        "keys": provider.static_keys,
        "enabled": provider.enabled,
        "audiences": provider.audiences,
        "audience_claim": provider.audience_claim,
        "scope_claim": provider.scope_claim,
        "algorithms": provider.algorithms,
        "shared_secret": _secret(provider.shared_secret),
        "former_shared_secret": _secret(provider.former_shared_secret),
        "token_types": provider.token_types,
        "leeway": provider.leeway,
        "insecure_http": provider.insecure_http,
        "client": client and _own_client(client),
        "grants": provider.grants,
        "scopes": provider.scopes,
        "sign_in_parameters": provider.sign_in_parameters,
        "session_idle": provider.session_idle,
        "session_lifetime": provider.session_lifetime,
    }


def _own_client(client: ProviderClient) -> dict[str, Any]:
    return {
        "id": client.client_id,
        "secret": _secret(client.secret),
        "key": _secret(client.key),
        "key_id": client.key_id or None,
        "assertion_audience": client.assertion_audience,
    }


def _client(client: Client) -> dict[str, Any]:
    return {
        "name": client.name,
        "enabled": client.enabled,
        "api_keys": [_api_key(key) for key in client.api_keys.all()],
        "signing_keys": [_signing_key(key) for key in client.signing_keys.all()],
        "certificates": [_certificate(row) for row in client.certificates.all()],
    }


def _api_key(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "value": {
            "sealed": key.digest,
            "context": "digest",
            "issued": key.source == ISSUED,
            **_source(key.source),
        },
        "scopes": key.scopes,
        "expires": key.expires,
    }


def _signing_key(key: SigningKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "algorithm": key.algorithm,
        "public_key": _text(key.public_key, key.files.get("public_key")),
        "secret": _secret(key.secret),
    }


def _certificate(row: ClientCertificate) -> dict[str, str]:
    members = {"sha256": row.sha256, "san": row.san, "issuer": row.issuer}
    return {name: value for name, value in members.items() if value}


def _api(api: Api) -> dict[str, Any]:
    return {
        "name": api.name,
        "hosts": api.hosts or ["*"],
        "base_path": api.base_path,
        "strip_base_path": api.strip_base_path,
        "upstream": _upstream(api.upstream),
        "openapi": _text(api.openapi, api.files.get("openapi")),
        "policies": _policies(api.policies.all()),
        "routes": [_route(route) for route in api.routes.all()],
    }


def _route(route: Route) -> dict[str, Any]:
    return {
        "methods": route.methods,
        "path": route.path,
        "websocket": route.websocket,
        "policies": _policies(route.policies.all()),
    }


def _upstream(upstream: Upstream) -> dict[str, Any]:
    tls = {
        "ca": _text(upstream.tls_ca, upstream.files.get("tls_ca")),
        "cert": _text(upstream.tls_cert, upstream.files.get("tls_cert")),
        "key": _secret(upstream.tls_key),
        "server_name": upstream.tls_server_name or None,
    }
    return {
        "targets": [{"url": t.url, "weight": t.weight} for t in upstream.targets.all()],
        "connect_timeout": upstream.connect_timeout,
        "read_timeout": upstream.read_timeout,
        "write_timeout": upstream.write_timeout,
        "total_timeout": upstream.total_timeout,
        "idle_timeout": upstream.idle_timeout,
        "host": upstream.host or None,
        "tls": tls if any(value is not None for value in tls.values()) else None,
        "retries": upstream.retries,
        "health": upstream.health,
        "breaker": upstream.breaker,
    }


def _policies(rows: Any) -> list[dict[str, Any]]:
    return [{row.kind: {**row.config, **_members(row)}} for row in rows]


def _members(row: AttachedPolicy) -> dict[str, str]:
    members = {"mode": row.mode}
    return {**members, "name": row.name} if row.name else members


def _secret(value: SealedValue) -> dict[str, str] | None:
    if not value:
        return None
    return {"sealed": value.stored, "context": value.context, **_source(value.source)}


def _source(source: str) -> dict[str, str]:
    kind, _, name = source.partition(":")
    return {kind: name} if kind in ("env", "file") else {}


def _text(text: str, file: dict[str, str] | None) -> dict[str, str] | None:
    if not text:
        return None
    if file is None or text_digest(text) != file["sha256"]:
        return {"text": text}
    return {"text": text, "file": file["path"]}
