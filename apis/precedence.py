"""Which policies hold on a route: global, the API's and its own, the nearer before the farther.

The rules, in the order they are applied:

1. A policy replaces one of the same kind and name of a farther level.
2. The identity kinds count as one: where a level has any of them enforced, those of all
   farther levels are gone.
3. An identity policy in mode ``report`` or ``off`` counts as none: it replaces no enforced
   one, so that switching ``jwt`` off on a route does not open what the API protects.
"""

from collections.abc import Sequence
from typing import NamedTuple

from apis.config import ApiConfig, RouteConfig
from policies.entries import PolicyEntry


class Effective(NamedTuple):
    """A policy in force on a route, and the place it is attached to."""

    entry: PolicyEntry
    scope: str  # "global", "api:orders" or "route:orders GET /items/{id}"


def route_name(api: str, route: RouteConfig) -> str:
    """What logs, metrics and ``explain`` call a route: ``orders GET /items/{id}``."""
    return f"{api} {' '.join(route.methods) or 'ANY'} {route.path}"


def whole_api() -> RouteConfig:
    """The route of an API that lists none: its whole base path, every method."""
    return RouteConfig(path="/{rest*}")


def effective_policies(
    everywhere: Sequence[PolicyEntry], api: ApiConfig, route: RouteConfig
) -> list[Effective]:
    """The policies in force on ``route``, those of the farther levels first."""
    levels = [
        [Effective(entry, "global") for entry in everywhere],
        [Effective(entry, f"api:{api.name}") for entry in api.policies],
        [Effective(entry, f"route:{route_name(api.name, route)}") for entry in route.policies],
    ]
    kept: list[Effective] = []
    for level in levels:
        kept = [item for item in kept if not _replaced(item, level)] + level
    return kept


def _replaced(item: Effective, nearer: list[Effective]) -> bool:
    """Whether a policy of a farther level gives way to one of ``nearer``."""
    if _proves(item) or item.entry.is_identity:
        if any(_proves(other) for other in nearer):
            return True
        if _proves(item):
            return False
    return any(_key(other) == _key(item) for other in nearer)


def _proves(item: Effective) -> bool:
    return item.entry.is_identity and item.entry.mode == "enforce"


def _key(item: Effective) -> tuple[str, str]:
    return item.entry.kind, item.entry.name
