"""The apis app."""

from django.apps import AppConfig


class ApisConfig(AppConfig):
    name = "apis"
    verbose_name = "APIs and upstreams"

    def ready(self) -> None:
        from apis import signals

        signals.connect()
