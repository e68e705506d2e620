"""Forms of APIs, routes, upstreams and attached policies, drawn from ``apis.config``."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from apis import openapi
from apis.config import (
    ApiConfig,
    BreakerConfig,
    HealthConfig,
    RouteConfig,
    TargetConfig,
    TlsConfig,
    UpstreamConfig,
)
from apis.models import Api, AttachedPolicy, Route, Target, Upstream
from oidc_clients.models import Client, Provider
from policies.core.config import Options, option_names
from policies.drawing import option_field
from policies.entries import PolicyEntry
from policies.fields import SecretFormField, WordsField
from policies.forms import (
    PREFIX,
    ConfigurationForm,
    Members,
    entered,
    judged,
    part_field,
    policy_form,
)
from policies.registry import KINDS


class UpstreamForm(ConfigurationForm):
    """An upstream. Its health check and breaker are stored as one value each."""

    options = UpstreamConfig
    parts: ClassVar[dict[str, type[Options]]] = {
        "tls": TlsConfig,
        "health": HealthConfig,
        "breaker": BreakerConfig,
    }
    elsewhere = frozenset({"targets"})

    tls_key = SecretFormField(
        multiline=True,
        label="Client key",
        help_text="PEM, the private key of the certificate. Leave empty to keep the stored one.",
    )
    health_path = part_field(HealthConfig, "path")
    health_interval = part_field(HealthConfig, "interval")
    breaker_failures = part_field(BreakerConfig, "failures")
    breaker_window = part_field(BreakerConfig, "window")
    breaker_open_for = part_field(BreakerConfig, "open_for")

    class Meta:
        model = Upstream
        exclude = ("health", "breaker")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in ("health", "breaker"):
            for option, value in (getattr(self.instance, part) or {}).items():
                self.initial.setdefault(f"{part}_{option}", value)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        options = entered(self, self.members())
        self.instance.health = options.get("health")
        self.instance.breaker = options.get("breaker")
        return cleaned


class TargetForm(ConfigurationForm):
    options = TargetConfig

    class Meta:
        model = Target
        exclude = ()


class TargetFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The addresses of one upstream: at least one."""

    def clean(self) -> None:
        super().clean()
        if not any(self.errors) and len(self.deleted_forms) == len(self.forms):
            raise ValidationError("Give at least one target: where shall calls be carried?")


class ApiForm(ConfigurationForm):
    options = ApiConfig
    elsewhere = frozenset({"upstream", "policies", "routes"})

    class Meta:
        model = Api
        exclude = ()

    def clean_openapi(self) -> str:
        """An OpenAPI document must say which routes there are."""
        text = str(self.cleaned_data["openapi"])
        try:
            if text:
                openapi.routes(text)
        except openapi.DocumentRefused as error:
            raise ValidationError(
                [f"in the OpenAPI document: {problem}" for problem in error.problems]
            ) from error
        return text


class RouteForm(ConfigurationForm):
    options = RouteConfig
    elsewhere = frozenset({"policies"})

    methods = WordsField(
        required=False,
        label="Methods",
        help_text="In capital letters, with blanks between them: GET POST. Every method when left "
        "out. GET serves HEAD as well.",
    )

    class Meta:
        model = Route
        exclude = ("position",)
        labels = {"api": "API"}


class AttachedPolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """One policy of ``kind`` and where it is attached. ``attached_policy_form`` makes it whole."""

    kind: ClassVar[str]

    place = forms.ChoiceField(
        label="Attached to",
        required=False,
        help_text="The nearer to the call wins: a policy of a route replaces one of the same kind "
        "of its API, and that one replaces a global one.",
    )
    name = option_field(PolicyEntry, "name")
    mode = option_field(PolicyEntry, "mode")

    class Meta:
        model = AttachedPolicy
        fields = ("name", "mode")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["place"] = place_of(self.instance)
            for name, item in self.instance.config.items():
                self.initial.setdefault(PREFIX + name, item)
        self.fields["place"].choices = places()  # type: ignore[attr-defined]
        for option, model in (("providers", Provider), ("clients", Client)):
            if PREFIX + option in self.fields:
                self._choose(PREFIX + option, model)
        if PREFIX + "provider" in self.fields:
            self._choose_one(PREFIX + "provider", Provider)

    def _choose(self, name: str, model: type[Provider] | type[Client]) -> None:
        """Let an option that names registered ones be chosen instead of typed."""
        field = self.fields[name]
        names = list(model.objects.values_list("name", flat=True))
        gone = [item for item in self.initial.get(name, ()) if item not in names]
        self.fields[name] = forms.MultipleChoiceField(
            choices=[(item, item) for item in names + gone],
            widget=forms.CheckboxSelectMultiple,
            required=field.required,
            label=field.label,
            help_text=field.help_text.removesuffix(" One per line."),
        )

    def _choose_one(self, name: str, model: type[Provider]) -> None:
        """The same for an option that names one."""
        field = self.fields[name]
        names = list(model.objects.values_list("name", flat=True))
        held = self.initial.get(name, "")
        gone = [held] if held and held not in names else []
        self.fields[name] = forms.ChoiceField(
            choices=[("", "---------"), *((item, item) for item in names + gone)],
            required=field.required,
            label=field.label,
            help_text=field.help_text,
        )

    @classmethod
    def members(cls) -> Members:
        """Where each option stands below the policy: its own, and those that every policy takes."""
        names = option_names(KINDS[cls.kind].Config)
        return {("name",): "name", ("mode",): "mode", **{(n,): PREFIX + n for n in names}}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        below = {(self.kind, *place): name for place, name in self.members().items()}
        what = {self.kind: {}, **entered(self, below)}
        entry = judged(self, PolicyEntry, what, self.members() | below)
        if isinstance(entry, PolicyEntry):
            self.instance.kind = entry.kind
            self.instance.config = entry.options
        self.instance.api, self.instance.route = attached_to(self.cleaned_data.get("place", ""))
        return cleaned


def attached_policy_form(kind: str) -> type[AttachedPolicyForm]:
    """The form of a policy of ``kind``, its options among the fields."""
    options = policy_form(KINDS[kind]).base_fields
    return type(f"{kind}_form", (AttachedPolicyForm,), {"kind": kind, **options})


def places() -> list[tuple[str, Any]]:
    """Everything a policy can be attached to, as choices of ``place``."""
    apis = [(f"api:{api.pk}", f"API {api}") for api in Api.objects.all()]
    routes = [
        (f"route:{route.pk}", f"route {route}") for route in Route.objects.select_related("api")
    ]
    everywhere = [("", "every route of every API (global)")]
    return everywhere + [
        (label, some) for label, some in (("APIs", apis), ("Routes", routes)) if some
    ]


def place_of(policy: AttachedPolicy) -> str:
    """The choice that stands for where ``policy`` is attached."""
    if policy.route_id:
        return f"route:{policy.route_id}"
    return f"api:{policy.api_id}" if policy.api_id else ""


def attached_to(place: str) -> tuple[Api | None, Route | None]:
    """The API or the route that a choice stands for; neither: global."""
    level, _, pk = place.partition(":")
    if level == "api":
        return Api.objects.get(pk=pk), None
    return None, Route.objects.get(pk=pk) if level == "route" else None
