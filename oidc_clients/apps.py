"""The oidc_clients app."""

from django.apps import AppConfig


class OidcClientsConfig(AppConfig):
    name = "oidc_clients"
