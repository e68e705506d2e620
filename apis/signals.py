"""Counts every committed change of the configuration, so that workers see it.

Whoever saves or deletes a row (the console, a command, a shell) need not think of it. Clients
and their credentials are counted apart from everything else: they do not change the table. What
changes many rows as one step (``apply_config``) is counted once, by whoever does that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.apps import apps
from django.db.models.signals import post_delete, post_save
from pydantic import ValidationError

from policies import key_life
from policies.entries import PolicyEntry
from policies.models import Generation

# Keys of providers are not configuration: they change by themselves, and have a generation.
_NOT_CONFIGURATION = frozenset({"ProviderKey"})
_CREDENTIALS = ("Client", "ApiKey", "SigningKey", "ClientCertificate")
_GENERATIONS = {
    **dict.fromkeys(_CREDENTIALS, Generation.CREDENTIALS),
    "Revocation": Generation.REVOCATIONS,
}
_one_step: ContextVar[bool] = ContextVar("one_step", default=False)


@contextmanager
def one_step() -> Iterator[None]:
    """Count nothing inside: the caller bumps the generation itself, in the same transaction."""
    token = _one_step.set(True)
    try:
        yield
    finally:
        _one_step.reset(token)


def connect() -> None:
    """Listen to every configuration model; called once, when the apps are ready."""
    for label in ("apis", "oidc_clients"):
        for model in apps.get_app_config(label).get_models():
            if model.__name__ not in _NOT_CONFIGURATION:
                uid = f"generation of {model._meta.label}"
                post_save.connect(_changed, sender=model, dispatch_uid=uid)
                post_delete.connect(_changed, sender=model, dispatch_uid=uid)

    policies = apps.get_model("apis", "AttachedPolicy")
    post_save.connect(_signs, sender=policies, dispatch_uid="signing key of a policy")


def _signs(instance: Any, raw: bool = False, **kwargs: Any) -> None:
    """A policy that signs has a key to sign with from its first moment on."""
    if raw or instance.mode == "off":
        return
    try:
        entry = PolicyEntry.of(instance.kind, instance.config)
    except ValidationError:
        return  # what is no policy signs nothing
    if entry.config.signs:
        key_life.ensure()


def _changed(sender: type, raw: bool = False, **kwargs: Any) -> None:
    if not raw and not _one_step.get():  # raw: a fixture is loaded, models may be incomplete
        Generation.bump(_GENERATIONS.get(sender.__name__, Generation.CONFIGURATION))
