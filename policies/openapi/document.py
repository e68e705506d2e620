"""One OpenAPI 3.0 or 3.1 document: read within bounds, and walked by its local references.

Threat model. The document comes from somebody else: it is read under the limits of
``policies.yaml_text``, and nothing that it refers to is ever fetched (O2). A reference is a JSON
pointer into the document itself (``#/components/…``); every other one is a problem.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from policies import yaml_text
from policies.core.config import Problem, location

Place = tuple[int | str, ...]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_OPERATIONS = 5000
MAX_PROBLEMS = 100
_MAX_CHAIN = 32  # references that lead to references
_VERSION = re.compile(r"(3\.[01])(?:\.[0-9]{1,4})?\Z")


class DocumentRefused(ValueError):
    """The document cannot be used; every reason with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ReferenceRefused(ValueError):
    """A ``$ref`` that leads nowhere, out of the document, or in a circle."""


class Node(NamedTuple):
    """A value of a document and the place where it stands."""

    place: Place
    value: Any

    def child(self, key: int | str) -> "Node":
        """The member ``key``; a member that is not there has the value None."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Node((*self.place, key), value)

    def members(self) -> Iterator[tuple[str, "Node"]]:
        """The members of a mapping, extensions (``x-…``) left out."""
        if isinstance(self.value, dict):
            for key, value in self.value.items():
                if not key.startswith("x-"):
                    yield key, Node((*self.place, key), value)

    def items(self) -> Iterator["Node"]:
        """The entries of a list."""
        if isinstance(self.value, list):
            for at, value in enumerate(self.value):
                yield Node((*self.place, at), value)


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read: plain values, never changed, and its version (3.0 or 3.1)."""

    data: dict[str, Any]
    version: str

    @property
    def root(self) -> Node:
        return Node((), self.data)

    def follow(self, node: Node) -> Node:
        """The node that a Reference Object stands for; any other node is itself.

        Raises ``ReferenceRefused``.
        """
        for _ in range(_MAX_CHAIN):
            if not isinstance(node.value, dict) or "$ref" not in node.value:
                return node
            node = self.target(node.value["$ref"])
        raise ReferenceRefused("the references lead in a circle")

    def target(self, reference: Any) -> Node:
        """What a local reference points to (RFC 6901). Raises ``ReferenceRefused``."""
        if not isinstance(reference, str) or not (reference == "#" or reference[:2] == "#/"):
            raise ReferenceRefused(
                "references are followed only within the document: #/components/…"
            )
        value: Any = self.data
        place: Place = ()
        for part in unquote(reference[2:]).split("/") if reference != "#" else ():
            key = part.replace("~1", "/").replace("~0", "~")
            step: int | str = key
            if isinstance(value, list) and key.isdecimal() and len(key) < 7:
                step = int(key)
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                raise ReferenceRefused("the reference leads nowhere") from None
            place = (*place, step)
        return Node(place, value)


def served_template(source: Source, template: str, parameters: Iterable[Node]) -> str:
    """A path of the document as the gateway writes it: ``{;id}`` for a parameter of the style
    ``matrix``. ``parameters`` are the lists of the path and of the operation."""
    path_style: set[str] = set()
    for listed in (item for node in parameters for item in node.items()):
        try:
            value = source.follow(listed).value
        except ReferenceRefused:
            continue  # reported by whoever reads the parameter
        if isinstance(value, dict) and value.get("in") == "path":
            change = path_style.add if value.get("style") == "matrix" else path_style.discard
            change(str(value.get("name")))
    return "/".join(
        "{;" + segment[1:] if segment[:1] == "{" and segment[1:-1] in path_style else segment
        for segment in template.split("/")
    )


def place_in(value: Any, path: Iterable[int | str]) -> Place:
    """A validator's path as a place: it takes every key that looks like a number for an index."""
    place: Place = ()
    for step in path:
        if isinstance(value, list):
            value = value[int(step)]
        else:
            step = str(step)
            value = value.get(step) if isinstance(value, dict) else None
        place = (*place, step)
    return place


def problem(place: Place, message: str) -> Problem:
    return Problem(path=location(place), message=message)


@lru_cache(maxsize=8)
def read(text: str) -> Source:
    """Read a document. Raises ``DocumentRefused``."""
    try:
        data = yaml_text.read(text.encode()).data
    except yaml_text.TextRefused as error:
        raise DocumentRefused([Problem(path="", message=str(error))]) from error
    if not isinstance(data, dict):
        message = "an OpenAPI document is a mapping with openapi, info and paths"
        raise DocumentRefused([problem((), message)])
    version = _VERSION.match(str(data.get("openapi")))
    return Source(data, version.group(1) if version else "")


def version_problems(source: Source) -> list[Problem]:
    """What is wrong with the version that a document says it has."""
    if source.version:
        return []
    return [problem(("openapi",), "give an OpenAPI document of version 3.0 or 3.1")]
