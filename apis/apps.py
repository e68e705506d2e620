"""The apis app."""

from django.apps import AppConfig


class ApisConfig(AppConfig):
    name = "apis"
    verbose_name = "APIs and upstreams"

    def ready(self) -> None:
        from apis import checks, signals  # noqa: F401 - checks register themselves

        signals.connect()
