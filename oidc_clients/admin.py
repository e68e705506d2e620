"""Console pages of who may ask: providers with their keys, clients with theirs."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from oidc_clients import revocation_admin  # noqa: F401 - registers its page
from oidc_clients.browser.admin import SessionsPage
from oidc_clients.examine import examine
from oidc_clients.finding import Finding, fault
from oidc_clients.forms import (
    CertificateForm,
    CheckForm,
    ClientForm,
    IssueKeyForm,
    ProviderClientForm,
    ProviderForm,
    RotateKeyForm,
    SigningKeyForm,
)
from oidc_clients.issuing import issue
from oidc_clients.issuing import rotate as rotate_key
from oidc_clients.models import (
    ApiKey,
    Client,
    ClientCertificate,
    Provider,
    ProviderClient,
    ProviderKey,
    SigningKey,
)
from oidc_clients.rows import client_of, spec_of
from oidc_clients.tasks import rotate
from policies.admin import ConfigurationAdmin, ReadOnlyInline
from policies.fields import WRITE_ONLY
from policies.references import SecretUnreadable

PASSWORD_GRANT = (
    "The password grant is on: people type their password into the application that calls the "
    "gateway. OAuth 2.0 advises against it (RFC 9700, section 2.4). Prefer authorization_code, "
    "and take password off the grants when the last application has moved."
)


class ProviderClientInline(admin.StackedInline):  # type: ignore[type-arg]
    model = ProviderClient
    form = ProviderClientForm
    fields = ("client_id", "secret", "key", "key_id", "assertion_audience")
    formfield_overrides = WRITE_ONLY
    verbose_name = "own client at this provider"
    extra = 0
    max_num = 1


class ProviderKeyInline(ReadOnlyInline):
    model = ProviderKey
    fields = ("kid", "shape", "verdict", "reason", "fetched_at")
    readonly_fields = fields
    verbose_name_plural = "keys as they were last fetched"

    @admin.display(description="key")
    def shape(self, key: ProviderKey) -> str:
        """What kind of key it is; never the key itself, which might hold private members."""
        names = ("kty", "crv", "alg", "use")
        return " ".join(str(key.jwk[name])[:32] for name in names if key.jwk.get(name))

    @admin.display(description="verdict")
    def verdict(self, key: ProviderKey) -> str:
        if key.admitted:
            return format_html('<span class="tag good">{}</span>', "admitted")
        return format_html('<span class="tag bad">{}</span>', "refused")


@admin.register(Provider)
class ProviderAdmin(SessionsPage):
    form = ProviderForm
    inlines = (ProviderClientInline, ProviderKeyInline)
    list_display = ("name", "issuer", "enabled", "keys_known")
    list_filter = ("enabled",)
    search_fields = ("name", "issuer")
    actions = ("fetch_keys",)
    fieldsets = (
        (None, {"fields": ("name", "enabled", "issuer")}),
        ("Tokens", {"fields": ("audiences", "algorithms", "token_types", "leeway")}),
        ("Token relay", {"fields": ("grants", "scopes")}),
        (
            "Browser sign-in",
            {"fields": ("session_idle", "session_lifetime", "sign_in_parameters")},
        ),
        (
            "Shared secret, for HS256, HS384 and HS512 alone",
            {"classes": ("collapse",), "fields": ("shared_secret", "former_shared_secret")},
        ),
        (
            "Keys and claims, where the provider differs",
            {
                "classes": ("collapse",),
                "fields": (
                    "jwks_uri",
                    "static_keys",
                    "audience_claim",
                    "scope_claim",
                    "insecure_http",
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        admitted = Count("keys", filter=Q(keys__admitted=True))
        rows: QuerySet[Provider] = super().get_queryset(request)
        return rows.annotate(good=admitted, known=Count("keys"))

    @admin.display(description="keys admitted")
    def keys_known(self, provider: Any) -> str:
        return f"{provider.good} of {provider.known}"

    def get_urls(self) -> list[URLPattern]:
        fetch = require_POST(self.admin_site.admin_view(self.fetch_view))
        check = never_cache(self.admin_site.admin_view(self.check_view))
        name = "oidc_clients_provider"
        return [
            path("<uuid:pk>/fetch-keys/", fetch, name=f"{name}_fetch_keys"),
            path("<uuid:pk>/check/", check, name=f"{name}_check"),
            *super().get_urls(),
        ]

    def check_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Try the provider, and a sample token where one is given; say what was found."""
        provider = get_object_or_404(Provider.objects.select_related("client"), pk=pk)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        form = CheckForm(request.POST or None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": provider,
            "form": CheckForm(),  # always an empty one: a token is not shown again
            "title": f"Check {provider}",
        }
        if form.is_valid():
            context["findings"] = _found(provider, form.cleaned_data["token"])
        return TemplateResponse(request, "console/check_provider.html", context)

    def fetch_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The button on a provider's page."""
        provider = get_object_or_404(Provider, pk=pk)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        self.fetch_keys(request, Provider.objects.filter(pk=pk))
        return HttpResponseRedirect(reverse("admin:oidc_clients_provider_change", args=[pk]))

    @admin.action(description="Fetch keys now", permissions=["change"])
    def fetch_keys(self, request: HttpRequest, providers: QuerySet[Provider]) -> None:
        """Fetch the keys of some providers, and say what came of each."""
        rotations = rotate(providers)
        for rotation in rotations:
            if rotation.keys is None:
                said = f"Provider {rotation.provider}: no keys were fetched: {rotation.error}"
                self.message_user(request, said, messages.ERROR)
            else:
                entries = rotation.keys.entries
                admitted = sum(entry.key is not None for entry in entries)
                said = (
                    f"Provider {rotation.provider}: {admitted} of {len(entries)} keys admitted, "
                    f"{'changed' if rotation.changed else 'the same as before'}."
                )
                level = messages.SUCCESS if admitted else messages.WARNING
                self.message_user(request, said, level)
        if not rotations:
            said = "Nothing to fetch: the keys are part of the configuration."
            self.message_user(request, said, messages.INFO)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "password" in form.instance.grants:
            self.message_user(request, PASSWORD_GRANT, messages.WARNING)


