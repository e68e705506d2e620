"""``manage.py revoke``: take back one token, or all of a subject, a client or a provider."""

import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pydantic import TypeAdapter, ValidationError

from oidc_clients.client_config import Moment
from oidc_clients.models import Provider, Revocation
from oidc_clients.revocation import Kind
from oidc_clients.revoking import NotRevocable, named_by, revoke

_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


class Command(BaseCommand):
    help = (
        "Takes tokens back: they are refused with token_revoked on every worker within a second. "
        "A token is read from standard input, so that it stands in no process list."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--token", action="store_true", help="one token, read from standard input"
        )
        what.add_argument("--jti", help="one token of --provider, by its id")
        what.add_argument("--subject", metavar="SUB", help="all tokens of a subject")
        what.add_argument("--client", metavar="CLIENT_ID", help="all tokens of a client")
        what.add_argument("--all", action="store_true", help="all tokens of --provider")
        parser.add_argument("--provider", metavar="NAME")
        parser.add_argument(
            "--before", metavar="WHEN", help="issued before this day or moment (UTC); default now"
        )
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = self._revoke(options)
        except NotRevocable as refusal:
            raise CommandError(str(refusal), returncode=2) from refusal
        self.stdout.write(str(row))

    def _revoke(self, options: dict[str, Any]) -> Revocation:
        reason = options["reason"][:200]
        if options["token"]:
            named = named_by(sys.stdin.read(20_000))
            return revoke(
                named.issuer, Kind.TOKEN, named.token_id, expires=named.expires, reason=reason
            )
        issuer = _issuer(options["provider"])
        if options["jti"] is not None:
            return revoke(issuer, Kind.TOKEN, options["jti"], reason=reason)
        kind, value = Kind.ISSUER, ""
        for each in (Kind.SUBJECT, Kind.CLIENT):
            if options[each.value] is not None:
                kind, value = each, options[each.value]
        return revoke(issuer, kind, value, before=_moment(options["before"]), reason=reason)


def _issuer(provider: str | None) -> str:
    if provider is None:
        raise CommandError("--provider is needed", returncode=2)
    row = Provider.objects.filter(name=provider).first()
    if row is None:
        raise CommandError(f"no provider is called {provider}", returncode=2)
    return row.issuer


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return _MOMENT.validate_python(text)
    except ValidationError as error:
        raise CommandError(f"--before: {error.errors()[0]['msg']}", returncode=2) from error
