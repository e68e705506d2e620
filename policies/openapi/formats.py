"""Formats of texts that JSON Schema's drafts do not all have, for each version of OpenAPI.

``int32`` and ``int64`` are written as bounds (``policies.openapi.rewriting``); ``float``,
``double``, ``binary`` and ``password`` refuse nothing. OpenAPI 3.0 is based on draft 4, which has
few formats of its own; those that its documents use have the meaning they have in 2020-12.
"""

import re
from collections.abc import Callable

import jsonschema_rs

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")
_LATER = (
    *("date", "time", "duration", "uuid", "uri-reference", "uri-template", "iri", "iri-reference"),
    *("idn-email", "idn-hostname", "json-pointer", "relative-json-pointer", "regex"),
)

Check = Callable[[str], bool]


def _is_base64(text: str) -> bool:
    """RFC 4648 4, with its padding."""
    return _BASE64.match(text) is not None


def _as_in_2020(name: str) -> Check:
    schema = {"format": name}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True).is_valid


FORMATS_2020: dict[str, Check] = {"byte": _is_base64}
FORMATS_4: dict[str, Check] = {**FORMATS_2020, **{name: _as_in_2020(name) for name in _LATER}}
