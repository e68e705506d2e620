"""Who may use the console."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Console sign-in"

    def ready(self) -> None:
        from accounts.sessions import begin

        user_logged_in.connect(begin, dispatch_uid="console session begins")
