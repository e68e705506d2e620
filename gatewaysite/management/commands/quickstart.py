"""``manage.py quickstart``: prepare an installation on this machine and serve (``make run``)."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gatewaysite.environment import Environment
from gatewaysite.firststeps import ADMINISTRATOR, first_administrator, prepare
from gatewaysite.serve import MANAGE


class Command(BaseCommand):
    help = "Migrate, make the first administrator, and serve."

    def handle(self, *args: Any, **options: Any) -> None:
        environment: Environment = settings.ENVIRONMENT
        prepare()
        password = first_administrator()
        scheme = "https" if environment.tls_cert else "http"
        self.stdout.write(f"Gateway: {scheme}://{environment.proxy_bind}")
        self.stdout.write(f"Console: http://{environment.console_bind}/admin/")
        if password is not None:
            self.stdout.write(
                f"User: {ADMINISTRATOR}   one-time password: {password}   "
                "(shown only now: change it after signing in)"
            )
        self.stdout.flush()
        # A fresh process: the supervisor must not inherit threads or database connections.
        os.execv(sys.executable, [sys.executable, str(MANAGE), "serve"])  # noqa: S606
