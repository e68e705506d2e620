"""Formats that OpenAPI adds to those of JSON Schema, for texts.

``int32`` and ``int64`` are written as bounds (``policies.openapi.rewriting``); ``float``,
``double``, ``binary`` and ``password`` refuse nothing.
"""

import re
from collections.abc import Callable

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


def _is_base64(text: str) -> bool:
    """RFC 4648 4, with its padding."""
    return _BASE64.match(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {"byte": _is_base64}
