"""The console page of revocations: one form for each thing that can be taken back.

An entry is not edited: taking back more adds to it, and deleting it gives its tokens back.
"""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from oidc_clients.models import Provider, Revocation
from oidc_clients.revocation import Kind
from oidc_clients.revoking import MAX_VALUE, Named, NotRevocable, named_by, revoke


class RevokeForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is common to all of them; each of them has a ``take_back``, for when it is valid."""

    kind: Kind

    class Meta:
        model = Revocation
        fields = ("reason",)
        help_texts = {"reason": "For whoever reads the list later; shown nowhere else."}


class RevokeTokenForm(RevokeForm):
    """One token, by what it says of itself."""

    kind = Kind.TOKEN
    token = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6, "autocomplete": "off", "spellcheck": "false"}),
        max_length=20_000,
        help_text="Paste the token. Only its issuer, its jti and its expiry are kept.",
    )
    field_order = ("token", "reason")

    def clean_token(self) -> Named:
        try:
            return named_by(self.cleaned_data["token"])
        except NotRevocable as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def take_back(self) -> Revocation:
        """Do it, or add to it."""
        issuer, token_id, expires = self.cleaned_data["token"]
        reason = self.cleaned_data["reason"]
        return revoke(issuer, self.kind, token_id, expires=expires, reason=reason)


class RevokeIssuerForm(RevokeForm):
    """All tokens of a provider that were issued before a moment."""

    kind = Kind.ISSUER
    provider = forms.ModelChoiceField(Provider.objects.all())
    before = forms.DateTimeField(
        label="Issued before",
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"
        ),
        help_text="UTC; empty: now. Tokens issued from then on are accepted. "
        "It is compared with the token's iat; a token without one was issued before.",
    )
    field_order = ("provider", "value", "before", "reason")

    def clean_before(self) -> Any:
        before = self.cleaned_data["before"]
        if before is not None and before > timezone.now() + timedelta(days=1):
            raise forms.ValidationError("this is more than a day away")
        return before

    def take_back(self) -> Revocation:
        """Do it, or add to it."""
        data = self.cleaned_data
        return revoke(
            data["provider"].issuer,
            self.kind,
            data.get("value", ""),
            before=data["before"],
            reason=data["reason"],
        )


class RevokeSubjectForm(RevokeIssuerForm):
    """All tokens of one subject."""

    kind = Kind.SUBJECT
    value = forms.CharField(
        label="Subject",
        max_length=MAX_VALUE,
        strip=False,
        help_text="The token's sub, to the letter.",
    )


class RevokeClientForm(RevokeIssuerForm):
    """All tokens of one client of the provider."""

    kind = Kind.CLIENT
    value = forms.CharField(
        label="Client",
        max_length=MAX_VALUE,
        strip=False,
        help_text="The client's id at the provider: the token's client_id or azp, to the letter.",
    )


FORMS: dict[str, type[RevokeForm]] = {
    form.kind.value: form
    for form in (RevokeTokenForm, RevokeSubjectForm, RevokeClientForm, RevokeIssuerForm)
}
_SUMMARIES = {
    Kind.TOKEN: "One token, which you paste.",
    Kind.SUBJECT: "All tokens that a person or program was given until now.",
    Kind.CLIENT: "All tokens that were issued through one client until now.",
    Kind.ISSUER: "All tokens that a provider issued until now.",
}


_TITLES = {
    Kind.TOKEN: "Take back one token",
    Kind.SUBJECT: "Take back the tokens of a subject",
    Kind.CLIENT: "Take back the tokens of a client",
    Kind.ISSUER: "Take back the tokens of a provider",
}


@admin.register(Revocation)
class RevocationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("what", "issuer", "before", "reason", "created")
    list_filter = ("kind",)
    search_fields = ("value", "issuer", "reason")
    ordering = ("-created",)

    @admin.display(description="taken back", ordering="value")
    def what(self, revocation: Revocation) -> str:
        return str(revocation)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        return FORMS[request.GET["kind"]]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return super().get_fields(request, obj)
        return list(FORMS[request.GET["kind"]]().fields)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First what shall be taken back, then its form."""
        if request.GET.get("kind") in FORMS:
            context = {
                "title": _TITLES[Kind(request.GET["kind"])],
                "show_save_and_continue": False,
                **(extra_context or {}),
            }
            return super().add_view(request, form_url, context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Choose what shall be taken back",
            "kinds": [(kind.value, summary) for kind, summary in _SUMMARIES.items()],
        }
        return TemplateResponse(request, "console/policy_kinds.html", context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Take it back; what was taken back before is added to."""
        row = form.take_back()
        for field in Revocation._meta.fields:
            setattr(obj, field.attname, getattr(row, field.attname))
