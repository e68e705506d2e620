"""What the OpenAPI Initiative's own schemas say of a document: is it one at all?

The schemas are data of the package openapi-spec-validator, which itself is never imported: it
would follow references over the network.
"""

import json
from functools import lru_cache
from importlib.metadata import distribution
from typing import Any

import jsonschema_rs

from policies.core.config import Problem
from policies.openapi.document import MAX_PROBLEMS, Source, problem
from policies.openapi.rewriting import DRAFT_4

_REFERENCE = ("$ref",)


def malformed(source: Source) -> list[Problem]:
    """Everything that makes it no OpenAPI document, up to ``MAX_PROBLEMS``."""
    found: list[Problem] = []
    for error in _validator(source.version).iter_errors(source.data):
        found.append(_said(error))
        if len(found) == MAX_PROBLEMS:
            break
    return found


@lru_cache(maxsize=2)
def _validator(version: str) -> Any:
    package = distribution("openapi-spec-validator")
    path = package.locate_file(f"openapi_spec_validator/resources/schemas/v{version}/schema.json")
    schema = json.loads(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    draft = jsonschema_rs.Draft4Validator if version == DRAFT_4 else _DRAFT_2020
    return draft(schema, offline=True, mask="the value")


_DRAFT_2020 = jsonschema_rs.Draft202012Validator


def _said(error: Any) -> Problem:
    """The complaint that helps: of alternatives, the one that is not "or a reference"."""
    while error.kind.name in ("oneOf", "anyOf", "oneOfNotValid") and error.kind.context:
        branches = [b for b in error.kind.context if b and not _wants_reference(b)]
        if not branches:
            break
        error = max(branches, key=lambda b: max(len(e.instance_path) for e in b))[0]
    if error.kind.name in ("additionalProperties", "unevaluatedProperties"):
        names = ", ".join(error.kind.unexpected)[:200]
        return problem(tuple(error.instance_path), f"unknown key: {names}")
    if error.kind.name == "required":
        return problem((*error.instance_path, error.kind.property), "is missing")
    return problem(tuple(error.instance_path), str(error.message)[:300])


def _wants_reference(branch: list[Any]) -> bool:
    return any(e.kind.name == "required" and e.kind.property == "$ref" for e in branch)
