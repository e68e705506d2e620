"""The oidc_clients app."""

from django.apps import AppConfig


class OidcClientsConfig(AppConfig):
    name = "oidc_clients"
    verbose_name = "Providers and clients"
