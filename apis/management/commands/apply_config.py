"""``manage.py apply_config FILE``: make everything that a configuration file names equal to it."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apis.apply import Outcome, apply_file
from policies.references import Sources
from policies.yaml_text import MAX_BYTES


class Command(BaseCommand):
    help = (
        "Makes everything that FILE names equal to it, and prints the difference. Exit status 2 "
        "when the file is refused: every problem is listed, and nothing was changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--dry-run", action="store_true", help="print the difference and change nothing"
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="delete the providers, clients and APIs that the file does not name",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", returncode=2) from error
        sources = Sources(path.absolute().parent, os.environ)
        outcome = apply_file(raw, sources, dry_run=options["dry_run"], prune=options["prune"])
        report(self, outcome, dry_run=options["dry_run"])


def report(command: BaseCommand, outcome: Outcome, *, dry_run: bool) -> None:
    """Print what came of a change. Raises ``CommandError`` with every problem."""
    if outcome.problems:
        lines = [*map(str, outcome.problems), "Nothing was changed."]
        raise CommandError("\n".join(lines), returncode=2)
    if not outcome.diff:
        command.stdout.write("Nothing to change.")
        return
    command.stdout.write(outcome.diff)
    command.stdout.write("Nothing was changed: dry run." if dry_run else "Applied.")
