"""The console: Django's admin site with an overview and a judged configuration."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse

from accounts.site import SignInSite
from apis.counters_page import counters_page
from apis.health import judgement, refusing
from apis.models import Api, AttachedPolicy, Route
from apis.places import Located, locate
from oidc_clients.models import Client, Provider
from policies.admin import Judgement
from policies.core.config import Problem
from policies.core.limit import Limit
from policies.models import Generation
from policies.registry import KINDS

_ORDER = {
    "apis": ("Api", "Route", "AttachedPolicy", "Upstream"),
    "oidc_clients": ("Provider", "Client", "Revocation"),
    "policies": ("GatewayKey",),
}


class Tile(NamedTuple):
    """One figure of the overview."""

    figure: object
    what: str
    url: str = ""
    tone: str = ""


class Step(NamedTuple):
    """One step on the way to the first protected API."""

    what: str
    url: str
    done: bool


class ConsoleSite(SignInSite):
    """One instance for all pages; Django's ``admin.site`` is it."""

    site_header = "Gatehouse"
    site_title = "Gatehouse"
    index_title = "Overview"
    site_url = None  # what the public listener serves is not this site

    def judgement(self) -> Judgement:
        """See ``policies.admin``."""
        return judgement()

    def locate(self, problem: Problem) -> Located:
        """See ``apis.places``."""
        return locate(problem)

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The overview: health at a glance, what to do next, and the way to every page."""
        found = refusing()
        steps = list(_first_steps())
        context = {
            "tiles": list(_tiles(len(found))),
            "problems": found,
            "steps": steps,
            "steps_left": not all(step.done for step in steps),
            **(extra_context or {}),
        }
        return super().index(request, context)

    def get_urls(self) -> list[Any]:
        page = self.admin_view(self.counters)
        return [path("counters/", page, name="counters"), *super().get_urls()]

    def counters(self, request: HttpRequest) -> HttpResponse:
        """See ``apis.counters_page``."""
        return counters_page(request, self.each_context(request))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The models in the order in which one meets them, accounts at the end."""
        found = super().get_app_list(request, app_label)
        places = list(_ORDER)
        found.sort(key=lambda app: (_at(places, app["app_label"]), app["name"]))
        for app in found:
            names = _ORDER.get(app["app_label"], ())
            app["models"].sort(key=lambda model: (_at(names, model["object_name"]), model["name"]))
        return found


def _at(names: Any, name: str) -> int:
    return names.index(name) if name in names else len(names)


def _tiles(broken: int) -> Iterator[Tile]:
    generation = Generation.all_values().get(Generation.CONFIGURATION, 0)
    enabled = Provider.objects.filter(enabled=True).count()
    yield Tile(Api.objects.count(), "APIs", reverse("admin:apis_api_changelist"))
    yield Tile(Route.objects.count(), "routes", reverse("admin:apis_route_changelist"))
    yield Tile(enabled, "providers enabled", reverse("admin:oidc_clients_provider_changelist"))
    yield Tile(Client.objects.count(), "clients", reverse("admin:oidc_clients_client_changelist"))
    yield Tile(
        broken,
        "problem" if broken == 1 else "problems",
        "#problems" if broken else "",
        "is-bad" if broken else "is-good",
    )
    yield Tile(generation, "configuration generation")
    limiting = [name for name, kind in KINDS.items() if issubclass(kind, Limit)]
    count = AttachedPolicy.objects.filter(kind__in=limiting).count()
    yield Tile(count, "limits: see their counters", reverse("admin:counters"))


def _first_steps() -> Iterator[Step]:
    """The way to the first protected API."""
    yield Step(
        "Register the OpenID provider that issues the tokens",
        reverse("admin:oidc_clients_provider_add"),
        Provider.objects.exists(),
    )
    yield Step(
        "Register the API and the upstream it is carried to",
        reverse("admin:apis_api_add"),
        Api.objects.exists(),
    )
    yield Step(
        "Attach a policy that says who may call: jwt",
        reverse("admin:apis_attachedpolicy_add"),
        AttachedPolicy.objects.exists(),
    )
