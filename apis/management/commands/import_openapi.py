"""``manage.py import_openapi FILE|URL --api NAME --upstream URL``: routes and validators."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from pydantic import ValidationError

from apis.importing import Import, import_api
from apis.management.commands.apply_config import report
from apis.openapi import DocumentRefused
from oidc_clients.fetch import FetchError, Reach, get_document
from policies.core.config import problems_of
from policies.references import MAX_TEXT_BYTES, FileText, Sources

FETCH_TIME = 30.0  # seconds

_CLOSED = """\
Nothing says yet who may call {api}: its routes answer 503 misconfigured until an identity policy
is attached. Attach one to the API in the console, or in a file:
1. python manage.py export_config > gatehouse.yaml
2. to the policies of {api} add  - jwt: {{providers: [NAME]}}  (- public: {{}} for everybody)
3. python manage.py apply_config gatehouse.yaml"""


class Command(BaseCommand):
    help = (
        "Creates or updates the API NAME with the operations of an OpenAPI 3.0 or 3.1 document "
        "as its routes; calls of a new API are judged by the document (policy openapi). Policies "
        "of routes that persist are kept, and so are routes made by hand."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("document", metavar="FILE|URL")
        parser.add_argument("--api", required=True, metavar="NAME")
        parser.add_argument("--upstream", required=True, metavar="URL")
        parser.add_argument(
            "--dry-run", action="store_true", help="print the difference and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            order = Import(_document(options["document"]), options["api"], options["upstream"])
            outcome, closed = import_api(order, dry_run=options["dry_run"])
        except (FetchError, DocumentRefused) as error:
            raise CommandError(f"{options['document']}: {error}", returncode=2) from error
        except ValidationError as error:
            lines = [str(problem) for problem in problems_of(error)]
            raise CommandError("\n".join(lines), returncode=2) from error
        report(self, outcome, dry_run=options["dry_run"])
        if closed:
            self.stdout.write(_CLOSED.format(api=options["api"]))


def _document(place: str) -> FileText:
    """The document of a file or URL. Raises ``FetchError``, ``ValidationError``."""
    if not place.startswith(("http://", "https://")):
        sources = Sources(Path.cwd(), os.environ)
        return FileText.model_validate({"file": place}, context=sources)
    reach = Reach(settings.ENVIRONMENT.allow_private_upstreams, insecure_http=True)
    raw = get_document(place, reach, MAX_TEXT_BYTES, FETCH_TIME)
    try:
        return FileText.model_validate(raw.decode())
    except UnicodeDecodeError as error:
        raise FetchError(f"{place} is not UTF-8 text") from error
