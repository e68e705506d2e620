"""URLs below ``/auth/``, served to the proxy by the private listener alone."""

from django.urls import re_path

from oidc_clients import views

urlpatterns = [
    re_path(r"\A(?P<name>[a-z0-9][a-z0-9_.-]{0,62})/token\Z", views.token, name="token"),
]
