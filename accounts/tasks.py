"""What the worker process does for the console."""

from importlib import import_module

from celery import shared_task
from django.conf import settings


@shared_task(name="accounts.tasks.purge_sessions")
def purge_sessions() -> None:
    """Delete console sessions whose cookies have ended."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
