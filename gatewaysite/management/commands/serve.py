"""``manage.py serve``: run Gatehouse's processes, all of them or one."""

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gatewaysite import startup
from gatewaysite.environment import Environment
from gatewaysite.serve import ROLES, UNUSABLE, Supervisor, role_command

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run the proxy, the console and the worker, or one of them, until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=ROLES, help="run one of the processes, alone")

    def handle(self, *args: Any, only: str | None = None, **options: Any) -> None:
        environment: Environment = settings.ENVIRONMENT
        found = startup.problems(environment)
        if found:
            raise CommandError("\n".join(found), returncode=UNUSABLE)
        if only is None:
            for warning in startup.warnings(environment):
                logger.error(warning)
        sys.exit(_run(only, environment))


def _run(only: str | None, environment: Environment) -> int:
    """Run until told to stop; returns the exit code. Each role loads only what it needs."""
    if only is None:
        commands = {role: role_command(role) for role in ROLES}
        return Supervisor(commands, environment.drain_timeout).run()
    if only == "proxy":
        from gatewaysite import proxy

        return proxy.run(environment)
    if only == "console":
        from gatewaysite import console

        return console.run(environment)
    from gatewaysite import celery

    return celery.run()
