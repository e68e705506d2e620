"""Path templates and which of them a path matches: one matcher for routes and for documents. Pure.

A template's segments are literal, ``{name}``, ``{;name}`` for path-style parameters (RFC 6570
3.2.7), or at the end ``{rest*}`` for all that follow. The most specific one wins, segment by
segment: literal before ``{name}`` before ``{rest*}``; then the method. HEAD is served by what
serves GET. A trailing slash counts.

A segment that begins with ``;`` is matched by ``{;name}`` and by nothing else: servers that take
parameters off a path see no segment there, and would serve another path than was matched (P4).
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
_Leaf = dict[str, T]  # method -> what serves it; "" is every method


class _Node(Generic[T]):
    """One path segment in the tree of templates."""

    __slots__ = ("ends", "literals", "parameter", "path_style", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.path_style: _Node[T] | None = None
        self.rest: _Leaf[T] | None = None
        self.ends: _Leaf[T] | None = None


class Templates(Generic[T]):
    """A set of templates, each with what serves its methods."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, template: str, methods: Iterable[str], served_by: T) -> None:
        """``methods``: none is every one. Raises ``KeyError`` for a method that is served."""
        node = self._root
        for segment in template.split("/")[1:]:
            if segment.endswith("*}"):
                node.rest = _fill(node.rest, methods, served_by)
                return
            if segment.startswith("{;"):
                node.path_style = node.path_style or _Node()
                node = node.path_style
            elif segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.ends = _fill(node.ends, methods, served_by)

    def find(self, segments: list[str], method: str, allow: set[str]) -> T | None:
        """What serves the path of these segments; where only other methods are, adds them to
        ``allow``."""
        return _walk(self._root, segments, 0, method, allow)


def _fill(leaf: _Leaf[T] | None, methods: Iterable[str], served_by: T) -> _Leaf[T]:
    leaf = {} if leaf is None else leaf
    for method in tuple(methods) or ("",):
        if method in leaf:
            raise KeyError(method)
        leaf[method] = served_by
    return leaf


def _walk(node: _Node[T], segments: list[str], at: int, method: str, allow: set[str]) -> T | None:
    """Depth-first in order of specificity. Its work is bounded by the templates' depth."""
    if at == len(segments):
        return _pick(node.ends, method, allow) if node.ends is not None else None
    segment = segments[at]
    child = node.literals.get(segment)
    if child is not None:
        found = _walk(child, segments, at + 1, method, allow)
        if found is not None:
            return found
    below = node.path_style if segment.startswith(";") else node.parameter
    if below is not None and segment:
        found = _walk(below, segments, at + 1, method, allow)
        if found is not None:
            return found
    if node.rest is None or any(part.startswith(";") for part in segments[at:]):
        return None
    return _pick(node.rest, method, allow)


def _pick(leaf: _Leaf[T], method: str, allow: set[str]) -> T | None:
    served_by = leaf.get(method)
    if served_by is None and method == "HEAD":
        served_by = leaf.get("GET")
    if served_by is None:
        served_by = leaf.get("")
    if served_by is None:
        allow.update(leaf)
        if "GET" in leaf:
            allow.add("HEAD")
    return served_by
