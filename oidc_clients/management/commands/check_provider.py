"""``manage.py check_provider NAME [--token T]``: what is wrong with a provider, if anything is."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from oidc_clients.examine import examine
from oidc_clients.finding import Finding, Severity
from oidc_clients.models import Provider
from oidc_clients.rows import client_of, spec_of
from policies.references import SecretUnreadable


class Command(BaseCommand):
    help = (
        "Tries discovery, keys, algorithms, clock skew and the gateway's client at a provider, and "
        "says of a sample token why it is accepted or not. Exit status 1 when there is a fault."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the provider's name")
        parser.add_argument(
            "--token",
            metavar="T",
            help="a sample access token; - reads it from standard input, so that it stands in no "
            "list of processes. It is sent nowhere, and not shown",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        provider = Provider.objects.filter(name=name).select_related("client").first()
        if provider is None:
            raise CommandError(f"no provider is called {name}", returncode=2)
        try:
            spec = spec_of(provider, settings.ENVIRONMENT.allow_private_upstreams)
            client = client_of(provider)
        except (ValueError, SecretUnreadable) as error:
            raise CommandError(f"the provider cannot be used: {error}") from error
        token = _token(options["token"])
        faults = 0
        for finding in examine(spec, client, provider.grants, token):
            self._show(finding)
            faults += finding.severity is Severity.FAULT
        if faults:
            raise CommandError(f"{faults} fault{'s' if faults > 1 else ''} found")

    def _show(self, finding: Finding) -> None:
        self.stdout.write(f"{finding.severity.value:8}{finding.subject}: {finding.message}")
        if finding.advice:
            self.stdout.write(f"        {finding.advice}")


def _token(given: str | None) -> bytes | None:
    if given is None:
        return None
    text = sys.stdin.readline() if given == "-" else given
    return os.fsencode(text.strip())
