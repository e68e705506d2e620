"""``manage.py reset_second_factor NAME``: the way back in for the last administrator."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from accounts.second_factor import remove


class Command(BaseCommand):
    help = "Forgets an account's authenticator and recovery codes: its password is enough again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the account's user name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"no account is called {options['name']}", returncode=2)
        remove(user)
        self.stdout.write(f"{user} signs in with the password alone, until another one is set up.")
