"""``manage.py create_api_key --client NAME``: make a key, store its digest, print it once."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from pydantic import TypeAdapter, ValidationError

from oidc_clients.client_config import Moment
from oidc_clients.issuing import DEFAULT_OVERLAP, MAX_OVERLAP_HOURS, free_name, issue, rotate
from oidc_clients.models import Client
from oidc_clients.provider_config import Token
from policies.core.config import problems_of

_EXPIRES: TypeAdapter[datetime] = TypeAdapter(Moment)
_SCOPES: TypeAdapter[list[str]] = TypeAdapter(list[Token])


class Command(BaseCommand):
    help = "Makes an API key for a client and prints it. It is shown this once and kept nowhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", required=True, metavar="NAME")
        parser.add_argument("--scopes", nargs="+", default=[], metavar="SCOPE")
        parser.add_argument(
            "--expires", metavar="WHEN", help="a day (its first instant, UTC) or a moment"
        )
        parser.add_argument(
            "--rotate",
            metavar="KEY",
            help="name of the key that this one takes the place of, with its scopes and expiry",
        )
        parser.add_argument(
            "--overlap",
            type=float,
            metavar="HOURS",
            help="how long the former key goes on working (24)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(name=options["client"]).first()
        if client is None:
            raise CommandError(f"no client is called {options['client']}", returncode=2)
        make = _issued if options["rotate"] is None else _rotated
        self.stdout.write(make(client, options))


def _issued(client: Client, options: dict[str, Any]) -> str:
    if options["overlap"] is not None:
        raise CommandError("--overlap goes with --rotate", returncode=2)
    expires = _checked(_EXPIRES, options["expires"], "--expires")
    if expires is not None and expires <= timezone.now():
        raise CommandError("--expires: this moment has passed", returncode=2)
    words = [word for text in options["scopes"] for word in text.replace(",", " ").split()]
    scopes = _checked(_SCOPES, words, "--scopes")
    return issue(client, free_name(client), scopes, expires)


def _rotated(client: Client, options: dict[str, Any]) -> str:
    if options["scopes"] or options["expires"] is not None:
        raise CommandError(
            "--rotate takes scopes and expiry from the former key: leave out --scopes, --expires",
            returncode=2,
        )
    former = client.api_keys.filter(name=options["rotate"]).first()
    if former is None:
        raise CommandError(f"{client} has no key {options['rotate']}", returncode=2)
    hours = options["overlap"]
    if hours is not None and not 0 <= hours <= MAX_OVERLAP_HOURS:
        raise CommandError(f"--overlap: give 0 to {MAX_OVERLAP_HOURS} hours", returncode=2)
    return rotate(former, DEFAULT_OVERLAP if hours is None else timedelta(hours=hours))


def _checked(adapter: TypeAdapter[Any], value: Any, option: str) -> Any:
    if value is None:
        return None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        messages = {problem.message for problem in problems_of(error)}
        raise CommandError(f"{option}: {', '.join(sorted(messages))}", returncode=2) from error
