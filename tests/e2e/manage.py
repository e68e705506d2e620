"""Management commands in one warm process: a JSON list of arguments a line in, a result out.

``python -m tests.e2e.manage`` greets with ``"ready"`` and ends with its stdin. It spares a test
the second that Python and Django need to start, where only the command's effect is wanted.
"""

import io
import json
import os
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout

import django
from django.core.management import CommandError, call_command
from django.db import connections


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
    django.setup()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(arguments: list[str]) -> dict[str, object]:
    """Exit code, output and the moment of return of one command."""
    output, code = io.StringIO(), 0
    with redirect_stdout(output), redirect_stderr(output):
        try:
            call_command(*arguments)
        except CommandError as error:
            code = error.returncode
            output.write(str(error))
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        except Exception:  # noqa: BLE001 - the caller sees all of it
            code = 70
            traceback.print_exc()
        finally:
            connections.close_all()  # as a command's own process would
    return {"code": code, "output": output.getvalue(), "at": time.time()}


if __name__ == "__main__":
    main()
