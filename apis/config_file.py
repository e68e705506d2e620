"""The configuration file: YAML in, YAML out.

Reading never stops at the first problem: each is reported by its path in the file and the
line it stands on. Writing is stable (declaration order, then names), leaves out what has its
default, and never shows a secret: there stands where it comes from, or ``keep: true``.
"""

import difflib
from dataclasses import dataclass
from typing import Any

import yaml

from apis import salvage
from apis.config import Document
from policies import yaml_text
from policies.core.config import Problem
from policies.references import CHANGES, Sources


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read: its document as far as it could be validated, and its problems.

    When there are problems, ``document`` lacks the parts they are about; it is None when
    nothing of it makes sense.
    """

    document: Document | None
    problems: tuple[Problem, ...]
    _salvaged: salvage.Salvaged | None
    _reading: yaml_text.Reading | None

    @property
    def left_out(self) -> frozenset[str] | None:
        """See ``apis.validation.problems``."""
        return self._salvaged.left_out if self._salvaged else None

    def located(self, problem: Problem) -> Problem:
        """A problem of the document with its path in the file and the line."""
        path = self._salvaged.place(problem.path) if self._salvaged else problem.path
        line = self._reading.line(path) if self._reading else None
        return Problem(
            path=path if line is None else f"{path} (line {line})", message=problem.message
        )


def read(raw: bytes, sources: Sources) -> ConfigFile:
    """Read a configuration file; what it refers to is looked up in ``sources``."""
    try:
        reading = yaml_text.read(raw)
    except yaml_text.TextRefused as error:
        lines = str(error).splitlines()
        return ConfigFile(None, tuple(Problem(path="", message=line) for line in lines), None, None)
    if not isinstance(reading.data, dict):
        problem = Problem(
            path="", message="a configuration file is a mapping: format: 1, apis: ..."
        )
        return ConfigFile(None, (problem,), None, reading)
    found = salvage.validate(reading.data, sources)
    bare = ConfigFile(found.document, (), None, reading)  # its problems have their paths already
    problems = tuple(bare.located(problem) for problem in found.problems)
    return ConfigFile(found.document, problems, found, reading)


def write(document: Document, context: Any = None) -> str:
    """The document as a file that ``read`` accepts."""
    data = document.model_dump(mode="json", exclude_defaults=True, context=context)
    return yaml.dump(
        _plain_numbers(data),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1_000_000,  # a line is what a diff compares
        default_flow_style=False,
    )


def diff(before: Document, after: Document) -> str:
    """A unified diff of two documents as files; secrets show only that they changed."""
    old, new = (write(document, CHANGES).splitlines(keepends=True) for document in (before, after))
    return "".join(difflib.unified_diff(old, new, "before", "after"))


def _plain_numbers(data: Any) -> Any:
    """``2.0`` is written as ``2``."""
    if isinstance(data, dict):
        return {name: _plain_numbers(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain_numbers(value) for value in data]
    if isinstance(data, float) and data.is_integer() and abs(data) < 1e15:
        return int(data)
    return data


# References, routes and targets stand on one line: so does each in a difference.
_ONE_LINE = (
    frozenset({"env", "file", "keep", "changed", "sha256"}),
    frozenset({"methods", "path", "websocket"}),
    frozenset({"url", "weight"}),
)


class _Dumper(yaml.CSafeDumper):
    """Block style, short lists of plain values on one line, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _list(dumper: _Dumper, items: list[Any]) -> yaml.Node:
    flow = all(isinstance(item, str | int | float) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


def _mapping(dumper: _Dumper, members: dict[str, Any]) -> yaml.Node:
    flow = any(members.keys() <= names for names in _ONE_LINE)
    return dumper.represent_mapping("tag:yaml.org,2002:map", members, flow_style=flow)


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)
