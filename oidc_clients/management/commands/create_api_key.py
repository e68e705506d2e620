"""``manage.py create_api_key --client NAME``: make a key, store its digest, print it once."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from pydantic import TypeAdapter, ValidationError

from oidc_clients.config import Moment, Token
from oidc_clients.credentials import Peppers, make_api_key, shown_prefix
from oidc_clients.models import Client
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

    def handle(self, *args: Any, **options: Any) -> None:
        expires = _checked(_EXPIRES, options["expires"], "--expires")
        if expires is not None and expires <= timezone.now():
            raise CommandError("--expires: this moment has passed", returncode=2)
        words = [word for text in options["scopes"] for word in text.replace(",", " ").split()]
        scopes = _checked(_SCOPES, words, "--scopes")
        client = Client.objects.filter(name=options["client"]).first()
        if client is None:
            raise CommandError(f"no client is called {options['client']}", returncode=2)
        key = make_api_key()
        client.api_keys.create(
            name=_free_name(client),
            prefix=shown_prefix(key),
            digest=Peppers(settings.SECRET_KEYS).digest(key),
            scopes=scopes,
            expires=expires,
        )
        self.stdout.write(key)


def _checked(adapter: TypeAdapter[Any], value: Any, option: str) -> Any:
    if value is None:
        return None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        messages = {problem.message for problem in problems_of(error)}
        raise CommandError(f"{option}: {', '.join(sorted(messages))}", returncode=2) from error


def _free_name(client: Client) -> str:
    """``key-1``, ``key-2``, …: what the key is called among the client's."""
    taken = set(client.api_keys.values_list("name", flat=True))
    return next(
        name for name in map("key-{}".format, range(1, len(taken) + 2)) if name not in taken
    )
