"""``manage.py export_config``: the stored configuration as a file, secrets as references."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apis.config_file import write
from apis.describe import NotDescribable, describe


class Command(BaseCommand):
    help = "Prints a configuration file that apply_config accepts. It holds no secrets."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(write(describe()), ending="")
        except NotDescribable as error:
            raise CommandError(str(error), returncode=2) from error
