"""What the pages of APIs and routes show beside their forms: the policies in force, in order."""

from collections.abc import Sequence
from typing import NamedTuple

from django.urls import reverse

from apis.config import ApiConfig, Document
from apis.describe import describe
from apis.models import Api, Route
from apis.precedence import route_name, whole_api
from apis.rehearsal import InForce, in_force
from apis.validation import NO_IDENTITY, problems
from policies.kinds.openapi import OpenApi
from policies.openapi.compiled import compile_document
from policies.openapi.document import DocumentRefused


class PolicyShown(NamedTuple):
    """A policy in force: what it is called, how it acts, where it comes from, when it runs."""

    title: str
    kind: str
    mode: str
    source: str
    phase: str


class RouteShown(NamedTuple):
    """A route with the policies in force on it, in the order in which they run."""

    name: str
    methods: str
    path: str
    websocket: bool
    policies: list[PolicyShown]
    refuses: bool  # nothing says who may call
    url: str  # empty: it has no row of its own
    attach_url: str


def routes_shown(api: Api) -> list[RouteShown]:
    """Every route of ``api``. Raises ``NotDescribable`` when the configuration cannot be read."""
    document = describe()
    config = next(item for item in document.apis if item.name == api.name)
    rows: list[Route | None] = list(api.routes.all())
    routes = config.routes or (whole_api(),)
    if not rows:
        rows = [None] * len(routes)
    refusing = _refusing(document)
    shown = []
    for row, route in zip(rows, routes, strict=True):
        name = route_name(config.name, route)
        level = f"route:{row.pk}" if row is not None else f"api:{api.pk}"
        shown.append(
            RouteShown(
                name=name,
                methods=" ".join(route.methods) or "any",
                path=full_path(config, route.path),
                websocket=route.websocket,
                policies=[_shown(item) for item in in_force(document, config, route)],
                refuses=name in refusing,
                url=reverse("admin:apis_route_change", args=[row.pk]) if row else "",
                attach_url=attach_url(level),
            )
        )
    return shown


class DocumentShown(NamedTuple):
    """An API's OpenAPI document: whether calls can be judged by it, and whether they are."""

    operations: int
    problems: list[str]
    notices: list[str]  # what of it is not looked into
    judges: bool


def document_shown(api: Api, routes: Sequence[RouteShown]) -> DocumentShown | None:
    """The document of ``api``; None when it has none. ``routes`` are those of ``routes_shown``."""
    if not api.openapi:
        return None
    judges = any(policy.kind == OpenApi.kind for route in routes for policy in route.policies)
    try:
        compiled = compile_document(api.openapi, answers=True)
    except DocumentRefused as error:
        return DocumentShown(0, [str(problem) for problem in error.problems], [], judges)
    notices = [str(notice) for notice in compiled.notices]
    return DocumentShown(compiled.operations, [], notices, judges)


def full_path(api: ApiConfig, path: str) -> str:
    """A route's path as clients write it."""
    return api.base_path.rstrip("/") + path


def attach_url(place: str) -> str:
    """Where a policy is attached at a place (``api:<id>``, ``route:<id>``; empty: global)."""
    url = reverse("admin:apis_attachedpolicy_add")
    return f"{url}?place={place}" if place else url


def _refusing(document: Document) -> set[str]:
    """Names of the routes on which nothing says who may call."""
    paths = {item.path for item in problems(document, ()) if item.message == NO_IDENTITY}
    return {
        route_name(api.name, route)
        for at, api in enumerate(document.apis)
        for number, route in enumerate(api.routes or (whole_api(),))
        if (f"apis[{at}].routes[{number}]" if api.routes else f"apis[{at}]") in paths
    }


def _shown(item: InForce) -> PolicyShown:
    entry, scope = item.effective
    level = scope.partition(":")[0]
    source = {"api": "API", "route": "this route"}.get(level, "global")
    return PolicyShown(entry.title, entry.kind, entry.mode, source, item.phase.name.lower())
