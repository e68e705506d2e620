"""``manage.py print_reference``: every member of the configuration file, as Markdown."""

from typing import Any

from django.core.management.base import BaseCommand

from apis.reference import reference


class Command(BaseCommand):
    help = "Print the reference of the configuration file (docs/reference.md)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(reference(), ending="")
