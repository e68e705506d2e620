"""One document, compiled: from method and path to the operation that judges a message.

A document is compiled once, however many policies, routes and generations use it: what is in use
is found again by the document and the options it was compiled with.
"""

import hashlib
from collections import deque
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakValueDictionary

from policies.core.config import Problem
from policies.core.path_templates import Templates
from policies.openapi.building import Builder
from policies.openapi.document import (
    MAX_OPERATIONS,
    MAX_PROBLEMS,
    DocumentRefused,
    problem,
    read,
    version_problems,
)
from policies.openapi.metaschema import malformed
from policies.openapi.operations import Operation

_REMEMBERED = 1024  # paths
_LONGEST = 1024  # characters of one that is remembered: clients choose them


class Found(NamedTuple):
    """An operation and the raw segments of its path's parameters."""

    operation: Operation
    segments: dict[str, bytes]


class NotFound(NamedTuple):
    """No operation: the path is unknown, or takes the methods ``allow``."""

    allow: tuple[str, ...] = ()


class Compiled:
    """The operations of one document. ``notices`` say what of it is not checked."""

    def __init__(self, text: str, *, closed: bool, answers: bool) -> None:
        """``closed`` refuses members of bodies that the document does not declare; without
        ``answers``, answers are not described. Raises ``DocumentRefused``."""
        source = read(text)
        problems = version_problems(source) or malformed(source)
        if problems:
            raise DocumentRefused(problems)
        builder = Builder(source, closed=closed, answers=answers)
        self._templates: Templates[Operation] = Templates()
        self.operations = 0
        for template, item in source.root.child("paths").members():
            wrong = _template_problem(template)
            if wrong:
                builder.problems.append(problem(item.place, wrong))
                continue
            for method, operation in builder.operations(template, item):
                try:
                    self._templates.add(operation.template, (method,), operation)
                except KeyError:
                    message = f"another path matches the same calls of {method}"
                    builder.problems.append(problem(item.place, message))
                self.operations += 1
        if self.operations > MAX_OPERATIONS:
            builder.problems.append(problem(("paths",), f"more than {MAX_OPERATIONS} operations"))
        found = builder.problems or builder.schemas.compile()
        if found:
            raise DocumentRefused(list(dict.fromkeys(found))[:MAX_PROBLEMS])
        self.notices: tuple[Problem, ...] = tuple(dict.fromkeys(builder.notices))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._find)

    def find(self, method: str, path: str) -> Found | NotFound:
        """The operation for a canonical path, remembered as routes are."""
        if len(path) + len(method) > _LONGEST:
            return self._find(method, path)
        return self._remembered(method, path)

    def _find(self, method: str, path: str) -> Found | NotFound:
        segments = path.split("/")[1:]
        allow: set[str] = set()
        operation = self._templates.find(segments, method, allow)
        if operation is None:
            return NotFound(tuple(sorted(allow)))
        values: dict[str, bytes] = {}
        for at, part in enumerate(operation.template.split("/")[1:]):
            if part.endswith("*}"):
                values[part[1:-2]] = "/".join(segments[at:]).encode()
            elif part.startswith("{"):
                values[part.strip("{;}")] = segments[at].encode()
        return Found(operation, values)


def _template_problem(template: str) -> str:
    if not template.startswith("/"):
        return "a path begins with a slash"
    for segment in template.split("/"):
        inner = segment[1:-1] if segment[:1] == "{" and segment[-1:] == "}" else segment
        if "{" in inner or "}" in inner:
            return "a parameter is a whole segment: /items/{id}"
    return ""


_in_use: WeakValueDictionary[tuple[bytes, bool, bool], Compiled] = WeakValueDictionary()
_recent: deque[Compiled] = deque(maxlen=16)  # for those who compile without serving: the console


def compile_document(text: str, *, closed: bool = False, answers: bool = False) -> Compiled:
    """The compiled document, made only if it is not in use already. Raises ``DocumentRefused``."""
    key = (hashlib.sha256(text.encode()).digest(), closed, answers)
    compiled = _in_use.get(key)
    if compiled is None:
        compiled = _in_use[key] = Compiled(text, closed=closed, answers=answers)
    if compiled not in _recent:
        _recent.append(compiled)
    return compiled


@lru_cache(maxsize=16)
def document_problems(
    text: str, *, closed: bool = False, answers: bool = True
) -> tuple[Problem, ...]:
    """Why a document cannot be compiled; nothing when it can."""
    try:
        compile_document(text, closed=closed, answers=answers)
    except DocumentRefused as error:
        return tuple(error.problems)
    return ()
