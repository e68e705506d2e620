"""Signing in to the console: password, second factor, provider; and the pages of one's own.

Whoever has not come all the way has no permission on any page (``has_permission``), so that
Django's admin sends them to ``login``, and that to the step which is missing.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache

from accounts import second_factor
from accounts.forms import CodeForm
from accounts.models import ConsoleSignIn, RecoveryCode
from accounts.provider import is_offered
from accounts.second_factor import Standing, standing
from accounts.throttle import code_wait, password_wait, provider_wait
from accounts.views import FromProvider, ToProvider
from policies.core.errors import StateUnavailable

logger = logging.getLogger(__name__)


class SignInSite(admin.AdminSite):
    """Django's admin site with our way in."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Who is active and staff, and has come all the way."""
        return super().has_permission(request) and standing(request) is Standing.COMPLETE

    def get_urls(self) -> list[Any]:
        pages: list[URLPattern] = [
            path("sign-in/", self.to_provider, name="to_provider"),
            path("sign-in/callback/", self.from_provider, name="provider_callback"),
            path("second-factor/", self.code_view, name="second_factor"),
            path("second-factor/set-up/", self.set_up_view, name="second_factor_set_up"),
            path(
                "second-factor/recovery-codes/",
                self.admin_view(self.recovery_codes_view),
                name="second_factor_recovery_codes",
            ),
            path(
                "second-factor/remove/",
                self.admin_view(self.remove_view),
                name="second_factor_remove",
            ),
        ]
        return [*pages, *super().get_urls()]

    @method_decorator(never_cache)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sign in with a password, or be sent to the step that is still missing."""
        if request.method == "POST":
            refused = self._throttled(request, password_wait)
            if refused is not None:
                return refused
        elif super().has_permission(request):
            missing = self._missing_step(request)
            if missing is not None:
                return missing
        offered = is_offered(ConsoleSignIn.current())
        return super().login(request, {"offers_provider": offered, **(extra_context or {})})

    def _missing_step(self, request: HttpRequest) -> HttpResponse | None:
        found = standing(request)
        if found is Standing.OVER:
            logout(request)
            messages.error(request, "Your provider is not that of the console any more.")
            return HttpResponseRedirect(reverse("admin:login"))
        steps = {
            Standing.NEEDS_CODE: "admin:second_factor",
            Standing.NEEDS_SET_UP: "admin:second_factor_set_up",
        }
        if found not in steps:
            return None
        target = urlencode({REDIRECT_FIELD_NAME: _target(request)})
        return HttpResponseRedirect(f"{reverse(steps[found])}?{target}")

    @method_decorator(never_cache)
    def to_provider(self, request: HttpRequest) -> HttpResponse:
        """See ``accounts.views``."""
        return self._throttled(request, provider_wait) or ToProvider.as_view()(request)

    @method_decorator(never_cache)
    def from_provider(self, request: HttpRequest) -> HttpResponse:
        """See ``accounts.views``."""
        return self._throttled(request, provider_wait) or FromProvider.as_view()(request)

    @method_decorator(never_cache)
    def code_view(self, request: HttpRequest) -> HttpResponse:
        """The second step: a code of the authenticator, or a recovery code."""
        if not super().has_permission(request) or standing(request) is not Standing.NEEDS_CODE:
            return HttpResponseRedirect(reverse("admin:login"))
        form = CodeForm(partial(second_factor.proven, _user(request)), request.POST or None)
        if request.method == "POST":
            refused = self._throttled(request, code_wait)
            if refused is not None:
                return refused
            if form.is_valid():
                second_factor.pass_on(request, form.proof)
                return HttpResponseRedirect(_target(request))
        context = self._page(request, "Second step of signing in")
        context |= {"form": form, "next": _target(request)}
        return TemplateResponse(request, "console/second_factor.html", context)

    @method_decorator(never_cache)
    def set_up_view(self, request: HttpRequest) -> HttpResponse:
        """Take an authenticator into use, in place of the one that there may be."""
        found = standing(request) if super().has_permission(request) else Standing.OVER
        if found not in (Standing.COMPLETE, Standing.NEEDS_SET_UP):
            return HttpResponseRedirect(reverse("admin:login"))
        if not _user(request).has_usable_password():
            messages.info(request, "You sign in at the provider: your second factor is there.")
            return HttpResponseRedirect(reverse("admin:index"))
        form = CodeForm(partial(second_factor.set_up, _user(request)), request.POST or None)
        if request.method == "POST":
            refused = self._throttled(request, code_wait)
            if refused is not None:
                return refused
            if form.is_valid():
                authenticator, codes = form.proof
                second_factor.pass_on(request, authenticator)
                return self._show_codes(request, codes)
        return self._offer(request, form)

    def _offer(self, request: HttpRequest, form: CodeForm) -> HttpResponse:
        offered = second_factor.offered(_user(request))
        confirmed = second_factor.authenticator_of(_user(request))
        context = self._page(request, "Second factor")
        context |= {
            "form": form,
            "qr_code": second_factor.qr_code(second_factor.uri(offered)),
            "key": second_factor.readable(offered),
            "confirmed": confirmed,
            "codes_left": RecoveryCode.objects.filter(user=_user(request)).count(),
            "required": ConsoleSignIn.current().second_factor_required,
        }
        return TemplateResponse(request, "console/second_factor_set_up.html", context)

    def recovery_codes_view(self, request: HttpRequest) -> HttpResponse:
        """Fresh recovery codes, for who has an authenticator."""
        if request.method != "POST" or second_factor.authenticator_of(_user(request)) is None:
            return HttpResponseRedirect(reverse("admin:second_factor_set_up"))
        return self._show_codes(request, second_factor.new_recovery_codes(_user(request)))

    def remove_view(self, request: HttpRequest) -> HttpResponse:
        """Do without a second factor, where that is allowed."""
        if request.method == "POST" and not ConsoleSignIn.current().second_factor_required:
            second_factor.remove(_user(request))
            messages.success(request, "You sign in with your password alone from now on.")
        return HttpResponseRedirect(reverse("admin:second_factor_set_up"))

    def _show_codes(self, request: HttpRequest, codes: list[str]) -> HttpResponse:
        context = self._page(request, "Your recovery codes")
        context |= {"codes": codes, "next": reverse("admin:index")}
        answer = TemplateResponse(request, "console/recovery_codes.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def _page(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.each_context(request), "title": title}

    def _throttled(
        self, request: HttpRequest, wait_of: Callable[[HttpRequest], int]
    ) -> HttpResponse | None:
        """Count an attempt; the refusal of one that is too many, or cannot be counted."""
        try:
            wait = wait_of(request)
        except StateUnavailable as error:
            logger.error("console sign-in: %s", error)
            advice = "Attempts cannot be counted at the moment. Try again in a few seconds."
            return self._not_now(request, 503, "Sign-in is not possible now", advice, 5)
        if wait:
            advice = f"Nobody was signed in. Try again in {wait} seconds."
            return self._not_now(request, 429, "Too many attempts to sign in", advice, wait)
        return None

    def _not_now(
        self, request: HttpRequest, status: int, title: str, advice: str, wait: int
    ) -> HttpResponse:
        context = {**self._page(request, title), "advice": advice}
        headers = {"Retry-After": str(wait)}
        return TemplateResponse(
            request, "console/throttled.html", context, status=status, headers=headers
        )


def _user(request: HttpRequest) -> User:
    """Who is signed in; to be asked only where somebody is."""
    return cast(User, request.user)


def _target(request: HttpRequest) -> str:
    """Where to go afterwards: a page of this console."""
    given = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    here = url_has_allowed_host_and_scheme(given, {request.get_host()})
    return given if here else reverse("admin:index")
