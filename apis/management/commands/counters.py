"""``manage.py counters``: what limits have counted, and with ``--reset`` a new beginning."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apis.counters import Limiting, counters, keys, limits
from apis.describe import NotDescribable, describe
from policies.core.errors import StateUnavailable
from policies.ledger import reset
from policies.stores.open import open_backend, open_state


class Command(BaseCommand):
    help = "List the counters of limits, or reset them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--policy", default="", metavar="NAME", help="its name, or its kind")
        parser.add_argument(
            "--at", default="", metavar="PLACE", help="global, api:NAME or route:NAME"
        )
        parser.add_argument("--who", default="", metavar="TEXT", help="part of whom it counts")
        parser.add_argument("--reset", action="store_true", help="let them begin anew")
        parser.add_argument("--all", action="store_true", help="with --reset: every counter")

    def handle(self, *args: Any, **options: Any) -> None:
        url: str = settings.CACHES["default"]["LOCATION"]
        chosen = any(options[name] for name in ("policy", "at", "who"))
        if options["reset"] and not chosen and not options["all"]:
            raise CommandError("say which: --policy, --at or --who, or --all")
        if url.startswith("memory:"):
            raise CommandError("counters in the memory of a worker cannot be seen from here")
        backend = open_backend(url)
        try:
            found = [
                each
                for each in limits(describe(), open_state(url))
                if options["policy"] in ("", each.entry.name, each.entry.kind)
                and options["at"] in ("", each.scope)
            ]
            if options["reset"]:
                count = sum(
                    reset(backend, list(keys(backend, each, options["who"]))) for each in found
                )
                self.stdout.write(f"{count} reset")
                return
            for each in found:
                self._list(each, options["who"], url)
        except (NotDescribable, StateUnavailable) as error:
            raise CommandError(str(error)) from error

    def _list(self, limiting: Limiting, text: str, url: str) -> None:
        for counter in counters(open_backend(url), limiting, text):
            used = f"{counter.used} of {limiting.policy.most} used"
            self.stdout.write(f"{limiting}: {counter.who}: {used}, all back in {counter.wait}")
