"""``manage.py check --deploy``: what would keep the processes from starting or is rarely meant.

The rules stand in ``gatewaysite.startup``, which every process asks before it serves.
"""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from gatewaysite import startup


@register(Tags.security, deploy=True)
def installation(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    environment = settings.ENVIRONMENT
    return [
        *(Error(text, id="gatewaysite.E001") for text in startup.problems(environment)),
        *(Warning(text, id="gatewaysite.W001") for text in startup.warnings(environment)),
    ]