def _found(provider: Provider, token: str) -> list[Finding]:
    try:
        spec = spec_of(provider, settings.ENVIRONMENT.allow_private_upstreams)
        client = client_of(provider)
    except (ValueError, SecretUnreadable) as error:
        return [fault("provider", str(error), "Mend the provider's settings first.")]
    sample = token.strip().encode() or None
    return list(examine(spec, client, provider.grants, sample))


class SigningKeyInline(admin.StackedInline):  # type: ignore[type-arg]
    model = SigningKey
    form = SigningKeyForm
    fields = ("key_id", "algorithm", "public_key", "secret")
    formfield_overrides = WRITE_ONLY
    extra = 0


class CertificateInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ClientCertificate
    form = CertificateForm
    fields = ("sha256", "san", "issuer")
    extra = 0


class ApiKeyInline(ReadOnlyInline):
    """Keys are issued, never edited; deleting one revokes it."""

    model = ApiKey
    fields = ("name", "begins", "allowed", "validity", "used", "created", "rotation")
    readonly_fields = fields
    can_delete = True
    verbose_name = "API key"
    verbose_name_plural = "API keys (delete one to revoke it)"

    @admin.display(description="begins with")
    def begins(self, key: ApiKey) -> str:
        return format_html("<code>{}…</code>", key.prefix) if key.prefix else "not shown"

    @admin.display(description="scopes")
    def allowed(self, key: ApiKey) -> str:
        return " ".join(key.scopes) or "none"

    @admin.display(description="expires")
    def validity(self, key: ApiKey) -> str:
        if key.expires is None:
            return "never"
        when = date_format(timezone.localtime(key.expires), "DATETIME_FORMAT")
        if key.expires <= timezone.now():
            return format_html('<span class="tag bad">expired</span> {}', when)
        return when

    @admin.display(description="last used")
    def used(self, key: ApiKey) -> str:
        if key.last_used is None:
            return "never"
        return date_format(timezone.localtime(key.last_used), "DATETIME_FORMAT")

    @admin.display(description="")
    def rotation(self, key: ApiKey) -> str:
        url = reverse("admin:oidc_clients_client_rotate_key", args=[key.client_id, key.pk])
        return format_html('<a href="{}">Rotate</a>', url)


@admin.register(Client)
class ClientAdmin(ConfigurationAdmin):
    form = ClientForm
    inlines = (ApiKeyInline, CertificateInline, SigningKeyInline)
    fields = ("name", "enabled")
    list_display = ("name", "enabled", "keys_held")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        held = {
            "api": Count("api_keys", distinct=True),
            "sign": Count("signing_keys", distinct=True),
            "tls": Count("certificates", distinct=True),
        }
        rows: QuerySet[Client] = super().get_queryset(request)
        return rows.annotate(**held)

    @admin.display(description="API keys, signing keys, certificates")
    def keys_held(self, client: Any) -> str:
        return f"{client.api}, {client.sign}, {client.tls}"

    def get_urls(self) -> list[URLPattern]:
        issue = never_cache(self.admin_site.admin_view(self.issue_key_view))
        rotate = never_cache(self.admin_site.admin_view(self.rotate_key_view))
        name = "oidc_clients_client"
        return [
            path("<uuid:pk>/issue-key/", issue, name=f"{name}_issue_key"),
            path("<uuid:pk>/rotate-key/<uuid:key>/", rotate, name=f"{name}_rotate_key"),
            *super().get_urls(),
        ]

    def issue_key_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make an API key and show it, this once: only its digest is kept."""
        client = self._keyholder(request, pk)
        form = IssueKeyForm(client, request.POST or None)
        key = ""
        if form.is_valid() and form.config is not None:
            config = form.config
            with transaction.atomic():
                key = issue(client, config.name, config.scopes, config.expires)
                self.log_change(request, client, f"Issued API key {config.name}.")
        return self._key_page(request, client, form, key, "Issue", f"an API key to {client}")

    def rotate_key_view(self, request: HttpRequest, pk: UUID, key: UUID) -> HttpResponse:
        """Make the key that takes the place of another one, and show it, this once."""
        client = self._keyholder(request, pk)
        former = get_object_or_404(ApiKey, pk=key, client=client)
        form = RotateKeyForm(request.POST or None)
        made = ""
        if form.is_valid():
            with transaction.atomic():
                made = rotate_key(former, timedelta(hours=form.cleaned_data["overlap"]))
                self.log_change(request, client, f"Rotated API key {former.name}.")
        what = f"the API key {former.name} of {client}"
        return self._key_page(request, client, form, made, "Rotate", what)

    def _keyholder(self, request: HttpRequest, pk: UUID) -> Client:
        """The client, for somebody who may give it keys. Raises ``PermissionDenied``."""
        client = get_object_or_404(Client, pk=pk)
        if not (
            self.has_change_permission(request, client)
            and request.user.has_perm("oidc_clients.add_apikey")
        ):
            raise PermissionDenied
        return client

    def _key_page(
        self, request: HttpRequest, client: Client, form: Form, key: str, verb: str, what: str
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": client,
            "form": form,
            "key": key,
            "verb": verb,
            "title": f"The new API key of {client}" if key else f"{verb} {what}",
        }
        return TemplateResponse(request, "console/issue_key.html", context)
