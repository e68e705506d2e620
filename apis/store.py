"""Document -> rows: makes what is stored equal to a document, touching only what differs.

The caller holds the transaction, has checked the document, and counts the change.
"""

from collections.abc import Iterable
from typing import Any

from apis.config import ApiConfig, Document, RouteConfig, UpstreamConfig
from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from oidc_clients.store import (
    assign_secret,
    content,
    delete_clients,
    delete_providers,
    origins,
    save_clients,
    save_provider,
)
from policies.entries import PolicyEntry


def save(before: Document, after: Document) -> None:
    """Turn the stored configuration ``before`` into ``after``."""
    for config in _differing(before.providers, after.providers):
        save_provider(config)
    delete_clients(_gone(before.clients, after.clients))
    save_clients(_differing(before.clients, after.clients))
    if before.policies != after.policies:
        _replace_policies(AttachedPolicy.objects.filter(api=None, route=None), after.policies)
    _delete_apis(_gone(before.apis, after.apis))
    for config in _differing(before.apis, after.apis):
        _save_api(config)
    delete_providers(_gone(before.providers, after.providers))


def _differing(before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Any]:
    known = {item.name: item for item in before}
    return [item for item in after if known.get(item.name) != item]


def _gone(before: tuple[Any, ...], after: tuple[Any, ...]) -> set[str]:
    return {item.name for item in before} - {item.name for item in after}


def _delete_apis(names: Iterable[str]) -> None:
    apis = Api.objects.filter(name__in=list(names))
    upstreams = [api.upstream_id for api in apis]
    apis.delete()
    Upstream.objects.filter(id__in=upstreams, apis=None).delete()


def _save_api(config: ApiConfig) -> None:
    api = Api.objects.filter(name=config.name).select_related("upstream").first()
    upstream = _save_upstream(api, config)
    api = api or Api(name=config.name)
    api.upstream = upstream
    api.hosts = list(config.hosts)
    api.base_path = config.base_path
    api.strip_base_path = config.strip_base_path
    api.openapi = content(config.openapi)
    api.files = origins(openapi=config.openapi)
    api.save()
    _replace_policies(api.policies.all(), config.policies, api=api)
    _save_routes(api, config.routes)


def _save_upstream(api: Api | None, config: ApiConfig) -> Upstream:
    """The API's upstream; one that it shares with other APIs is left to them."""
    spec = config.upstream
    row = api.upstream if api is not None else None
    if row is not None and row.apis.count() > 1:
        row = None
    if row is None:
        row = Upstream(name=_free_name(config.name))
    _fill(row, spec)
    row.save()
    targets = [(target.url, target.weight) for target in spec.targets]
    if list(row.targets.values_list("url", "weight")) != targets:
        row.targets.all().delete()
        Target.objects.bulk_create(
            Target(upstream=row, url=url, weight=weight) for url, weight in targets
        )
    return row


def _fill(row: Upstream, spec: UpstreamConfig) -> None:
    for name in ("connect", "read", "write", "total", "idle"):
        setattr(row, f"{name}_timeout", getattr(spec, f"{name}_timeout"))
    row.host = spec.host or ""
    row.retries = spec.retries
    row.health = spec.health.model_dump() if spec.health else None
    row.breaker = spec.breaker.model_dump() if spec.breaker else None
    tls = spec.tls
    row.tls_ca = content(tls.ca if tls else None)
    row.tls_cert = content(tls.cert if tls else None)
    row.tls_server_name = (tls.server_name if tls else None) or ""
    row.files = origins(tls_ca=tls.ca, tls_cert=tls.cert) if tls else {}
    assign_secret(row, "tls_key", tls.key if tls else None)


def _free_name(name: str) -> str:
    """An upstream is called as its API, or so with a number if somebody else has that name."""
    taken = set(Upstream.objects.filter(name__startswith=name[:58]).values_list("name", flat=True))
    number = 2
    free = name
    while free in taken:
        free = f"{name[:58]}-{number}"
        number += 1
    return free


def _route_key(methods: Iterable[str], path: str) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(methods)), path


def _save_routes(api: Api, configs: tuple[RouteConfig, ...]) -> None:
    """A route that stays keeps its row: methods and path are what it is known by."""
    rows = {_route_key(row.methods, row.path): row for row in api.routes.all()}
    wanted = {_route_key(config.methods, config.path) for config in configs}
    staying = [row.id for key, row in rows.items() if key in wanted]
    api.routes.exclude(id__in=staying).delete()
    for position, config in enumerate(configs):
        row = rows.get(_route_key(config.methods, config.path)) or Route(api=api, path=config.path)
        row.methods = list(config.methods)
        row.position = position
        row.websocket = config.websocket
        row.save()
        _replace_policies(row.policies.all(), config.policies, route=row)


def _replace_policies(rows: Any, entries: tuple[PolicyEntry, ...], **owner: Any) -> None:
    wanted = [(entry.kind, entry.name, entry.mode, entry.options) for entry in entries]
    if list(rows.values_list("kind", "name", "mode", "config")) == wanted:
        return
    rows.delete()
    AttachedPolicy.objects.bulk_create(
        AttachedPolicy(position=position, kind=kind, name=name, mode=mode, config=options, **owner)
        for position, (kind, name, mode, options) in enumerate(wanted)
    )
