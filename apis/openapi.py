"""OpenAPI 3.0 and 3.1 documents: which routes they describe. Pure.

Threat model. The document comes from somebody else: it is read under the limits of
``apis.yaml_text``, nothing that it refers to is ever fetched (O2), and what it cannot say
exactly (a template whose parameter is a part of a segment) is refused rather than guessed.
``servers`` is ignored: where calls go is decided here, not by the document.
"""

from collections.abc import Iterator
from typing import Any

from policies import yaml_text
from apis.config import RouteConfig
from apis.syntax import path_template, template_shape
from policies.core.config import Problem, location

MAX_OPERATIONS = 5000
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_MEMBERS = frozenset({*METHODS, "summary", "description", "servers", "parameters", "$ref"})
_Place = tuple[int | str, ...]


class DocumentRefused(ValueError):
    """The document does not say which routes there are; every reason with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def routes(text: str) -> tuple[RouteConfig, ...]:
    """The operations of a document, one route for each, in its order.

    Raises ``DocumentRefused``.
    """
    try:
        reading = yaml_text.read(text.encode())
    except yaml_text.TextRefused as error:
        raise DocumentRefused([Problem(path="", message=str(error))]) from error
    drafts = _Drafts(reading.data)
    if drafts.problems:
        raise DocumentRefused(drafts.problems)
    return tuple(drafts.routes)


class _Drafts:
    """The routes of one document, and what is wrong with it."""

    def __init__(self, data: Any) -> None:
        self.routes: list[RouteConfig] = []
        self.problems: list[Problem] = []
        self._shapes: dict[str, str] = {}
        self._operations = 0
        if not isinstance(data, dict):
            self._refuse((), "an OpenAPI document is a mapping with openapi, info and paths")
            return
        self._version(data.get("openapi"))
        paths = data.get("paths")
        if not isinstance(paths, dict) or not paths:
            self._refuse(("paths",), "the document describes no paths")
            return
        for template, item in paths.items():
            if not template.startswith("x-"):
                self._path(template, item)
        if not self.routes and not self.problems:
            self._refuse(("paths",), "the document describes no operations")

    def _refuse(self, place: _Place, message: str) -> None:
        self.problems.append(Problem(path=location(place), message=message))

    def _version(self, version: Any) -> None:
        text = str(version)
        if not (text in ("3.0", "3.1") or text.startswith(("3.0.", "3.1."))):
            self._refuse(("openapi",), "give an OpenAPI document of version 3.0 or 3.1")

    def _path(self, template: str, item: Any) -> None:
        place = ("paths", template)
        try:
            path_template(template)
        except ValueError as error:
            self._refuse(place, str(error))
            return
        twin = self._shapes.setdefault(template_shape(template), template)
        if twin != template:
            self._refuse(place, f"it matches the same paths as {twin}: keep one of them")
            return
        if not isinstance(item, dict):
            self._refuse(place, "give a mapping with the operations of this path")
            return
        for method in self._methods(place, item):
            self.routes.append(RouteConfig(methods=(method,), path=template))

    def _methods(self, place: _Place, item: dict[str, Any]) -> Iterator[str]:
        if "$ref" in item:
            self._refuse((*place, "$ref"), "references are not followed here: write the path out")
        for name, operation in item.items():
            if name not in _MEMBERS and not name.startswith("x-"):
                self._refuse((*place, name), "unknown key; methods are written in small letters")
            if name not in METHODS:
                continue
            if not isinstance(operation, dict):
                self._refuse((*place, name), "give a mapping that describes the operation")
                continue
            self._operations += 1
            if self._operations == MAX_OPERATIONS + 1:
                self._refuse(("paths",), f"more than {MAX_OPERATIONS} operations")
            if name == "trace":
                self._refuse((*place, name), "TRACE is never served by the gateway: leave it out")
            else:
                yield name.upper()
