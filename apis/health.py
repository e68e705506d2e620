"""What is wrong with the stored configuration: for the overview, for ``manage.py check``."""

from apis.apply import allowed_networks
from apis.config import Document
from apis.describe import NotDescribable, describe
from apis.places import Located, locate
from apis.rehearsal import broken_routes
from apis.validation import NO_IDENTITY, problems
from policies.admin import Judgement
from policies.core.config import Problem


def judgement() -> Judgement:
    """What ``apply_config`` would refuse in the configuration as it is stored.

    An API may be stored before it says who may call it: until then its routes refuse.
    """
    document, found = _judged()
    refused = [problem for problem in found if problem.message != NO_IDENTITY]
    return Judgement(refused, whole=document is not None)


def refusing() -> list[Located]:
    """Everything that makes routes refuse calls by mistake, with the object to mend."""
    document, found = _judged()
    if document is not None and all(problem.message == NO_IDENTITY for problem in found):
        known = {problem.path for problem in found}
        found += [problem for problem in broken_routes(document) if problem.path not in known]
    return [locate(problem) for problem in found]


def _judged() -> tuple[Document | None, list[Problem]]:
    """The stored configuration, None where it is none, and what is wrong with it."""
    try:
        document = describe()
    except NotDescribable as error:
        return None, error.problems
    return document, problems(document, allowed_networks())
