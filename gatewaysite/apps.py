"""The composition root as an app: its commands, and the console in place of the stock admin."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class GatewaySiteConfig(AppConfig):
    """Commands of the whole installation."""

    default = True
    name = "gatewaysite"


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin, with ``apis.site`` as its site."""

    default = False
    default_site = "apis.site.ConsoleSite"
