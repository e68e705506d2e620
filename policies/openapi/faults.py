"""What is wrong with a message, and where: the ``errors`` of a refusal.

Nothing of a value is ever repeated. A name is, because it is the place; but a name that the
document does not know came from the client, and then it is shown only if it looks like a name:
what somebody put in the place of a name by mistake may be a secret.
"""

import re
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

MAX_FAULTS = 100
HIDDEN = "(a name that is not shown)"

_NAME = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$@.\[\]-]{0,39}\Z")
_MAX_DIGITS = 4  # more make it a key, an address or a number rather than a name


class Fault(NamedTuple):
    """``where`` is path, query, header, cookie or body; ``name`` a parameter's name, in a body a
    JSON pointer (RFC 6901)."""

    where: str
    name: str
    message: str

    def error(self) -> dict[str, str]:
        """As it stands in a refusal."""
        return {"in": self.where, "name": self.name, "message": self.message}


def shown(name: str, known: Container[str] = ()) -> str:
    """A name of the client's as it may be shown."""
    if name in known:
        return name
    harmless = _NAME.match(name) and sum(map(str.isdigit, name)) <= _MAX_DIGITS
    return name if harmless else HIDDEN


def pointer(path: Iterable[str | int], known: Container[str] = ()) -> str:
    """A place in a value as a JSON pointer, with its names as they may be shown."""
    steps = (str(s) if isinstance(s, int) else shown(s, known) for s in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def bounded(faults: Iterator[Fault]) -> list[Fault]:
    """At most ``MAX_FAULTS``; the last one says when there are more."""
    found: list[Fault] = []
    for fault in faults:
        if len(found) == MAX_FAULTS:
            found[-1] = Fault(fault.where, "", "there are more faults, which are not listed")
            break
        found.append(fault)
    return found
