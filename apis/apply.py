"""One change of the configuration, from a file or an import: all of it, or nothing.

Theory of operation. Inside one transaction that no other change can enter, the stored
configuration is described as a document, the wanted document is made from it, and both are
compared. Problems refuse the change; otherwise the difference is written and counted once, by
the generation of each part that differs. What is wrong in parts that the change does not touch,
and was wrong before it, does not stand in its way: there the gateway refuses to serve already.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from apis import config_file, signals, store
from apis.config import Document
from apis.describe import SECTIONS, NotDescribable, describe, ordered
from apis.merge import Merge
from apis.rehearsal import broken_routes
from apis.validation import NO_IDENTITY, problems, signs
from oidc_clients.credentials import Peppers
from policies import key_life
from policies.core.addresses import Networks, networks
from policies.core.config import Problem
from policies.models import Generation
from policies.references import Sources
from policies.secrets import Keyring

_PART = re.compile(r"(providers|clients|apis)\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: problems and nothing changed, or the difference (empty: none)."""

    problems: tuple[Problem, ...] = ()
    diff: str = ""


class Refused(Exception):
    """The change is not made; every reason with its place."""

    def __init__(self, found: Iterable[Problem]) -> None:
        self.problems = tuple(found)
        super().__init__("\n".join(map(str, self.problems)))


def allowed_networks() -> Networks:
    """Where addresses may stand beside public ones, as this installation is set up."""
    return networks(settings.ENVIRONMENT.allow_private_upstreams)


def apply_file(raw: bytes, sources: Sources, *, dry_run: bool, prune: bool) -> Outcome:
    """Make everything that a configuration file names equal to it."""
    file = config_file.read(raw, sources)
    document = file.document
    if document is None:
        return Outcome(problems=file.problems)

    def wanted(stored: Document) -> Document:
        merge = Merge(stored, prune, Keyring.from_settings(), Peppers(settings.SECRET_KEYS))
        merged = merge.over(document)
        fresh = new_problems(stored, merged, file.left_out)
        found = [*file.problems]
        for problem in (*merge.problems, *fresh):
            if _is_named(problem, document):
                found.append(file.located(problem))
            elif not file.problems:
                found.append(_as_stored(by_name(problem, merged)))
        if found:
            raise Refused(found)
        return merged

    return change(wanted, dry_run=dry_run)


def change(wanted: Callable[[Document], Document], *, dry_run: bool) -> Outcome:
    """Replace the stored configuration by what ``wanted`` makes of it.

    ``wanted`` raises ``Refused``. With ``dry_run`` nothing is written.
    """
    try:
        with transaction.atomic(), signals.one_step():
            Generation.lock(Generation.CONFIGURATION)
            before = describe()
            after = ordered(wanted(before))
            if dry_run or before == after:
                transaction.set_rollback(True)
            else:
                store.save(before, after)
                if signs(after):
                    key_life.ensure()
                for name, members in SECTIONS.items():
                    if any(getattr(before, part) != getattr(after, part) for part in members):
                        Generation.bump(name)
        return Outcome(diff="" if before == after else config_file.diff(before, after))
    except Refused as refused:
        return Outcome(problems=refused.problems)
    except NotDescribable as error:
        return Outcome(problems=tuple(map(_as_stored, error.problems)))


def new_problems(
    stored: Document, merged: Document, left_out: Collection[str] | None = None
) -> list[Problem]:
    """What is wrong with ``merged``, but for what is wrong already in parts that stay the same.

    ``left_out``: see ``apis.validation.problems``.
    """
    known = {by_name(problem, stored) for problem in _judged(stored)}
    return [
        problem
        for problem in _judged(merged, left_out)
        if by_name(problem, merged) not in known or not _stays(problem, stored, merged)
    ]


def _judged(document: Document, left_out: Collection[str] | None = None) -> list[Problem]:
    """What the validator finds; once it only misses identities, what the compiler finds too."""
    found = problems(document, allowed_networks(), left_out=left_out)
    if left_out is not None or any(problem.message != NO_IDENTITY for problem in found):
        return found
    places = {problem.path for problem in found}
    return found + [item for item in broken_routes(document) if item.path not in places]


def _stays(problem: Problem, stored: Document, merged: Document) -> bool:
    part = _PART.match(problem.path)
    if part is None:
        return stored.policies == merged.policies
    item = getattr(merged, part[1])[int(part[2])]
    return item in getattr(stored, part[1])


def _is_named(problem: Problem, file: Document) -> bool:
    """Whether a problem of the merged document is about a part that the file names."""
    part = _PART.match(problem.path)
    if part is None:
        return "policies" in file.model_fields_set
    return int(part[2]) < len(getattr(file, part[1]))


def by_name(problem: Problem, document: Document) -> Problem:
    """A problem with its part's name instead of its position: ``apis.orders.routes[0]``."""
    part = _PART.match(problem.path)
    if part is None:
        return problem
    name = getattr(document, part[1])[int(part[2])].name
    path = f"{part[1]}.{name}{problem.path[part.end() :]}"
    return problem.model_copy(update={"path": path})


def _as_stored(problem: Problem) -> Problem:
    """A problem of a part that no file names, marked as such."""
    message = f"{problem.message} (in the stored configuration)"
    return problem.model_copy(update={"message": message})
