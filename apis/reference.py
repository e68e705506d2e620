"""The reference of the configuration file, written from the declarations it is checked by.

``manage.py print_reference`` prints it; ``docs/reference.md`` is its output, and a test holds
the two together.
"""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from apis.config import Document
from policies.core.config import Options
from policies.registry import KINDS

_PAGE = """# Reference of the configuration file

Written from the declarations (`manage.py print_reference`); [configuration.md](configuration.md)
says how the parts work together.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    lines = [_PAGE]
    for model in _models(Document):
        lines += _section(model.__name__.removesuffix("Config"), model, level=2)
    lines.append("## Policy kinds\n")
    lines.append("Every kind takes `name` and `mode` (`enforce`, `report` or `off`) besides.\n")
    for kind, policy in KINDS.items():
        lines += _section(f"`{kind}`", policy.Config, level=3, about=policy.summary)
    return "\n".join(lines).rstrip() + "\n"


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and every declaration below it, once, in the order of the file."""
    seen: list[type[BaseModel]] = []
    waiting = [model]
    while waiting:
        current = waiting.pop(0)
        if current not in seen:
            seen.append(current)
            waiting += [m for f in current.model_fields.values() for m in _inner(f.annotation)]
    return iter(seen)


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    declared = isinstance(annotation, type) and issubclass(annotation, Options)
    if declared and annotation.__name__.endswith("Config"):
        yield annotation
    for part in get_args(annotation):
        yield from _inner(part)


def _section(name: str, model: type[BaseModel], level: int, about: str = "") -> list[str]:
    lines = [f"{'#' * level} {name}\n", (about or _first_line(model)) + "\n"]
    if model.model_fields:
        lines += ["| member | default | meaning |", "|---|---|---|"]
        lines += [_row(field.alias or key, field) for key, field in model.model_fields.items()]
        lines.append("")
    return lines


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _row(key: str, field: FieldInfo) -> str:
    meaning = field.description or field.title or ""
    bounds = _bounds(field)
    text = f"{meaning} ({bounds})" if bounds else meaning
    return f"| `{key}` | {_default(field)} | {text.replace('|', '&#124;')} |"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else "none"
    value = field.default
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    parts = []
    for bound in field.metadata:
        for name, word in (("ge", "at least"), ("gt", "above"), ("le", "at most")):
            limit = getattr(bound, name, None)
            if limit is not None:
                parts.append(f"{word} {limit}")
    return ", ".join(parts)
