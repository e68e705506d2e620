"""A database URL as Django's settings: ``sqlite:////path`` or ``postgresql://user:pw@host/db``."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gatewaysite.environment import EnvironmentInvalid


def database_settings(url: str) -> dict[str, Any]:
    """Settings of one database. Raises ``EnvironmentInvalid`` for another scheme."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path.removeprefix("/")) or ":memory:",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            },
        }
    if parts.scheme in ("postgresql", "postgres"):
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_HEALTH_CHECKS": True,  # a pooled connection may have ended with its server
            "OPTIONS": {
                "pool": {"min_size": 1, "max_size": 8, "timeout": 5},
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                **options,
            },
        }
    raise EnvironmentInvalid(
        "GATEHOUSE_DATABASE_URL: it must begin with sqlite:// or postgresql://"
    )
