"""Validating as much of a faulty document as can be validated, so that no problem hides another.

A value that is wrong by itself is reported and taken out; what remains is validated again,
until it is a document. The checks between values can then run on it, and people see all
problems at once instead of one kind after the other. Pure.
"""

from typing import Any, NamedTuple

from pydantic import ValidationError

from apis.config import Document
from policies.core.config import Problem, errors_of, location, message_of

Place = tuple[int | str, ...]
_ROUNDS = 20


class Salvaged(NamedTuple):
    """A document, what was wrong with the data, and where the rest of it stood.

    ``document`` is None when nothing could be saved. ``origin`` maps the places of list items
    in the document to those in the data; they differ where items were taken out. ``left_out``
    holds the names of the providers and clients of the data, None when nothing was taken out.
    """

    document: Document | None
    problems: list[Problem]
    origin: dict[Place, Place]
    left_out: frozenset[str] | None = None

    def place(self, path: str) -> str:
        """A path in the document as the path in the data."""
        names = {location(new): location(old) for new, old in self.origin.items()}
        head = path
        while head and head not in names:
            head = head[: max(head.rfind("."), head.rfind("["), 0)]
        return names.get(head, head) + path[len(head) :]


def validate(data: Any, context: Any) -> Salvaged:
    """Validate data as a ``Document``, without the parts that are wrong by themselves."""
    problems: list[Problem] = []
    dropped: set[Place] = set()
    for attempt in range(_ROUNDS):
        origin: dict[Place, Place] = {}
        kept = _without(data, dropped, (), (), origin)
        if attempt and isinstance(kept, dict):
            kept["format"] = 1  # already reported if it was not
        try:
            document = Document.model_validate(kept, context=context)
            return Salvaged(document, problems, origin, _names(data) if dropped else None)
        except ValidationError as error:
            found = errors_of(error)
        places = [_original(tuple(item["loc"]), origin) for item in found]
        problems += [
            Problem(path=location(place), message=message_of(item))
            for place, item in zip(places, found, strict=True)
            if not attempt or _is_news(item["type"], place, dropped)
        ]
        before = len(dropped)
        dropped |= {_droppable(data, place, dropped) for place in places}
        if () in dropped or len(dropped) == before:
            break
    return Salvaged(None, problems, {})


def _names(data: dict[str, Any]) -> frozenset[str]:
    sections = (data.get(name) for name in ("providers", "clients"))
    items = [item for section in sections if isinstance(section, list) for item in section]
    return frozenset(str(item.get("name")) for item in items if isinstance(item, dict))


def _is_news(kind: str, place: Place, dropped: set[Place]) -> bool:
    """Whether a problem of a later round is one of the data, and not of what was taken out."""
    return kind == "value_error" and not any(
        place[: len(gone)] == gone[: len(place)] for gone in dropped
    )


def _without(
    data: Any, dropped: set[Place], old: Place, new: Place, origin: dict[Place, Place]
) -> Any:
    """A copy without the dropped places; ``origin`` learns where list items come from."""
    if isinstance(data, dict):
        return {
            name: _without(value, dropped, (*old, name), (*new, name), origin)
            for name, value in data.items()
            if (*old, name) not in dropped
        }
    if not isinstance(data, list):
        return data
    items: list[Any] = []
    for at, value in enumerate(data):
        if (*old, at) not in dropped:
            here = (*new, len(items))
            origin[here] = (*old, at)
            items.append(_without(value, dropped, (*old, at), here, origin))
    return items


def _original(place: Place, origin: dict[Place, Place]) -> Place:
    for length in range(len(place), 0, -1):
        if place[:length] in origin:
            return origin[place[:length]] + place[length:]
    return place


def _droppable(data: Any, place: Place, dropped: set[Place]) -> Place:
    """The place itself, or what is around it if it is not there (something is missing)."""
    for at, part in enumerate(place):
        there = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if not there or place[: at + 1] in dropped:
            return place[:at]
        data = data[part]
    return place
