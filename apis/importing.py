"""An OpenAPI document -> an API with its operations as routes, and calls judged by it.

What a route is known by is its methods and path. The routes of the document that was imported
before are the document's to change; every other route was made by hand and stays, and where
one of those serves an operation already, the operation gets no second route. Policies of
routes that persist are kept. The policy ``openapi`` comes with a new API only: on one that is
there already, routes made by hand may serve what the document does not describe.
"""

from dataclasses import dataclass

from apis import openapi
from apis.apply import Outcome, Refused, allowed_networks, by_name, change, new_problems
from apis.config import ApiConfig, Document, RouteConfig
from apis.syntax import template_shape
from apis.validation import NO_IDENTITY, problems
from policies.core.config import Problem
from policies.references import FileText


@dataclass(frozen=True, slots=True)
class Import:
    """What is imported: the document, the API's name, and the address that serves it."""

    document: FileText
    name: str
    upstream: str


def import_api(order: Import, *, dry_run: bool) -> tuple[Outcome, bool]:
    """Create or update the API; the flag says that nobody may call some of its routes yet.

    Raises ``openapi.DocumentRefused``, ``pydantic.ValidationError`` for a name or address that
    cannot be used.
    """
    operations = openapi.routes(order.document.text)
    fresh = ApiConfig.model_validate(
        {
            "name": order.name,
            "base_path": f"/{order.name}",
            "upstream": {"targets": [{"url": order.upstream}]},
            "openapi": order.document,
            "policies": [{"openapi": {}}],
            "routes": operations,
        }
    )
    closed = False

    def wanted(stored: Document) -> Document:
        nonlocal closed
        old = next((api for api in stored.apis if api.name == order.name), None)
        api = fresh if old is None else _updated(old, fresh)
        others = tuple(api for api in stored.apis if api.name != order.name)
        merged = stored.model_copy(update={"apis": (api, *others)})
        closed = any(_is_closed(problem) for problem in problems(merged, allowed_networks()))
        refused = [p for p in new_problems(stored, merged) if not _is_closed(p)]
        if refused:
            raise Refused(by_name(problem, merged) for problem in refused)
        return merged

    return change(wanted, dry_run=dry_run), closed


def _is_closed(problem: Problem) -> bool:
    """Whether it says that nobody may call a route of the imported API, which stands first."""
    return problem.message == NO_IDENTITY and problem.path.startswith("apis[0]")


def _updated(old: ApiConfig, fresh: ApiConfig) -> ApiConfig:
    """The API with the fresh document; all that the document does not say stays."""
    targets = old.upstream.targets
    if fresh.upstream.targets[0].url not in {target.url for target in targets}:
        targets = fresh.upstream.targets
    return old.model_copy(
        update={
            "upstream": old.upstream.model_copy(update={"targets": targets}),
            "openapi": fresh.openapi,
            "routes": _merged_routes(old, fresh.routes),
        }
    )


def _merged_routes(old: ApiConfig, operations: tuple[RouteConfig, ...]) -> tuple[RouteConfig, ...]:
    before = openapi.routes(old.openapi.text) if old.openapi is not None else ()
    imported = {_key(route) for route in before}
    wanted = {_key(route) for route in operations}
    staying = [r for r in old.routes if _key(r) in wanted or _key(r) not in imported]
    served = {key for route in staying for key in _served(route)}
    added = [r for r in operations if _served(r).isdisjoint(served) and not _whole(r, served)]
    return (*staying, *added)


def _key(route: RouteConfig) -> tuple[frozenset[str], str]:
    return frozenset(route.methods), route.path


def _served(route: RouteConfig) -> set[tuple[str, str]]:
    """Which method on which template; no method stands for all."""
    return {(method, template_shape(route.path)) for method in route.methods or ("",)}


def _whole(route: RouteConfig, served: set[tuple[str, str]]) -> bool:
    """Whether a route for every method has the operation's template."""
    return ("", template_shape(route.path)) in served
