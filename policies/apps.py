"""The policies app."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "policies"
    verbose_name = "Gateway"

    def ready(self) -> None:
        from policies import key_admin  # noqa: F401 - registers the console's page
