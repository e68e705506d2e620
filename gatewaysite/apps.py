"""The composition root as an app: its commands, and the console in place of the stock admin."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class GatewaySiteConfig(AppConfig):
    """Commands and checks of the whole installation."""

    default = True
    name = "gatewaysite"

    def ready(self) -> None:
        from gatewaysite import checks  # noqa: F401 - registers them


class ConsoleConfig(admin_apps.AdminConfig):
    """Django's admin, with ``apis.site`` as its site."""

    default = False
    default_site = "apis.site.ConsoleSite"
