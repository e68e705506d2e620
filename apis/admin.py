"""Console pages of what is exposed: APIs, routes, upstreams and the policies attached to them."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from apis.describe import NotDescribable
from apis.forms import (
    ApiForm,
    AttachedPolicyForm,
    RouteForm,
    TargetForm,
    TargetFormSet,
    UpstreamForm,
    attached_policy_form,
)
from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from apis.pages import attach_url, document_shown, routes_shown
from policies.admin import ConfigurationAdmin
from policies.core.config import option_names
from policies.forms import PREFIX
from policies.registry import KINDS


class TargetInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Target
    form = TargetForm
    formset = TargetFormSet
    fields = ("url", "weight")
    extra = 0
    min_num = 1


@admin.register(Upstream)
class UpstreamAdmin(ConfigurationAdmin):
    form = UpstreamForm
    inlines = (TargetInline,)
    list_display = ("name", "targets_shown", "used_by")
    search_fields = ("name", "targets__url")
    fieldsets = (
        (None, {"fields": ("name", "host", "retries")}),
        (
            "Time-outs, in seconds",
            {
                "classes": ("collapse",),
                "fields": (
                    "connect_timeout",
                    "read_timeout",
                    "write_timeout",
                    "total_timeout",
                    "idle_timeout",
                ),
            },
        ),
        (
            "TLS to https targets",
            {
                "classes": ("collapse",),
                "fields": ("tls_ca", "tls_server_name", "tls_cert", "tls_key"),
            },
        ),
        (
            "Health check",
            {
                "classes": ("collapse",),
                "description": "Without a path there is no active check.",
                "fields": ("health_path", "health_interval"),
            },
        ),
        (
            "Breaker",
            {
                "classes": ("collapse",),
                "description": "With all of its fields empty there is none.",
                "fields": ("breaker_failures", "breaker_window", "breaker_open_for"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upstream]:
        return super().get_queryset(request).prefetch_related("targets", "apis")

    @admin.display(description="targets")
    def targets_shown(self, upstream: Upstream) -> str:
        return ", ".join(target.url for target in upstream.targets.all())

    @admin.display(description="used by")
    def used_by(self, upstream: Upstream) -> str:
        return ", ".join(api.name for api in upstream.apis.all()) or "no API yet"


class RoutesPage(ConfigurationAdmin):
    """A page that also shows which policies hold, and warns where nothing says who may call."""

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        obj = kwargs.get("obj")
        if obj is not None:
            context |= self._shown(obj)
        return super().render_change_form(request, context, **kwargs)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Straight to the page of what was added: its next steps stand there."""
        return HttpResponseRedirect(
            reverse(f"admin:apis_{self.opts.model_name}_change", args=[obj.pk])
        )

    def _shown(self, obj: Any) -> dict[str, Any]:
        api, route = (obj.api, obj) if isinstance(obj, Route) else (obj, None)
        level = f"route:{route.pk}" if route else f"api:{api.pk}"
        own = {"own_policies": obj.policies.all(), "attach_url": attach_url(level)}
        try:
            shown = routes_shown(api)
        except NotDescribable as error:
            return {**own, "unreadable": error.problems}
        if route is None:
            own["document"] = document_shown(api, shown)
        else:
            url = reverse("admin:apis_route_change", args=[route.pk])
            shown = [item for item in shown if item.url == url]
        return {**own, "routes": shown, "refusing": [item for item in shown if item.refuses]}


