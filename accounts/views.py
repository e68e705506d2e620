"""The way to the provider and back: mozilla-django-oidc's views, with our rules around them.

State, nonce and PKCE verifier of each sign-in that is under way stand in the browser's session,
as the stock views keep them.
"""

import logging
import time
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from mozilla_django_oidc.views import (
    OIDCAuthenticationCallbackView,
    OIDCAuthenticationRequestView,
)

from accounts.provider import NoProvider, console_provider
from accounts.second_factor import PROVIDER_BACKEND, PROVIDER_SESSION_KEY
from oidc_clients.browser.grants import GrantUnavailable
from oidc_clients.browser.login import LIFETIME, CallbackRefused, single

logger = logging.getLogger(__name__)

STATES = "oidc_states"  # the stock views' own name in the session
_FAILED = "Nobody was signed in at the provider. Try again, or use a local account."
_UNAVAILABLE = "Sign-in at the provider is not possible now. Use a local account, or try later."


def redirect_uri(request: HttpRequest) -> str:
    """What is registered at the provider. The host is one of ``GATEHOUSE_CONSOLE_HOSTS``; that
    the console stands behind HTTPS is not to be seen in the request, but known."""
    scheme = "https" if settings.SECURE_COOKIES else "http"
    return f"{scheme}://{request.get_host()}{reverse('admin:provider_callback')}"


def failed(request: HttpRequest, said: str = _FAILED) -> HttpResponse:
    """Back to the sign-in page, which tells it."""
    messages.error(request, said)
    return HttpResponseRedirect(reverse("admin:login"))


class ToProvider(OIDCAuthenticationRequestView):  # type: ignore[misc]
    """Begins a sign-in: sends the browser to the provider."""

    def __init__(self, **kwargs: Any) -> None:
        """The stock class reads settings here; ours come from the console, with each request."""
        super(OIDCAuthenticationRequestView, self).__init__(**kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            self._provider = console_provider()
            self.OIDC_OP_AUTH_ENDPOINT = self._provider.endpoint("authorization_endpoint")
        except (GrantUnavailable, NoProvider) as error:
            logger.warning("console sign-in at the provider is not possible: %s", error)
            return failed(request, _UNAVAILABLE)
        self.OIDC_RP_CLIENT_ID = self._provider.sign_in.client.client_id
        answer: HttpResponse = super().get(request)
        return answer

    def get_settings(self, attr: str, *args: Any) -> Any:
        """See the stock class; what was chosen in the console comes first."""
        if attr == "OIDC_RP_SCOPES":
            return " ".join(dict.fromkeys(("openid", *self._provider.sign_in.scopes)))
        if attr == "OIDC_AUTHENTICATION_CALLBACK_URL":
            return "admin:provider_callback"
        return super().get_settings(attr, *args)

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        """See the stock class."""
        return {"redirect_uri": redirect_uri(request)}


class FromProvider(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Ends a sign-in: the provider sends the browser back."""

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            begun = _begun(request)
        except CallbackRefused as error:
            logger.warning("console sign-in at the provider: %s", error)
            return failed(request)
        if "error" in request.GET:
            logger.warning("console sign-in at the provider: it answers an error")
            return failed(request)
        self.user = auth.authenticate(
            request,
            nonce=begun.get("nonce"),
            code_verifier=begun.get("code_verifier"),
            redirect_uri=redirect_uri(request),
        )
        if self.user is None:
            return failed(request)
        return self.login_success()

    def login_success(self) -> HttpResponse:
        """Always a new session: the one of before may be known to others."""
        request: HttpRequest = self.request
        target = request.session.get("oidc_login_next") or reverse("admin:index")
        request.session.flush()
        auth.login(request, self.user, backend=PROVIDER_BACKEND)
        request.session[PROVIDER_SESSION_KEY] = request.META[PROVIDER_SESSION_KEY]
        return HttpResponseRedirect(target)


def _begun(request: HttpRequest) -> dict[str, Any]:
    """The sign-in that the state belongs to, this once. Raises ``CallbackRefused``."""
    state = single(dict(request.GET.lists()), "state")
    begun = request.session.get(STATES, {}).pop(state, None)
    if begun is None:
        raise CallbackRefused("this browser began no such sign-in")
    request.session.save()  # before anybody is asked: a second callback finds nothing
    if not 0 <= time.time() - begun["added_on"] < LIFETIME:
        raise CallbackRefused("it took too long")
    return dict(begun)
