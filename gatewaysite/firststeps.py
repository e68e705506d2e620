"""What ``make run`` and ``make demo`` do before anything serves: database, first user."""

import secrets

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command

ADMINISTRATOR = "admin"


def prepare() -> None:
    """Bring the database to this version."""
    call_command("migrate", interactive=False, verbosity=0)


def first_administrator() -> str | None:
    """Make the first administrator. Returns the one-time password, None if there is a user."""
    if get_user_model()._default_manager.exists():
        return None
    return renew_administrator()


def renew_administrator() -> str:
    """Give the administrator a new one-time password, which is returned and kept nowhere."""
    password = secrets.token_urlsafe(12)
    user, _ = User.objects.get_or_create(
        username=ADMINISTRATOR, defaults={"is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save(update_fields=["password"])
    return password
