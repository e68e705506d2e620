"""Console pages of who may use the console: the provider and its roles, accounts, identities."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from accounts import second_factor
from accounts.models import ConsoleIdentity, ConsoleRole, ConsoleSignIn, the_one
from accounts.views import redirect_uri
from policies.fields import WRITE_ONLY, LinesField, PairsField

PROVIDER_FIELDS = (
    "provider", "address", "client_id", "client_secret", "scopes", "group_claim", "required_claims",
)  # fmt: skip


class ConsoleSignInForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = LinesField(
        required=False, help_text="Asked for besides openid, such as profile or groups; one a line."
    )
    required_claims = PairsField(
        rich=True,
        required=False,
        help_text="What a person's claims must say, one a line, such as email_verified: true or "
        'hd: example.org. Of a list, ["a", "b"], one is enough.',
    )

    class Meta:
        model = ConsoleSignIn
        fields = "__all__"

    def clean_scopes(self) -> list[str]:
        scopes: list[str] = self.cleaned_data["scopes"]
        if any(not scope.isascii() or " " in scope for scope in scopes):
            raise ValidationError("a scope is ASCII, without blanks")
        return scopes

    def clean_required_claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = self.cleaned_data["required_claims"]
        for name, value in claims.items():
            values = value if isinstance(value, list) and value else [value]
            if not all(isinstance(each, str | int | float) for each in values):
                raise ValidationError(f"{name}: this is no value, and no list of values")
        return claims

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        provider = cleaned.get("provider")
        if provider and not cleaned.get("client_id") and not hasattr(provider, "client"):
            self.add_error("client_id", "the gateway has no client at this provider: name one")
        return cleaned


class AdministratorsOnly:
    """Mixed into pages by which anybody could become an administrator: they are for those who
    are, whatever permissions others were given."""

    def _is_administrator(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    has_module_permission = has_view_permission = _is_administrator
    has_add_permission = has_change_permission = has_delete_permission = _is_administrator


class ConsoleRoleInline(AdministratorsOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = ConsoleRole
    extra = 1
    verbose_name = "role"
    verbose_name_plural = (
        "roles: what people may do whom the provider names in a group (nobody else is signed in)"
    )


@admin.register(ConsoleSignIn)
class ConsoleSignInAdmin(AdministratorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """The page of what there is one of: the list of it leads there."""

    form = ConsoleSignInForm
    inlines = (ConsoleRoleInline,)
    formfield_overrides = WRITE_ONLY
    readonly_fields = ("address",)
    fieldsets = (
        ("Sign-in at a provider", {"fields": PROVIDER_FIELDS}),
        ("Local accounts", {"fields": ("second_factor_required",)}),
        ("Sessions", {"fields": ("idle_minutes", "lifetime_minutes")}),
    )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        self._address = redirect_uri(request)
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description="redirect URI")
    def address(self, sign_in: ConsoleSignIn) -> str:
        return format_html("<code>{}</code>", self._address)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request) and not ConsoleSignIn.objects.exists()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if ConsoleSignIn.objects.exists():
            url = reverse("admin:accounts_consolesignin_change", args=[the_one()])
        else:
            url = reverse("admin:accounts_consolesignin_add")
        return HttpResponseRedirect(url)


@admin.register(ConsoleIdentity)
class ConsoleIdentityAdmin(AdministratorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Which account belongs to which subject. Written at a first sign-in; a row that is added
    before lets a subject sign in to an account that exists."""

    fields = ("user", "issuer", "subject")
    list_display = ("user", "issuer", "subject")
    search_fields = ("user__username", "issuer", "subject")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A row is added and deleted, never edited."""
        return False


admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]
    """Accounts; with a way back in for who lost the authenticator and all recovery codes."""

    actions = ("reset_second_factor",)

    def has_administer_permission(self, request: HttpRequest) -> bool:
        """Who may change passwords and no more must not take the other factor too."""
        return bool(request.user.is_superuser)

    @admin.action(description="Reset the second factor", permissions=["administer"])
    def reset_second_factor(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            second_factor.remove(user)
            self.log_change(request, user, "Reset the second factor.")
        said = "They sign in with their password alone, until they set up another one."
        self.message_user(request, said, messages.WARNING)
