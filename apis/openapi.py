"""OpenAPI 3.0 and 3.1 documents: which routes they describe. Pure.

The document is read as hostile (``policies.openapi.document``), and what it cannot say exactly
(a template whose parameter is a part of a segment) is refused rather than guessed. ``servers``
is ignored: where calls go is decided here, not by the document.
"""

from collections.abc import Iterator
from functools import lru_cache

from apis.config import RouteConfig
from apis.syntax import MAX_PATH, path_template, template_shape
from policies.core.config import Problem
from policies.openapi.document import (
    MAX_OPERATIONS,
    METHODS,
    DocumentRefused,
    Node,
    Place,
    ReferenceRefused,
    Source,
    problem,
    read,
    served_template,
    version_problems,
)

__all__ = ["DocumentRefused", "routes"]

_MEMBERS = frozenset({*METHODS, "summary", "description", "servers", "parameters"})


@lru_cache(maxsize=32)
def routes(text: str) -> tuple[RouteConfig, ...]:
    """The operations of a document, one route for each, in its order.

    Raises ``DocumentRefused``.
    """
    drafts = _Drafts(read(text))
    if drafts.problems:
        raise DocumentRefused(drafts.problems)
    return tuple(drafts.routes)


class _Drafts:
    """The routes of one document, and what is wrong with it."""

    def __init__(self, source: Source) -> None:
        self.routes: list[RouteConfig] = []
        self.problems: list[Problem] = version_problems(source)
        self._source = source
        self._shapes: dict[str, str] = {}
        self._operations = 0
        paths = source.root.child("paths")
        if not isinstance(paths.value, dict) or not paths.value:
            self._refuse(("paths",), "the document describes no paths")
            return
        for template, item in paths.members():
            self._path(template, item)
        if not self.routes and not self.problems:
            self._refuse(("paths",), "the document describes no operations")

    def _refuse(self, place: Place, message: str) -> None:
        self.problems.append(problem(place, message))

    def _path(self, template: str, item: Node) -> None:
        place = item.place
        try:
            path_template(template)
        except ValueError as error:
            self._refuse(place, str(error))
            return
        twin = self._shapes.setdefault(template_shape(template), template)
        if twin != template:
            self._refuse(place, f"it matches the same paths as {twin}: keep one of them")
            return
        try:
            item = self._source.follow(item)
        except ReferenceRefused as error:
            self._refuse((*place, "$ref"), str(error))
            return
        if not isinstance(item.value, dict):
            self._refuse(place, "give a mapping with the operations of this path")
            return
        for method, operation in self._methods(item):
            parameters = (item.child("parameters"), operation.child("parameters"))
            path = served_template(self._source, template, parameters)
            if len(path) > MAX_PATH:
                self._refuse(place, f"a path has at most {MAX_PATH} characters")
            else:
                self.routes.append(RouteConfig(methods=(method,), path=path))

    def _methods(self, item: Node) -> Iterator[tuple[str, Node]]:
        for name, operation in item.members():
            if name not in _MEMBERS:
                self._refuse(operation.place, "unknown key; methods are written in small letters")
            if name not in METHODS:
                continue
            if not isinstance(operation.value, dict):
                self._refuse(operation.place, "give a mapping that describes the operation")
                continue
            self._operations += 1
            if self._operations == MAX_OPERATIONS + 1:
                self._refuse(("paths",), f"more than {MAX_OPERATIONS} operations")
            if name == "trace":
                self._refuse(operation.place, "TRACE is never served by the gateway: leave it out")
            else:
                yield name.upper(), operation
