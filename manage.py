#!/usr/bin/env python
"""Gatehouse's command line."""

import os
import sys


def main() -> None:
    """Run a command. What an operator can mend is one line, and exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    from gatewaysite.environment import EnvironmentInvalid

    try:
        execute_from_command_line(sys.argv)
    except EnvironmentInvalid as error:
        reason = str(error)
    except DatabaseError as error:
        from gatewaysite.unmigrated import unusable

        reason = unusable(error)
        if not reason:
            raise
    else:
        return
    print(reason, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
