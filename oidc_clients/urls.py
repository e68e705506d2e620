"""URLs below ``/auth/``, served to the proxy by the private listener alone."""

from django.urls import re_path

from oidc_clients import views

_PROVIDER = r"\A(?P<name>[a-z0-9][a-z0-9_.-]{0,62})"

urlpatterns = [
    re_path(_PROVIDER + r"/token\Z", views.token, name="token"),
    re_path(_PROVIDER + r"/revoke\Z", views.revoke, name="revoke"),
    re_path(_PROVIDER + r"/introspect\Z", views.introspect, name="introspect"),
]
