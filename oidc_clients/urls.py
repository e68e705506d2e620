"""URLs below ``/auth/``, served to the proxy by the private listener alone."""

from django.urls import path, re_path

from oidc_clients import views
from oidc_clients.browser import own_sessions
from oidc_clients.browser import views as browser

_PROVIDER = r"\A(?P<name>[a-z0-9][a-z0-9_.-]{0,62})"

_PROVIDER = r"\A(?P<name>[a-z0-9][a-z0-9_.-]{0,62})"

urlpatterns = [
    re_path(_PROVIDER + r"/token\Z", views.token, name="token"),
    re_path(_PROVIDER + r"/revoke\Z", views.revoke, name="revoke"),
    re_path(_PROVIDER + r"/introspect\Z", views.introspect, name="introspect"),
    re_path(_PROVIDER + r"/login\Z", browser.login, name="login"),
    re_path(_PROVIDER + r"/callback\Z", browser.callback, name="callback"),
    re_path(_PROVIDER + r"/backchannel-logout\Z", browser.backchannel_logout),
    path("logout", browser.logout, name="logout"),
    path("signed-out", browser.signed_out, name="signed-out"),
    path("session", browser.session, name="session"),
    path("sessions", own_sessions.sessions, name="sessions"),
    path("sessions/end", own_sessions.end, name="end-sessions"),
]
