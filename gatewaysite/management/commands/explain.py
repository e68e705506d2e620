"""``manage.py explain``: what the gateway would do with one request, and why. Sends nothing."""

import asyncio
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apis.describe import NotDescribable
from apis.explain import Asked, explain
from apis.gateway.handle import Gateway
from gatewaysite.environment import Environment
from gatewaysite.following import ChangedWhileRead, read_document
from gatewaysite.wiring import World
from oidc_clients.fetch import Response
from oidc_clients.oauth import Endpoint, Endpoints, Issuer, ProviderUnavailable
from policies.key_life import opened, sealed_keys
from policies.models import Generation
from policies.stores.open import open_state
from policies.stores.peek import PeekState


class Command(BaseCommand):
    help = "Tell which route takes a request, what each policy says, and what would be sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("method")
        parser.add_argument("url", help="as a client would call it, or a path")
        parser.add_argument(
            "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", dest="headers"
        )
        parser.add_argument("--data", default="", metavar="TEXT|@FILE", help="the request's body")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = Asked(
            options["method"],
            options["url"],
            tuple(_header(text) for text in options["headers"]),
            _data(options["data"]),
        )
        try:
            generation, document = read_document(Generation.CONFIGURATION)
            _, clients = read_document(Generation.CREDENTIALS)
        except (NotDescribable, ChangedWhileRead) as error:
            raise CommandError(f"the configuration cannot be read: {error}") from error
        environment: Environment = settings.ENVIRONMENT
        world = World(environment, PeekState(open_state(environment.state)), log="off")
        world.token_store.endpoints = world.introspector.endpoints = _NobodyIsAsked()
        world.sessions.renews = False  # a refresh token that is used must not be lost
        built = world.build(document, generation)
        world.install(built)
        world.install_keys()
        world.signer.replace(opened(sealed_keys()))
        book = world.build_clients(clients)
        world.clients.replace(book)
        for problem in (*built.problems, *book.problems):
            self.stderr.write(f"problem   {problem}")
        for line in asyncio.run(explain(Gateway(**world.gateway_arguments()), asked)):
            self.stdout.write(line)


class _NobodyIsAsked(Endpoints):
    """Providers that grant whatever the gateway would ask them for, without being asked."""

    def __init__(self) -> None:
        """It needs no metadata."""

    def ask(self, issuer: Issuer, endpoint: Endpoint, *request: Any) -> Response:
        if endpoint == "introspection_endpoint":
            raise ProviderUnavailable("explain asks nobody")
        return Response(200, {"access_token": "as-if-granted", "token_type": "Bearer"}, {})


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise CommandError(f"-H {text!r}: write it as 'Name: value'")
    return name.strip(), value.strip()


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise CommandError(f"--data {text}: {error.strerror}") from error
