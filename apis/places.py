"""Where a problem is: from its place in the document to the object on a page of the console.

``apis[0].routes[2].policies[0].jwt.scopes`` is the third route's first policy; the console
calls it by its names, links to its page, and shows the problem at the field ``scopes``.
Places count objects in the order in which ``apis.describe`` writes them.
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from django.db.models import Model
from django.urls import reverse

from apis.models import Api, AttachedPolicy, Route
from oidc_clients.models import Client, Provider
from policies.core.config import Problem

Place = tuple[str | int, ...]
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class Located(NamedTuple):
    """A problem's object (None: none in particular), and the place below it."""

    problem: Problem
    subject: Model | None
    rest: Place

    @property
    def where(self) -> str:
        """The place as people call it: ``route orders GET /items: methods, entry 1``."""
        below = ", ".join(f"entry {s + 1}" if isinstance(s, int) else s for s in self.rest)
        if self.subject is None:
            return below
        name = called(self.subject)
        return f"{name}: {below}" if below else name

    @property
    def url(self) -> str:
        """The page on which the object is edited; empty when there is none."""
        if self.subject is None:
            return ""
        meta = self.subject._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[self.subject.pk])


def called(subject: Model) -> str:
    """An object as people call it: ``route orders GET /items``, ``policy jwt of API orders``."""
    if isinstance(subject, AttachedPolicy):
        owner = subject.route or subject.api
        return f"policy {subject} of {called(owner) if owner else 'everything'}"
    return f"{subject._meta.verbose_name} {subject}"


def locate(problem: Problem) -> Located:
    """The object and the rest of the place of a problem."""
    place = steps(problem.path)
    subject: Model | None = None
    while place:
        found = _next(subject, place)
        if found is None:
            break
        subject, taken = found
        place = place[taken:]
    return Located(problem, subject, place)


def steps(path: str) -> Place:
    """``apis[0].hosts[1]`` as ``("apis", 0, "hosts", 1)``."""
    return tuple(int(at) if at else name for at, name in _STEP.findall(path))


def _next(subject: Model | None, place: Place) -> tuple[Model, int] | None:
    """The object one level down and the number of steps to it; None at the end of the way."""
    step = place[0]
    if isinstance(subject, Api) and step == "upstream":
        return subject.upstream, 1
    below = _BELOW.get((type(subject) if subject is not None else None, str(step)))
    if below is None or len(place) < 2 or not isinstance(place[1], int):
        return None
    rows = list(below(subject))
    if place[1] >= len(rows):  # an operation of an OpenAPI document has no row of its own
        return None
    found = rows[place[1]]
    kind_follows = isinstance(found, AttachedPolicy) and place[2:3] == (found.kind,)
    return found, 3 if kind_follows else 2


def _by_name(rows: Any) -> list[Any]:
    """Sorted here: databases sort names in many ways."""
    return sorted(rows, key=attrgetter("name"))


_BELOW: dict[tuple[type[Model] | None, str], Callable[[Any], Any]] = {
    (None, "providers"): lambda _: _by_name(Provider.objects.all()),
    (None, "clients"): lambda _: _by_name(Client.objects.all()),
    (None, "policies"): lambda _: AttachedPolicy.objects.filter(api=None, route=None),
    (None, "apis"): lambda _: _by_name(Api.objects.select_related("upstream")),
    (Api, "routes"): lambda api: api.routes.all(),
    (Api, "policies"): lambda api: api.policies.all(),
    (Route, "policies"): lambda route: route.policies.all(),
}
