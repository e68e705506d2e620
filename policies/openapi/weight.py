"""How often one value is looked at: schemas composed of schemas, without end or beyond measure.

A schema may be composed (``allOf``, ``anyOf``, ``oneOf``, ``$ref`` …) of others that are composed
of others; thirty levels of two references each are a billion evaluations of one value. And what
is composed of itself can never be decided. Both are found before anything is compiled (O2).
"""

from typing import Any

from policies.openapi.rewriting import BASE

MAX_EVALUATIONS = 10_000  # of one value
MAX_DEPTH = 200  # schemas of the same value within each other

_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_MAPS = ("dependentSchemas", "dependencies")


class TooHeavy(ValueError):
    """A schema takes too much to evaluate, or never ends."""


class Weights:
    """The number of evaluations that a value costs, for each schema of a flat mapping."""

    def __init__(self, flat: dict[str, Any]) -> None:
        self._flat = flat
        self._known: dict[str, int] = {}
        self._open: set[str] = set()

    def of(self, name: str) -> int:
        """Raises ``TooHeavy``."""
        if name in self._open:
            raise TooHeavy("the schema is composed of itself, so no value ever satisfies it")
        if name not in self._known:
            if len(self._open) >= MAX_DEPTH:
                raise TooHeavy(f"more than {MAX_DEPTH} schemas are composed of each other")
            self._open.add(name)
            try:
                self._known[name] = self._schema(self._flat[name])
            finally:
                self._open.discard(name)
        return self._known[name]

    def _schema(self, schema: Any) -> int:
        if not isinstance(schema, dict):
            return 1
        parts = [part for key in _LISTS for part in schema.get(key, ())]
        parts += [schema[key] for key in _SINGLE if key in schema]
        parts += [part for key in _MAPS for part in schema.get(key, {}).values()]
        weight = 1 + sum(self._schema(part) for part in parts)
        reference = schema.get("$ref")
        if reference is not None:
            weight += self.of(reference.removeprefix(f"{BASE}#/"))
        if weight > MAX_EVALUATIONS:
            raise TooHeavy(f"a value would be evaluated more than {MAX_EVALUATIONS} times")
        return weight
