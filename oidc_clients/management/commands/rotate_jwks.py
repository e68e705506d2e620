"""``manage.py rotate_jwks [--provider NAME]``: fetch the keys of providers now."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oidc_clients.models import Provider
from oidc_clients.tasks import Rotation, fetches_keys, rotate


class Command(BaseCommand):
    help = (
        "Fetches the keys of every provider that is switched on, and shows which of them were "
        "admitted. A provider that fails keeps its keys; the exit status is then 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--provider", metavar="NAME", help="this provider alone")

    def handle(self, *args: Any, **options: Any) -> None:
        providers = Provider.objects.filter(enabled=True)
        if options["provider"] is not None:
            providers = providers.filter(name=options["provider"])
            if not providers:
                raise CommandError(
                    f"no provider that is switched on is called {options['provider']}",
                    returncode=2,
                )
        for provider in providers:
            if not fetches_keys(provider):
                self.stdout.write(f"{provider}: its keys are configured, nothing is fetched")
        rotations = rotate(providers)
        for rotation in rotations:
            self._show(rotation)
        failed = [rotation.provider for rotation in rotations if rotation.keys is None]
        if failed:
            raise CommandError(f"no keys from {', '.join(failed)}")

    def _show(self, rotation: Rotation) -> None:
        if rotation.keys is None:
            self.stdout.write(f"{rotation.provider}: failed: {rotation.error}")
            return
        changed = "changed" if rotation.changed else "unchanged"
        self.stdout.write(f"{rotation.provider}: {changed}")
        for entry in rotation.keys.entries:
            name = "without kid" if entry.kid is None else entry.kid
            verdict = "admitted" if entry.key is not None else f"refused: {entry.reason}"
            self.stdout.write(f"  {name}: {verdict}")
