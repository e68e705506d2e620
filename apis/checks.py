"""What ``manage.py check --database default`` says about the stored configuration.

All are warnings: what is broken refuses to serve, and an error here would keep ``migrate``
from bringing the database to a version that can mend it. How the processes themselves are set
up is judged by ``gatewaysite.checks``.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, connections

from apis.health import refusing
from apis.models import Api
from oidc_clients.models import Provider
from policies.admin import told


@register(Tags.database)
def stored_configuration(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Numbered warnings; none before the first migration."""
    if "default" not in (databases or ()):
        return []
    try:
        if Api._meta.db_table not in connections["default"].introspection.table_names():
            return []
        return [*_broken_routes(), *_password_grants(), *_plain_http()]
    except DatabaseError as error:
        hint = "Run manage.py migrate."
        return [Warning(f"The configuration cannot be read: {error}", hint, id="apis.W004")]


def _broken_routes() -> list[CheckMessage]:
    hint = "Until then the gateway answers 503 misconfigured there."
    return [Warning(told(found), hint, id="apis.W001") for found in refusing()]


def _password_grants() -> list[CheckMessage]:
    """RFC 9700 2.4: the application that calls the gateway sees people's passwords."""
    hint = "Move the applications to authorization_code, then take password off the grants."
    return [
        Warning(f"provider {provider}: the password grant is relayed.", hint, id="apis.W002")
        for provider in Provider.objects.filter(enabled=True)
        if "password" in provider.grants
    ]


def _plain_http() -> list[CheckMessage]:
    hint = "That is meant for a provider on this very machine, in trials: give it TLS."
    return [
        Warning(f"provider {provider}: is spoken to without TLS.", hint, id="apis.W003")
        for provider in Provider.objects.filter(enabled=True, insecure_http=True)
    ]