@admin.register(Api)
class ApiAdmin(RoutesPage):
    form = ApiForm
    list_display = ("name", "base_path", "hosts_shown", "upstream", "routes_count")
    list_select_related = ("upstream",)
    search_fields = ("name", "base_path")
    fieldsets = (
        (None, {"fields": ("name", "upstream")}),
        ("Where it is reached", {"fields": ("hosts", "base_path", "strip_base_path")}),
        ("OpenAPI document", {"classes": ("collapse",), "fields": ("openapi",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Api]:
        return super().get_queryset(request).prefetch_related("routes")

    @admin.display(description="hosts")
    def hosts_shown(self, api: Api) -> str:
        return ", ".join(api.hosts)

    @admin.display(description="routes")
    def routes_count(self, api: Api) -> str:
        count = len(api.routes.all())
        return str(count) if count else ("from OpenAPI" if api.openapi else "the whole base path")


@admin.register(Route)
class RouteAdmin(RoutesPage):
    form = RouteForm
    fields = ("api", "methods", "path", "websocket")
    list_display = ("path_shown", "methods_shown", "api", "policies_shown")
    list_filter = ("api", "websocket")
    list_select_related = ("api",)
    search_fields = ("path", "api__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        return super().get_queryset(request).prefetch_related("policies")

    def save_model(self, request: HttpRequest, obj: Route, form: Any, change: bool) -> None:
        if not change:
            obj.position = _next_position(obj.api.routes.all())
        super().save_model(request, obj, form, change)

    @admin.display(description="path", ordering="path")
    def path_shown(self, route: Route) -> str:
        return route.api.base_path.rstrip("/") + route.path

    @admin.display(description="methods")
    def methods_shown(self, route: Route) -> str:
        return " ".join(route.methods) or "any"

    @admin.display(description="policies of its own")
    def policies_shown(self, route: Route) -> str:
        return ", ".join(str(policy) for policy in route.policies.all())


@admin.register(AttachedPolicy)
class AttachedPolicyAdmin(ConfigurationAdmin):
    """The kind is chosen first; the form is then drawn from its options."""

    form = AttachedPolicyForm
    list_display = ("__str__", "attached_to", "kind", "mode")
    list_filter = ("kind", "mode", "api")
    list_select_related = ("api", "route__api")
    search_fields = ("kind", "name", "api__name", "route__path")

    @admin.display(description="attached to")
    def attached_to(self, policy: AttachedPolicy) -> str:
        return str(policy.route or policy.api or "everything (global)")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.GET.get("kind") in KINDS:
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Choose what the policy shall do",
            "kinds": [(name, kind.summary) for name, kind in sorted(KINDS.items())],
            "place": request.GET.get("place", ""),
        }
        return TemplateResponse(request, "console/policy_kinds.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        policy = self.get_object(request, object_id)
        if policy is None or policy.kind in KINDS:
            return super().change_view(request, object_id, form_url, extra_context)
        message = f"This version knows no kind {policy.kind}: the policy can only be deleted."
        self.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:apis_attachedpolicy_delete", args=[object_id]))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = KINDS[self._kind(request, obj)]
        options = [PREFIX + name for name in option_names(kind.Config)]
        found = [(f"{kind.kind}: {kind.summary}", {"fields": options or ()})] if options else []
        return [(None, {"fields": ("place", "mode", "name")}), *found]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        kwargs["form"] = attached_policy_form(self._kind(request, obj))
        return super().get_form(request, obj, change, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: AttachedPolicy, form: Any, change: bool
    ) -> None:
        if not change:
            level = AttachedPolicy.objects.filter(api=obj.api, route=obj.route)
            obj.position = _next_position(level)
        super().save_model(request, obj, form, change)

    def response_post_save_add(
        self, request: HttpRequest, obj: AttachedPolicy
    ) -> HttpResponseRedirect:
        return self._back(request, obj)

    def response_post_save_change(
        self, request: HttpRequest, obj: AttachedPolicy
    ) -> HttpResponseRedirect:
        return self._back(request, obj)

    def _back(self, request: HttpRequest, obj: AttachedPolicy) -> HttpResponseRedirect:
        """To the page of what the policy is attached to."""
        place = obj.route or obj.api
        if place is None:
            return super().response_post_save_change(request, obj)
        name = f"admin:apis_{place._meta.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[place.pk]))

    def _kind(self, request: HttpRequest, obj: AttachedPolicy | None) -> str:
        return obj.kind if obj is not None else request.GET["kind"]


def _next_position(level: Any) -> int:
    """The position behind all of one level."""
    last = level.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1
